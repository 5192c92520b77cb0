"""A worker: claims packs of queued runs, and trains them one after the other."""

import os
import platform
import time
import traceback
import uuid
from datetime import UTC, datetime
from pathlib import Path

import torch

from dfgctl import RESULTS_VERSION, provenance
from dfgctl.devices import Meter, is_memory, meter_of
from dfgctl.dispatch.desk import Desk
from dfgctl.dispatch.events import Observer, Observers
from dfgctl.dispatch.lease import kept_alive
from dfgctl.dispatch.logs import RunLogs
from dfgctl.dispatch.packs import PackTraining
from dfgctl.dispatch.pictures import Pictures
from dfgctl.dispatch.place import Place, check_usable
from dfgctl.dispatch.sizes import PackSizes
from dfgctl.dispatch.sources import SourceNetworks
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import (
    InputError,
    LeaseLostError,
    RegistryUnavailableError,
    StoppedError,
    WorkersFailedError,
    first_line,
)
from dfgctl.numerics import NEEDS, deterministic, without_determinism
from dfgctl.records import Claim, WorkerState
from dfgctl.registry import Registry

POLL_SECONDS = 1.0
"""Time between looks at runs that other processes train."""

PATIENCE = 600.0
"""Seconds for which a worker waits for a registry or a disk that takes nothing."""


FRUITLESS = 10
"""Packs that may fail in a row before their first step."""


