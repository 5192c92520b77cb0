"""Trains one claimed pack, from its checkpoints on, and writes what comes."""

import contextlib
import errno
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch

from dfgctl.checkpoints import Checkpoint, Checkpoints
from dfgctl.data.arrays import ImageArrays
from dfgctl.devices import Meter
from dfgctl.dispatch.events import Observer
from dfgctl.dispatch.place import Place
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import LeaseLostError
from dfgctl.events import Done, Evaluated, Event, Kept, Noted, Stepped
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.weights import write
from dfgctl.records import Claim, Measurement
from dfgctl.registry import Registry
from dfgctl.state import Saved, StateError
from dfgctl.training import train

SHORTEST = 60.0
"""Seconds between checkpoints at the least, where their steps are not given."""

SHARE = 0.005
"""Share of the time that writing checkpoints may take then."""

DISK_PAUSE = 5.0
"""Seconds between tries to write final weights to a disk that is full."""


class Cadence:
    """Says when checkpoints are due.

    Args:
        every: steps between them; None for as often as costs next to nothing; 0 for never.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every
        self.written, self.cost = time.monotonic(), 0.0

    def due(self, step: int) -> bool:
        """Say whether checkpoints are to be written after a step."""
        if self.every is not None:
            return self.every > 0 and step % self.every == 0
        return time.monotonic() - self.written > max(SHORTEST, self.cost / SHARE)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Note when checkpoints are written, and what that costs."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.written = time.monotonic()
            self.cost = self.written - start


class PackTraining:
    """The training of a claim.

    Args:
        registry: the registry.
        claim: the pack.
        place: where to train.
        observer: who watches.
        stop: whether to stop.
        meter: measures the device's memory, for what the pack takes; None measures nothing.

    Attributes:
        left: places in the claim of those runs that are still this worker's and have not ended.
        stepped: whether a step was done.
    """

    def __init__(
        self,
        registry: Registry,
        claim: Claim,
        place: Place,
        observer: Observer,
        stop: Stop,
        meter: Meter | None = None,
    ) -> None:
        self.registry, self.claim, self.place = registry, claim, place
        self.observer, self.stop, self.meter = observer, stop, meter
        self.left = set(range(len(claim.runs)))
        self.stepped = False
        self._held = frozenset(self.left)
        self._checkpoints = Checkpoints(registry.folder / "checkpoints")
        self._cadence = Cadence(place.checkpoint_every)

    def beat(self) -> None:
        """Renew the lease, and learn which runs are still held.

        Raises:
            LeaseLostError: none.
        """
        self._held = self.registry.beat(self.claim)

    def train(
        self, data: ImageArrays, source: SourceWeights | None, check: Callable[[], None]
    ) -> None:
        """Train the pack to its end, or until a stop is asked for.

        Args:
            data: the target data set.
            source: the source network.
            check: raises if the lease is lost.

        Raises:
            LeaseLostError: none of the runs is this worker's any more.
            StoppedError: a stop was asked for; checkpoints are written.
        """
        asked = False
        with contextlib.closing(self._events(data, source)) as events:
            for event in events:
                check()
                self._drop()
                match event:
                    case Stepped(step):
                        self.stepped = True
                        if asked:
                            self.observer.trouble("This method's state cannot be saved.")
                            self.stop.check()
                        asked = self.stop.reason is not None
                        self.observer.stepped(step)
                    case Evaluated(step, measurements, diverged):
                        self._record(step, measurements)
                        self._fail_diverged(step, diverged)
                    case Kept(step, states):
                        self._keep(step, states)
                        self.stop.check()
                    case Noted(text):
                        self.observer.trouble(text)
                    case Done(metrics, weights):
                        for i in sorted(set(metrics) & self.left):
                            self._finish(i, metrics[i], weights[i])

    def _events(
        self, data: ImageArrays, source: SourceWeights | None
    ) -> Generator[Event, None, None]:
        """Train from the newest checkpoints on; where they do not fit, from step 0 on."""
        step, read = self._found()
        misfit = ""
        try:
            yield from self._trained(data, source, step, read)
        except StateError as error:
            # Raised before the first step, by what another version of the method has written.
            misfit = str(error)  # the error itself holds what the pack held
        if misfit:
            self.observer.trouble(f"The checkpoints do not fit ({misfit}): from step 0 on.")
            yield from self._trained(data, source, 0, [])

    def _trained(
        self,
        data: ImageArrays,
        source: SourceWeights | None,
        step: int,
        checkpoints: Sequence[Checkpoint],
    ) -> Generator[Event, None, None]:
        if self.claim.step:
            self.registry.resumed(self.claim, step, [c.attempt for c in checkpoints])
        for run, number in zip(self.claim.runs, self.claim.attempts, strict=True):
            if number > 1:
                before = self.registry.attempts(run.id)[number - 2]
                if before.outcome in ("lost", "cancelled"):
                    self.observer.went_before(run, before)
        self.observer.pack_started(self.claim, step)
        if step < self.claim.step:
            self.observer.trouble(
                f"The checkpoints of step {self.claim.step:,} in {self._checkpoints.folder} are "
                f"not there or cannot be read: from step {step:,} on."
            )
        if self.meter is not None:
            self.meter.reset()
        yield from train(
            [run.spec for run in self.claim.runs],
            [run.class_counts for run in self.claim.runs],
            data,
            source,
            self.place.device,
            resume=[c.saved for c in checkpoints] if step else None,
            keep=lambda step: self.stop.reason is not None or self._cadence.due(step),
        )

    def fail(self, outcome: str, error: str) -> None:
        """Mark all runs that are left as failed."""
        for i in sorted(self.left):
            self._fail(i, outcome, error)

    def _found(self) -> tuple[int, list[Checkpoint]]:
        """Return the newest step of which all runs have checkpoints, with these; 0 without any."""
        if not self.claim.step:
            return 0, []
        ids = [run.id for run in self.claim.runs]
        found = self._checkpoints.newest_common(ids, at_most=self.claim.step)
        return found or (0, [])

    def _keep(self, step: int, states: Mapping[int, Saved]) -> None:
        """Write checkpoints; where the disk has no room, the older ones serve on."""
        self.beat()  # a worker that was suspended must not write over another's
        self._drop()
        try:
            with self._cadence.writing():
                for i in sorted(set(states) & self.left):
                    run, attempt = self.claim.runs[i], self.claim.attempts[i]
                    self._checkpoints.write(run.id, attempt, states[i])
        except OSError as error:
            self.observer.trouble(f"No checkpoint at step {step:,}: {error.strerror or error}.")
            for run in self.claim.runs:  # those of some members are of no use, and take room
                self._checkpoints.remove(run.id, step)
            return
        self.registry.checkpointed(self.claim, step)
        for i in sorted(self.left):
            self._checkpoints.prune(self.claim.runs[i].id, step)
        self.observer.checkpointed(step)

    def _record(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        mine = {i: m for i, m in measurements.items() if i in self.left}
        if mine:
            self.registry.record(self.claim, mine)
        self.observer.evaluated(step, mine)

    def _finish(self, i: int, metrics: Any, weights: Mapping[str, torch.Tensor]) -> None:
        run = self.claim.runs[i]
        try:
            self._save(run.id, self.claim.attempts[i], weights)
        except OSError as error:
            self._fail(i, "failed", f"Its weights cannot be written: {error}")
            return
        try:
            used = self.meter.used() if self.meter is not None else None
            self.registry.finish(self.claim, i, metrics, used)
        except LeaseLostError:
            self._dropped(i)
            return
        self._ended(i)
        self._checkpoints.clear(run.id)
        self.observer.run_finished(run, metrics)

    def _fail_diverged(self, step: int, diverged: frozenset[int]) -> None:
        for i in sorted(diverged & self.left):
            error = f"A loss was not finite between this and the last evaluation, at step {step:,}."
            if self._fail(i, "diverged", error):
                self._checkpoints.clear(self.claim.runs[i].id)

    def _fail(self, i: int, outcome: str, error: str) -> bool:
        """Mark a run as failed; say whether it was still this worker's."""
        try:
            self.registry.fail(self.claim, i, outcome, error)
        except LeaseLostError:
            self._dropped(i)
            return False
        self._ended(i)
        self.observer.run_failed(self.claim.runs[i], outcome, error)
        return True

    def _drop(self) -> None:
        """Forget runs that were cancelled or have passed to another worker."""
        for i in sorted(self.left - self._held):
            self._dropped(i)

    def _dropped(self, i: int) -> None:
        self._ended(i)
        self.observer.run_dropped(self.claim.runs[i])

    def _ended(self, i: int) -> None:
        self.left.discard(i)
        self._held -= {i}

    def _save(self, run_id: str, attempt: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Write an attempt's final weights; no other attempt has a file of that name.

        A disk that is full is waited for as patiently as the registry is.
        """
        target = self.registry.folder / "weights" / f"{run_id}.{attempt}.safetensors"
        state = {n: t.cpu().contiguous() for n, t in weights.items()}
        deadline = time.monotonic() + self.registry.patience
        while True:
            try:
                write(target, state, durable=True)
                return
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                if time.monotonic() + DISK_PAUSE > deadline:
                    raise
                self.observer.trouble(f"{target.parent}: {error.strerror}.")
                time.sleep(DISK_PAUSE)
