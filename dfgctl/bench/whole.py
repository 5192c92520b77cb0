"""Trains a short run as ``dfgctl run`` does, and says what a whole one spends its time on."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dfgctl import provenance
from dfgctl.bench.accounts import Accounts, Entry, Watched
from dfgctl.bench.pictures import random_source
from dfgctl.bench.planning import Subject, in_precision, plan
from dfgctl.data.catalog import DATASETS
from dfgctl.data.checksums import ChecksumCache
from dfgctl.dispatch import packs
from dfgctl.dispatch.desk import Desk
from dfgctl.dispatch.events import Observer
from dfgctl.dispatch.logs import RunLogs
from dfgctl.dispatch.pictures import Pictures
from dfgctl.dispatch.place import Place
from dfgctl.dispatch.plan import Plan
from dfgctl.dispatch.request import Checked
from dfgctl.dispatch.sources import SourceNetworks, shelve
from dfgctl.dispatch.worker import Worker
from dfgctl.errors import RunsFailedError, last_line
from dfgctl.networks.weights import write
from dfgctl.phases import evaluations, stretches
from dfgctl.records import PlannedRun
from dfgctl.registry import Registry
from dfgctl.state import Tally
from dfgctl.training import Trainer

STEPS = 100
"""Steps of the short run at the least, so that its set-up does not hide them."""

EVALUATED = 4
"""Evaluations of the short run after step 0, and about as many checkpoints."""

BOOKKEEPING = ("registry", "checkpoints", "progress", "logs")
"""The parts that are no training, evaluation or set-up."""


@dataclass(frozen=True)
class Part:
    """A part of a run's time.

    Attributes:
        name: what is done.
        calls: how often, in the short run.
        seconds: how long, in the short run.
        whole_seconds: how long in a whole run, by what one step, evaluation or checkpoint takes.
        share: ``whole_seconds`` as a share of a whole run, in [0, 1].
    """

    name: str
    calls: int
    seconds: float
    whole_seconds: float
    share: float


@dataclass(frozen=True)
class Whole:
    """What a run's time goes to.

    Attributes:
        dataset: the data set.
        backbone: the network.
        method: the method.
        pack: runs that train together.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        device: the device in words.
        steps: steps of the short run.
        run_steps: steps of a whole one.
        seconds: the short run.
        whole_seconds: a whole one.
        checkpoints: checkpoints of a whole one.
        parts: the parts; their shares add up to 1.
        bookkeeping_share: registry, checkpoints, progress and logs together.
    """

    dataset: str
    backbone: str
    method: str
    pack: int
    precision: str
    device: str
    steps: int
    run_steps: int
    seconds: float
    whole_seconds: float
    checkpoints: int
    parts: tuple[Part, ...]
    bookkeeping_share: float

    def record(self) -> dict[str, Any]:
        """Return it as a plain object, its keys named as the attributes."""
        return asdict(self)


def train(
    subject: Subject,
    checked: Checked,
    place: Place,
    precision: str,
    observer: Observer,
    steps: int | None = None,
    watched: Sequence[Watched] = (),
) -> Whole:
    """Train a short run of a method by a worker on a registry of its own, and account for it.

    An even shorter run is trained before it, so that nothing is done there for the first time. The
    source network is random.

    Args:
        subject: the data set, which must be here.
        checked: one method, its settings, and as many repeats as the pack has runs.
        place: where to train.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        observer: who watches the worker; the time that it takes counts as progress.
        steps: steps of the short run; None for as many as say enough.
        watched: what else takes time for progress.

    Raises:
        InputError: the data cannot be read.
        RunsFailedError: the run failed.
    """
    checked = in_precision(checked, precision)
    whole = plan(checked, subject).runs
    spec = whole[0].spec
    cycle = max(part.cycle for part in stretches(spec)[0])
    # As many cycles as there are evaluations and more, so that each has steps before it.
    short = steps or max(STEPS, 2 * EVALUATED * cycle)
    every = max(1, short // EVALUATED)
    with tempfile.TemporaryDirectory(prefix="dfgctl-bench-") as name:
        folder = Path(name)
        weights = _random_weights(checked, spec.backbone, folder)
        digest = ChecksumCache(folder / "checksums.json", keep=False).sha256(weights)
        place = replace(place, checkpoint_every=every)
        with closing(Registry(str(folder / "registry.sqlite"), create=True)) as registry:

            def work(number: int) -> float:
                asked = replace(
                    checked.request, steps=number, eval_every=max(1, number // EVALUATED)
                )
                asked = replace(asked, source_weights=weights)
                runs = plan(replace(checked, request=asked), subject, digest)
                queued = _enqueue(registry, runs, weights)
                worker = Worker(registry, place, observer, queued)
                start = time.perf_counter()
                worker.work()
                spent = time.perf_counter() - start
                _check(registry, queued)
                return spent

            work(2 * max(cycle, 2))
            accounts = Accounts()
            with accounts.watching([*_watched(type(observer)), *watched]):
                seconds = work(short)
    parts, checkpoints = _extrapolated(accounts, seconds, short, every, whole[0])
    total = sum(part.whole_seconds for part in parts)
    return Whole(
        dataset=spec.dataset,
        backbone=spec.backbone,
        method=spec.method,
        pack=len(whole),
        precision=precision,
        device=place.device_name,
        steps=short,
        run_steps=spec.steps,
        seconds=seconds,
        whole_seconds=total,
        checkpoints=checkpoints,
        parts=tuple(replace(part, share=part.whole_seconds / total) for part in parts),
        bookkeeping_share=sum(p.whole_seconds for p in parts if p.name in BOOKKEEPING) / total,
    )


def _random_weights(checked: Checked, backbone: str, folder: Path) -> Path:
    classes = DATASETS[checked.source].class_count
    source = random_source(backbone, checked.variants[0].readings, classes)
    file = folder / "source.safetensors"
    write(file, dict(source.state))
    return file


def _enqueue(registry: Registry, made: Plan, weights: Path) -> str:
    registry.keep_card(made.card)
    for source in made.sources:
        registry.keep_source(source)
        shelve(registry, source, weights, provenance.collect())
    return registry.enqueue(made.runs)


def _check(registry: Registry, queued: str) -> None:
    counts = registry.counts(queued)
    if set(counts) == {"finished"}:
        return
    errors = [run.error or run.status for run in registry.runs() if run.status != "finished"]
    raise RunsFailedError(f"The run that was to be measured failed: {last_line(errors[0])}")


def _watched(observer: type[Observer]) -> list[Watched]:
    """Return what is timed: the steps of training, and all that is done between them."""
    step, evaluation, checkpoint, once = "step", "evaluation", "checkpoint", "once"
    occasions = {
        "record": evaluation,
        "evaluated": evaluation,
        "beat": checkpoint,
        "checkpointed": checkpoint,
        "stepped": step,
    }
    found = [
        Watched(Trainer, "__init__", "set-up", once),
        Watched(Trainer, "step", "training steps", step),
        Watched(Tally, "take_means", "training steps", step),  # waits until they are done
        Watched(Trainer, "evaluate", "evaluations", evaluation),
        Watched(Trainer, "saved", "checkpoints", checkpoint),
        Watched(packs.PackTraining, "_keep", "checkpoints", checkpoint),
        Watched(Trainer, "done", "final weights", once),
        Watched(packs.PackTraining, "_save", "final weights", once),
        Watched(packs.PackTraining, "train", "progress", step),  # what passes between events
        Watched(SourceNetworks, "get", "set-up", once),
        Watched(Pictures, "target", "set-up", once),
    ]
    names = [name for name in vars(Observer) if not name.startswith("_")]
    for owner, part in ((RunLogs, "logs"), (Desk, "progress"), (observer, "progress")):
        found += [Watched(owner, name, part, occasions.get(name, once)) for name in names]
    for name in dir(Registry):
        if not name.startswith("_") and callable(getattr(Registry, name)):
            found.append(Watched(Registry, name, "registry", occasions.get(name, once)))
    return found


def _extrapolated(
    accounts: Accounts, seconds: float, steps: int, every: int, whole: PlannedRun
) -> tuple[list[Part], int]:
    """Return the parts of a whole run, and how many checkpoints it has."""
    spec = whole.spec
    booked: dict[tuple[str, str], Entry] = dict(accounts.entries)
    other = seconds - sum(entry.seconds for entry in booked.values())
    booked["other", "once"] = Entry(1, max(0.0, other))
    kept = booked.get(("checkpoints", "checkpoint"), Entry())
    written = (steps - 1) // every
    times = {
        "step": spec.steps / steps,
        "evaluation": evaluations(spec) / evaluations(replace(spec, steps=steps, eval_every=every)),
        "once": 1.0,
        "checkpoint": 0.0,
    }
    rest = sum(entry.seconds * times[when] for (_, when), entry in booked.items())
    count = 0
    if written and kept.calls:
        cost = sum(e.seconds for (_, when), e in booked.items() if when == "checkpoint") / written
        count = int(rest / max(packs.SHORTEST, cost / packs.SHARE))
        times["checkpoint"] = count / written
    return _summed(booked, accounts.beside, times, rest / seconds), count


def _summed(
    booked: Mapping[tuple[str, str], Entry],
    beside: Mapping[str, Entry],
    times: Mapping[str, float],
    longer: float,
) -> list[Part]:
    """Bring the entries of each part together; what threads do beside goes on all the time."""
    order = ("training steps", "evaluations", "set-up", *BOOKKEEPING, "final weights", "other")
    found = []
    for part in order:
        own = [(when, entry) for (name, when), entry in booked.items() if name == part]
        aside = beside.get(part, Entry())
        found.append(
            Part(
                part,
                calls=sum(entry.calls for _, entry in own) + aside.calls,
                seconds=sum(entry.seconds for _, entry in own) + aside.seconds,
                whole_seconds=sum(times[when] * entry.seconds for when, entry in own)
                + longer * aside.seconds,
                share=0.0,
            )
        )
    return found
