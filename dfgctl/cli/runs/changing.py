"""``dfgctl runs cancel``, ``retry`` and ``rm``: change the queue and the registry."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.names import combination, counted, short
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, open_registry
from dfgctl.cli.output import confirmed, err, escape, out, reported
from dfgctl.cli.runs.choice import (
    DatasetFilter,
    MethodFilter,
    PendingArgument,
    RetriableArgument,
    RunsArgument,
    StatusFilter,
    Wanted,
    ids_of,
    opened,
    wanted,
)
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from dfgctl.records import Run
    from dfgctl.registry import Registry

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

EACH = 10
"""Runs up to which each has a line; more are counted."""


@dataclass(frozen=True)
class Chosen:
    """The runs that a command is about.

    Attributes:
        store: the registry.
        fit: ids of those in a state for it.
        others: ids of those that are not.
        named: whether each was named by its id.
    """

    store: "Registry"
    fit: list[str]
    others: list[str]
    named: bool


@reported
def cancel(
    runs: PendingArgument = None,
    dataset: DatasetFilter = None,
    method: MethodFilter = None,
    status: StatusFilter = None,
    yes: YesOption = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Take runs out of the queue, also those being trained; filters ask first."""
    states = ("queued", "running")
    chosen = _chosen(registry, runs, (dataset, method, status), states)
    if not chosen or not _agreed("Cancel", chosen, yes or chosen.named):
        return
    before = chosen.store.statuses(chosen.fit)
    done = chosen.store.cancel(chosen.fit)
    _say("Cancelled", chosen.store, done)
    if any(before[run_id] == "running" for run_id in done):
        err().print("What is being trained stops at its worker's next sign of life, within 30 s.")
    _say_others(chosen, done, "not in the queue")


@reported
def retry(
    runs: RetriableArgument = None,
    dataset: DatasetFilter = None,
    method: MethodFilter = None,
    status: StatusFilter = None,
    yes: YesOption = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Put runs that failed or were cancelled back into the queue; filters ask first."""
    chosen = _chosen(registry, runs, (dataset, method, status), ("failed", "cancelled"))
    if not chosen or not _agreed("Retry", chosen, yes or chosen.named):
        return
    done = chosen.store.retry(chosen.fit)
    _say("Queued", chosen.store, done)
    if done:
        err().print("Train them with dfgctl worker, or with the dfgctl run that planned them.")
    _say_others(chosen, done, "neither failed nor cancelled")


@reported
def remove(
    runs: RunsArgument = None,
    dataset: DatasetFilter = None,
    method: MethodFilter = None,
    status: StatusFilter = None,
    yes: YesOption = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Delete runs with their results, weights, checkpoints and logs; asks first."""
    states = ("queued", "finished", "failed", "cancelled")
    chosen = _chosen(registry, runs, (dataset, method, status), states)
    if not chosen:
        return
    if chosen.others and not chosen.fit:
        one = counted(len(chosen.others), "run")
        verb = "is" if len(chosen.others) == 1 else "are"
        raise InputError(
            f"{one} {verb} being trained and cannot be deleted: cancel first, e.g. dfgctl runs "
            f"cancel {short(chosen.others[0])}."
        )
    if not _agreed("Delete", chosen, yes):
        return
    lines = _lines("Deleted", chosen.store, chosen.fit)
    chosen.store.remove(chosen.fit)
    stuck = [file for run_id in chosen.fit for file in _delete_files(chosen.store.folder, run_id)]
    for line in lines:
        out().print(line, markup=False, soft_wrap=True)
    if stuck:
        more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
        err().print(f"{escape(str(stuck[0]))}{more} cannot be deleted: do it by hand.")
    _say_others(chosen, chosen.fit, "being trained: dfgctl runs cancel stops them")


def _chosen(
    registry: str,
    runs: list[str] | None,
    filters: tuple[str | None, str | None, str | None],
    states: Sequence[str],
) -> Chosen | None:
    """Find the runs that a command is about; None, with a word about it, where there are none."""
    if not runs and not any(filters):
        raise InputError(
            "Which runs? Name them by their ids, or choose them by --dataset, --method or --status."
        )
    store = opened(registry, runs[0]) if runs else open_registry(registry)
    found: Wanted = wanted(store, *filters)
    ids = ids_of(store, runs, found) if store else []
    if store is None or not ids:
        err().print("There are no such runs: dfgctl runs list shows those that there are.")
        return None
    status = store.statuses(ids)
    fit = [run_id for run_id in ids if status.get(run_id) in states]
    others = [run_id for run_id in ids if status.get(run_id) not in states]
    return Chosen(store, fit, others, bool(runs))


def _agreed(verb: str, chosen: Chosen, yes: bool) -> bool:
    """Ask, where there is anything to do."""
    if not chosen.fit:
        return True
    if len(chosen.fit) > 1:
        return confirmed(f"{verb} {counted(len(chosen.fit), 'run')}?", yes)
    return confirmed(f"{verb} run {_name(chosen.store.run(chosen.fit[0]))}?", yes)


def _say(verb: str, store: "Registry", ids: Sequence[str]) -> None:
    for line in _lines(verb, store, ids):
        out().print(line, markup=False, soft_wrap=True)


def _lines(verb: str, store: "Registry", ids: Sequence[str]) -> list[str]:
    if len(ids) > EACH:
        return [f"{verb} {counted(len(ids), 'run')}."]
    return [f"{verb} {_name(run)}." for run in store.runs(ids)]


def _name(run: "Run") -> str:
    spec = run.spec
    return f"{short(run.id)} ({spec.dataset} {spec.method} {combination(spec, 4)} seed {spec.seed})"


def _say_others(chosen: Chosen, done: Sequence[str], reason: str) -> None:
    """Name the runs that nothing was done about, or count them where filters chose them."""
    from dfgctl.cli.names import status as status_of

    left = [*chosen.others, *(set(chosen.fit) - set(done))]
    if not left:
        return
    found = chosen.store.runs(left)
    if chosen.named and len(found) <= EACH:
        for run in found:
            line = f"Left {_name(run)} as it is: it is {status_of(run)}, {reason}."
            err().print(line, markup=False, soft_wrap=True)
        return
    counts = ", ".join(f"{n:,} {s}" for s, n in sorted(Counter(r.status for r in found).items()))
    are = "as it is" if len(found) == 1 else "as they are"
    line = f"Left {counted(len(found), 'run')} {are} ({counts}): {reason}."
    err().print(line, markup=False, soft_wrap=True)


def _delete_files(folder: Path, run_id: str) -> list[Path]:
    """Delete a run's files; return those that cannot be deleted."""
    files = [*(folder / "weights").glob(f"{run_id}.*"), folder / "logs" / f"{run_id}.log"]
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
    checkpoints = folder / "checkpoints" / run_id
    shutil.rmtree(checkpoints, ignore_errors=True)
    return [file for file in (*files, checkpoints) if file.exists()]
