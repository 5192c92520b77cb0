"""How ``dfgctl run`` gets its runs trained: in this process, by workers beside it, or by Slurm."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dfgctl.cli.output import err, escape
from dfgctl.cli.worker import every_of, pack_of
from dfgctl.errors import DfgctlError, InputError, UnknownNameError, WorkersFailedError
from dfgctl.records import PRECISIONS

if TYPE_CHECKING:
    from dfgctl.cli.watch import Watch
    from dfgctl.dispatch.crew import Job
    from dfgctl.dispatch.slurm import SlurmOptions
    from dfgctl.dispatch.stopping import Stop
    from dfgctl.records import PlannedRun
    from dfgctl.registry import Registry

LAUNCHERS = ("local", "slurm", "dry-run")

REPAYING = 60.0
"""Seconds of training from which on it repays to start workers, which takes some seconds."""

WORKER_BYTES = 2 * 2**30
"""Memory that a worker with small networks may take."""


@dataclass(frozen=True)
class Launch:
    """How runs get trained: the options of ``dfgctl run`` that do not change a result.

    Attributes:
        registry: the registry, as it was named.
        launcher: ``local``, ``slurm`` or ``dry-run``.
        workers: how many workers; None for one a device, or see ``on_all_cores``.
        detach: whether the command returns at once.
        device: the device's name.
        pack: ``--pack``.
        data_dir: the data directory.
        checkpoint_every: ``--checkpoint-every``.
        slurm: what jobs ask Slurm for.
        deterministic: ``--deterministic``.
    """

    registry: str
    launcher: str
    workers: int | None
    detach: bool
    device: str
    pack: str
    data_dir: Path
    checkpoint_every: str
    slurm: "SlurmOptions"
    deterministic: bool = False

    def check(self) -> None:
        """Check the options, before a picture is looked at.

        Raises:
            InputError: one of them cannot be.
        """
        if self.launcher not in LAUNCHERS:
            raise UnknownNameError("launcher", self.launcher, LAUNCHERS)
        pack_of(self.pack)
        every_of(self.checkpoint_every)
        if self.launcher != "local":
            from dfgctl.cli.slurm import check

            check(self)
        elif given := self.slurm.given:
            raise InputError(f"{given} is for Slurm: add --launcher slurm (or dry-run).")

    def check_precision(self, precision: str) -> None:
        """Check that the devices on which workers are to train have a precision.

        What Slurm's nodes have is not known here, but they can be told to train on their CPUs.

        Raises:
            InputError: one of them has it not, or is not there.
        """
        if self.launcher != "local" and (self.device != "cpu" or precision == PRECISIONS[0]):
            return
        import torch

        from dfgctl.dispatch.place import shared_out
        from dfgctl.numerics import check_precision

        for name in dict.fromkeys(shared_out(self.device, self.workers)):
            check_precision(torch.device(name), precision)

    def on_all_cores(self, runs: "Sequence[PlannedRun]", seconds: float | None) -> Self:
        """Let small networks train in a worker for each core, where nobody said how many.

        A second thread does little for them, a second run side by side does much.

        Args:
            runs: what is still to be trained.
            seconds: how long it will take; None if that is not known.
        """
        small = all(run.spec.backbone == "lenet5" for run in runs)
        if self.launcher != "local" or self.workers or not small or (seconds or 0) < REPAYING:
            return self
        from dfgctl.devices import HostMeter
        from dfgctl.dispatch.place import choose_device
        from dfgctl.processor import cores

        if choose_device(self.device).type != "cpu":
            return self
        packs = -(-len(runs) // (pack_of(self.pack) or 1))
        workers = min(cores(), packs, HostMeter().total // WORKER_BYTES)
        return replace(self, workers=workers) if workers > 1 else self

    def job(self, plan: str, device: str, threads: int | None = None) -> "Job":
        """Return what a worker is started with."""
        from dfgctl.dispatch.crew import Job
        from dfgctl.registry.engine import registry_url, sqlite_path

        path = sqlite_path(registry_url(self.registry))
        where = str(path.resolve()) if path else self.registry
        how = (self.pack, self.data_dir, self.checkpoint_every, threads, self.deterministic)
        return Job(where, plan, device, *how)

    def jobs(self, plan: str) -> "list[Job]":
        """Return what each local worker is started with; CPU cores are shared out."""
        from dfgctl.dispatch.place import shared_out
        from dfgctl.processor import cores

        threads = None
        if self.workers is not None and self.workers > 1:
            threads = max(1, cores() // self.workers)
        return [self.job(plan, name, threads) for name in shared_out(self.device, self.workers)]


def train(launch: Launch, store: "Registry", plan: str, missing: int) -> bool:
    """Get a plan's runs trained.

    Args:
        launch: how.
        store: the registry.
        plan: the plan's id.
        missing: how many of its runs are still to be trained.

    Returns:
        Whether they have ended; False where they go on without this command.

    Raises:
        StoppedError: a stop was asked for.
        WorkersFailedError: all workers died, or all Slurm jobs ended.
    """
    if launch.launcher == "slurm":
        from dfgctl.cli.slurm import submitted

        return submitted(launch, store, plan, missing)
    from dfgctl.dispatch.stopping import Stop

    jobs = launch.jobs(plan)
    if launch.detach:
        if store.counts(plan)["queued"]:
            _detached(jobs, store)
        else:
            err().print("No worker is needed. Look on: dfgctl runs watch")
        return False
    stop = Stop()
    with stop.listening():
        if len(jobs) == 1:
            _here(launch, store, plan, missing, stop)
        else:
            _beside(jobs, store, plan, missing, stop)
    return True


def _here(launch: Launch, store: "Registry", plan: str, missing: int, stop: "Stop") -> None:
    """Train in this process: the one worker's."""
    from dfgctl.cli.live import watcher
    from dfgctl.dispatch.place import Place, choose_device
    from dfgctl.dispatch.worker import Worker

    place = Place(
        choose_device(launch.device),
        pack_of(launch.pack),
        launch.data_dir,
        every_of(launch.checkpoint_every),
        launch.deterministic,
    )
    with watcher(missing) as watch:
        Worker(store, place, watch, plan, stop).work()


