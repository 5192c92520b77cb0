"""How ``dfgctl tune`` searches, here or by processes beside it, and what it shows in the end."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfgctl.cli.output import err, escape, print_json, whole_file
from dfgctl.errors import InputError, NothingToShowError, StoppedError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from dfgctl.cli.planning import Target
    from dfgctl.data.manifest import Manifest
    from dfgctl.dispatch.place import Place
    from dfgctl.dispatch.request import Checked, Request
    from dfgctl.dispatch.stopping import Stop
    from dfgctl.records import DatasetCard
    from dfgctl.registry import Registry
    from dfgctl.tuning.outcome import Outcome
    from dfgctl.tuning.task import Task

STOPPED = "Stopped. Trials that have ended are kept: type the command again to go on."


@dataclass(frozen=True)
class Search:
    """What was asked of ``dfgctl tune``, whose options say more.

    Attributes:
        request: what is to be trained.
        target: the data set.
        named: what a command calls it.
        typed: the words with which another process makes the same search.
        helps: whether this process helps another, which shows what was found.
    """

    request: "Request"
    target: "Target"
    named: str
    typed: tuple[str, ...]
    registry: str
    data_dir: Path
    trials: int | None
    seed: int | None
    select: str
    pack: int | None
    device: str
    workers: int
    threads: int | None
    helps: bool

    @property
    def wanted(self) -> int:
        """How many trials each method is to have."""
        from dfgctl.tuning.tasks import TRIALS

        return self.trials or TRIALS

    def tasks(self, folder: Path, keep: bool) -> "tuple[list[Task], Checked, Manifest]":
        """Return the searches, with the request as it was checked and the data set's manifest.

        Args:
            folder: where results lie, and checksums are remembered.
            keep: whether what is missing is downloaded, and new checksums are written.

        Raises:
            InputError: something cannot be.
        """
        from dfgctl.cli.planning import manifests
        from dfgctl.dispatch.request import check
        from dfgctl.tuning.pairs import tuning_pairs
        from dfgctl.tuning.tasks import check_one_point, tasks

        checked = check(self.request)
        check_one_point(checked)
        data, source = manifests(checked, self.target, self.data_dir, folder, keep)
        pairs = tuning_pairs(checked, self.seed)
        return tasks(checked, data, source, pairs, self.select), checked, data


def tune_all(search: Search, json: bool) -> None:
    """Search until each method has had its trials, then write and show what was found.

    Raises:
        StoppedError: a stop was asked for.
        TrialFailedError: a trial broke.
        WorkersFailedError: all helping processes died.
    """
    from dfgctl.cli.names import counted as number
    from dfgctl.cli.options import open_registry
    from dfgctl.cli.tuning_crew import beside
    from dfgctl.dispatch.plan import card_of
    from dfgctl.dispatch.stopping import Stop
    from dfgctl.registry.studies import studies
    from dfgctl.tuning.search import counted, open_study

    stop = Stop()
    if search.helps:
        stop.with_parent(sys.stdin.fileno())
    with stop.listening():
        store = open_registry(search.registry, create=True)
        assert store is not None
        if store.read_only:
            raise InputError(f"{store.where} cannot be written: a search needs to.")
        tasks, checked, data = search.tasks(store.folder, keep=True)
        card = card_of(checked, data)
        for task in tasks:
            if task.network is not None:
                store.keep_source(task.network)
        with studies(search.registry) as storage:
            there = [len(counted(open_study(task, storage))) for task in tasks]
            missing = sum(max(0, search.wanted - n) for n in there)
            if not search.helps:
                err().print(
                    f"{checked.recipe.name}: {number(len(tasks), 'method')} with "
                    f"{number(search.wanted, 'trial')} of {number(len(tasks[0].pairs), 'run')} "
                    f"each, {missing} to train."
                )
            if missing:
                try:
                    if search.workers > 1:
                        beside(search, store, storage, tasks, stop)
                    else:
                        _here(search, store, storage, tasks, card, stop)
                except StoppedError as stopped:
                    raise StoppedError(STOPPED, stopped.reason) from None
            if not search.helps:
                _conclude(search, storage, tasks, store.folder, json)


def show_found(search: Search, json: bool) -> None:
    """Show what was found so far.

    Raises:
        NothingToShowError: nothing was tuned.
    """
    from dfgctl.registry.engine import home
    from dfgctl.registry.studies import exists, studies
    from dfgctl.tuning.outcome import outcome
    from dfgctl.tuning.search import known_study

    tasks, checked, _ = search.tasks(home(search.registry), keep=False)
    found: list[Outcome] = []
    if exists(search.registry):
        with studies(search.registry) as storage:
            begun = [(task, known_study(task, storage)) for task in tasks]
            found = [outcome(t, study, search.trials) for t, study in begun if study is not None]
    if not any(o.trials for o in found):
        raise NothingToShowError(
            f"Nothing was tuned like this on {checked.recipe.name} yet: the same command without "
            "--show does it."
        )
    _show([o for o in found if o.trials], json)


def _here(
    search: Search,
    store: "Registry",
    storage: "RDBStorage",
    tasks: "Sequence[Task]",
    card: "DatasetCard",
    stop: "Stop",
) -> None:
    """Search in this process, one method after the other."""
    import torch

    from dfgctl import provenance
    from dfgctl.cli.live import watcher
    from dfgctl.cli.tuning_crew import Teller
    from dfgctl.dispatch.pictures import Pictures
    from dfgctl.dispatch.place import Place, choose_device
    from dfgctl.dispatch.sources import SourceNetworks
    from dfgctl.numerics import check_precision
    from dfgctl.registry.studies import lost_at_once
    from dfgctl.tuning.objective import Training
    from dfgctl.tuning.search import counted, open_study
    from dfgctl.tuning.search import search as find

    if search.threads is not None:
        torch.set_num_threads(search.threads)
    place = Place(choose_device(search.device), search.pack, search.data_dir)
    check_precision(place.device, tasks[0].spec.precision)
    made = {**provenance.collect(torch.get_num_threads()), "device": place.device_name}
    facts = {name: made[name] for name in ("device", "commit", "dirty")}
    with watcher() as watch:
        stop.on_request = lambda: watch.say("Stopping after this step; Ctrl-C again stops at once.")
        pictures = Pictures(store.folder, search.data_dir, watch.data_prepared)
        sources = SourceNetworks(store, place, pictures, watch, stop, made)
        for task in tasks:
            study = open_study(task, storage)
            if len(counted(study)) >= search.wanted:
                continue
            network = task.network.identity() if task.network is not None else None
            objective = Training(
                task,
                pictures.target(task.spec, card),
                sources.get(network, lambda: None),
                place.device,
                _pack(search, place, task),
                stop,
                begun=lambda steps, name=task.title: watch.trial_started(name, steps),  # type: ignore[misc]
                stepped=watch.stepped,
            )
            teller = Teller(watch, task, search.wanted, study)
            seed = task.pairs[0][1]
            lost = partial(lost_at_once, storage, task.study)
            find(study, task, search.wanted, seed, objective, stop, facts, teller.tell, lost)


def _pack(search: Search, place: "Place", task: "Task") -> int:
    """Return how many runs are trained together: on a CPU one, as that is no slower there."""
    from dfgctl.networks.catalog import BACKBONES

    if search.pack is not None:
        return search.pack
    return 1 if place.device.type == "cpu" else BACKBONES[task.spec.backbone].pack


def _conclude(
    search: Search, storage: "RDBStorage", tasks: "Sequence[Task]", folder: Path, json: bool
) -> None:
    """Write a fragment and a picture for each search, and show them all."""
    from dfgctl.dispatch.tuned import init_of
    from dfgctl.fragments import path_of
    from dfgctl.report.figures import save
    from dfgctl.tuning.outcome import outcome
    from dfgctl.tuning.picture import draw
    from dfgctl.tuning.search import open_study
    from dfgctl.tuning.tasks import command, use
    from dfgctl.tuning.writing import fragment

    found = [outcome(task, open_study(task, storage), search.wanted) for task in tasks]
    for one in found:
        if one.best is None:
            continue
        task = one.task
        init = init_of(task.variant, task.method)
        file = path_of(folder, task.spec.dataset, task.method.name, init)
        with whole_file(file, "free its name, or name another --registry") as opened:
            made = command(task, search.wanted, search.named, search.seed)
            opened.write(fragment(one, made, use([task], search.named)))
        save(draw(one), file.with_suffix(".png"))
        err().print(f"Wrote {escape(str(file))} and its picture", soft_wrap=True)
    _show(found, json)
    asked = tuple(dict.fromkeys(search.request.methods))
    err().print(f"Use them: {escape(use(tasks, search.named, asked))}", soft_wrap=True)


def _show(found: "Sequence[Outcome]", json: bool) -> None:
    from dfgctl.cli.table_view import show
    from dfgctl.tuning.table import make, record

    if json:
        print_json([record(one) for one in found])
    else:
        show(make(found))