class Worker:
    """Trains queued runs.

    Args:
        registry: the registry, in which the runs are queued.
        place: where to train.
        observer: who watches.
        plan: the plan whose runs are wanted; None for any.
        stop: whether to stop.
        waits: whether it waits for runs that others train, which may come back.
        idle: seconds that it waits for runs when there is nothing to do: new ones, or without
            ``waits`` those of others that come back.
        strict: whether bad input ends the worker and leaves its runs queued, instead of failing
            them; for a command whose user is there to read it.
        launcher: what started it.
        log: the file that has what it prints.
        meter: measures the device's memory; None for what the device has.
    """

    def __init__(
        self,
        registry: Registry,
        place: Place,
        observer: Observer,
        plan: str | None = None,
        stop: Stop | None = None,
        waits: bool = True,
        idle: float = 0.0,
        strict: bool = True,
        launcher: str = "run",
        log: Path | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.registry, self.place, self.plan = registry, place, plan
        self.stop = stop or Stop()
        self.waits, self.idle, self.strict = waits, idle, strict
        self.fruitless = 0
        self.provenance = {
            **provenance.collect(torch.get_num_threads() if place.device.type == "cpu" else None),
            "device": place.device_name,
            "deterministic": place.deterministic,
        }
        host, pid = platform.node(), os.getpid()
        self.name = f"{host}:{pid}:{uuid.uuid4().hex[:6]}"
        now = datetime.now(UTC).replace(tzinfo=None)
        state = WorkerState(
            self.name,
            host,
            pid,
            place.device_name,
            launcher,
            started_at=now,
            seen_at=now,
            ended_at=None,
            doing={},
            log=str(log) if log else None,
        )
        self.desk = Desk(registry, state)
        logs = RunLogs(registry.folder / "logs", self.name, place.device_name)
        self.observer = Observers([logs, self.desk, observer])
        self.pictures = Pictures(registry.folder, place.data_dir, self.observer.data_prepared)
        self.sources = SourceNetworks(
            registry, place, self.pictures, self.observer, self.stop, self.provenance
        )
        self.meter = meter or meter_of(place.device)
        self.sizes = PackSizes(
            registry,
            place,
            self.meter,
            self.pictures,
            self.sources,
            self.observer,
            self.stop,
        )

    def work(self) -> None:
        """Train until nothing is left that is wanted and can be trained here.

        Runs of a precision that the device has not are passed by.

        Raises:
            StoppedError: a stop was asked for.
            InputError: strict, and the input of a run is bad.
            RegistryUnavailableError: the registry was away for too long.
        """
        self.registry.patience = PATIENCE
        self.registry.on_trouble = self.observer.trouble
        self.stop.on_request = self.observer.stopping
        bored = time.monotonic()
        precisions = self.place.precisions
        with self.desk.open(), deterministic(self.place.deterministic):
            while True:
                self.stop.check()
                self.registry.expire()
                try:
                    size = self.sizes.next(self.plan)
                except LeaseLostError:
                    continue  # the source network's: another has it
                claim = self.registry.claim(
                    self.plan,
                    size,
                    self.name,
                    self.place.device_name,
                    self.provenance,
                    precisions,
                )
                if claim is not None:
                    self._train(claim)
                    bored = time.monotonic()
                    continue
                counts = self.registry.counts(self.plan)
                left = self._left(counts["queued"])
                queued = counts["queued"] - sum(count for _, count in left)
                busy = queued > 0 or (self.waits and counts["running"])
                # Nothing can come back to a plan that nobody trains.
                idle = self.idle if self.plan is None or counts["running"] else 0.0
                if not busy and time.monotonic() - bored >= idle:
                    for text, _ in left:
                        self.observer.trouble(text)
                    return
                self.observer.waiting(counts["running"])
                self.stop.wait(POLL_SECONDS)

    def _left(self, queued: int) -> list[tuple[str, int]]:
        """Say which queued runs this worker cannot train, and how many they are."""
        if not queued:
            return []
        said = []
        passed = self.registry.passed_by(self.plan, self.place.precisions)
        for precision, count in passed.items():
            needs = NEEDS.get(precision, "a newer dfgctl")
            text = (
                f"Left in the queue: {count:,} of --precision {precision}, in which "
                f"{self.place.device_name} cannot train. Start a worker on {needs}."
            )
            said.append((text, count))
        for version, count in self.registry.of_other_versions(self.plan).items():
            text = (
                f"Left in the queue: {count:,} of results version {version}; this dfgctl gives "
                f"version {RESULTS_VERSION}. Cancel them (dfgctl runs cancel), and type their "
                "dfgctl run command again."
            )
            said.append((text, count))
        return said

    def _train(self, claim: Claim) -> None:
        """Train a pack; whatever goes wrong is stored with its runs, and the next pack goes on."""
        watching = Observers([self.observer, self.sizes])
        pack = PackTraining(self.registry, claim, self.place, watching, self.stop, self.meter)
        first = claim.runs[0]
        if (reason := self.sizes.refused(claim)) is not None:
            pack.fail("out-of-memory", reason)
            return
        out_of_memory = ""
        try:
            with kept_alive(pack.beat) as check:
                source = self.sources.get(first.spec.source_identity, check)
                data = self.pictures.target(first.spec, first.card)
                pack.train(data, source, check)
        except LeaseLostError:
            self._return(claim, "interrupted")  # what it still holds, if it was the source's lease
        except StoppedError as stopped:
            self._return(claim, stopped.reason)
            raise
        except InputError as error:
            if self.strict:
                self._return(claim, "interrupted")
                raise
            pack.fail("failed", str(error))
            self._barren(pack, str(error))
        except RegistryUnavailableError:
            raise  # nothing can be written; the lease ends by itself
        except Exception as error:
            if is_memory(error):
                # Until this block ends, the error holds what the pack held.
                out_of_memory = str(error) or type(error).__name__
            elif (operation := without_determinism(error)) is not None:
                reason = (
                    f"{operation} has no deterministic version on {self.place.device_name}: train "
                    "without --deterministic."
                )
                pack.fail("failed", reason)
                self._barren(pack, reason)
            else:
                pack.fail("failed", traceback.format_exc())
                self._barren(pack, str(error))
        except BaseException:
            self.registry.patience = 0.0  # at once
            self._return(claim, "interrupted")
            raise
        else:
            self.fruitless = 0
        if out_of_memory:
            self._ran_out(pack, claim, out_of_memory)

    def _ran_out(self, pack: PackTraining, claim: Claim, error: str) -> None:
        """Remember what did not fit, then give its runs back; one that was alone has failed."""
        self.sizes.ran_out(claim, error)
        if len(claim.runs) == 1:
            pack.fail("out-of-memory", error)
            return
        self.registry.out_of_memory(claim, error)
        self.observer.pack_returned(claim, "out of memory: again in smaller packs")

    def _barren(self, pack: PackTraining, error: str) -> None:
        """End where this worker fails one pack after the other: it, not they, may be the cause.

        Raises:
            WorkersFailedError: its device is broken, or too many packs failed before a step.
        """
        self.fruitless = 0 if pack.stepped else self.fruitless + 1
        check_usable(error, self.place.device_name)
        if self.fruitless >= FRUITLESS:
            raise WorkersFailedError(
                f"{FRUITLESS} packs in a row failed before their first step, the last one by: "
                f"{first_line(error)} Mend that, and queue them again with dfgctl runs retry."
            )

    def _return(self, claim: Claim, outcome: str) -> None:
        if self.registry.release(claim, outcome):
            self.observer.pack_returned(claim, outcome)