def _detached(jobs: "list[Job]", store: "Registry") -> None:
    from dfgctl.cli.names import counted
    from dfgctl.dispatch.crew import Crew

    crew = Crew(jobs, store.folder / "logs", detached=True)
    crew.start()
    console = err()
    console.print(f"{counted(len(jobs), 'worker')} at work. Look on: dfgctl runs watch")
    for member in crew.members:
        console.print(f"  process {member.process.pid}, log {escape(str(member.log))}")


def _beside(jobs: "list[Job]", store: "Registry", plan: str, missing: int, stop: "Stop") -> None:
    """Train by worker processes, and watch them."""
    from dfgctl.cli.watch import LOOK_SECONDS, Watch, watched
    from dfgctl.dispatch.crew import Crew

    crew = Crew(jobs, store.folder / "logs")
    watch = patient(store, Watch(store, plan, missing))

    def ask() -> None:  # in a signal's handler, where nothing may be printed
        crew.stop()
        watch.news.append("Stopping after this step, with checkpoints; Ctrl-C again stops at once.")

    stop.on_request = ask

    def more() -> bool:
        for death in crew.deaths(replace=stop.reason is None):
            _lose(store, death.pid, death.log, f"Its worker died: {death.how}.")
            again = "" if death.given_up else " Another takes its place."
            watch.news.append(
                f"Worker {death.host}:{death.pid} ended ({death.how}), see {death.log}.{again}"
            )
        if stop.reason is not None:
            crew.stop()  # those, too, that were started since
            if crew.alive:
                time.sleep(LOOK_SECONDS / 4)
            return crew.alive > 0
        if watch.busy and not crew.members:
            raise WorkersFailedError(
                f"All workers died: see {store.folder / 'logs'}, and type the command again."
            )
        if watch.counts["queued"] and not crew.alive:
            crew.restart()
        stop.wait(LOOK_SECONDS)
        return watch.busy or crew.alive > 0

    try:
        crew.start()
        watched(watch, more)
    except KeyboardInterrupt:
        crew.kill()
        store.patience = 0.0
        with contextlib.suppress(DfgctlError):
            for member in crew.members:
                _lose(store, member.process.pid, member.log, "Stopped at once.", "interrupted")
        raise
    except BaseException:
        crew.stop()
        crew.wait()
        raise
    stop.check()


def patient(store: "Registry", watch: "Watch") -> "Watch":
    """Let a registry that is away for a while be waited for, and the watcher say so."""
    from dfgctl.dispatch.worker import PATIENCE

    store.patience = PATIENCE
    store.on_trouble = watch.trouble
    return watch


def _lose(store: "Registry", pid: int, log: Path, error: str, outcome: str = "lost") -> None:
    """Return what a dead worker of this machine had to the queue, without waiting for its lease."""
    for worker in store.workers(gone=True):
        if worker.pid == pid and worker.log == str(log) and worker.ended_at is None:
            store.lose(worker.name, error, outcome)
