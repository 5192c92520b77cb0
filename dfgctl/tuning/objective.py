"""Trains one trial: all its pairs side by side, and looks at held-out images only."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import torch

from dfgctl.data.arrays import ImageArrays
from dfgctl.devices import device_name, is_memory
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import SettingError, TrialFailedError, first_line
from dfgctl.events import Evaluated, Event, Stepped
from dfgctl.methods.base import SourceWeights
from dfgctl.records import PlannedRun
from dfgctl.training import train
from dfgctl.tuning.search import Report, Trained
from dfgctl.tuning.task import Task

VAL = "val"
"""The objective that takes each run's best step by its held-out images, not its last."""


class Training:
    """The objective: the mean over the pairs of the balanced accuracy on held-out images.

    A pair that diverges counts as chance, 1/K, which is what a network that says nothing has; so
    does a trial whose settings cannot go together.

    Args:
        task: what is tuned.
        data: the target data set; its test images are dropped.
        source: the source network; None where the method starts from random weights.
        device: where to train.
        pack: runs that are trained together at the most.
        stop: whether to stop.
        begun: told of a trial's steps as it begins.
        stepped: told of each step.
    """

    def __init__(
        self,
        task: Task,
        data: ImageArrays,
        source: SourceWeights | None,
        device: torch.device,
        pack: int,
        stop: Stop,
        begun: Callable[[int], None] = lambda _: None,
        stepped: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.task, self.source, self.device, self.pack = task, source, device, pack
        self.data = replace(data, test=data.test[:0], test_labels=data.test_labels[:0])
        if data.test_seen is not None:
            self.data = replace(self.data, test_seen=None)
        self.stop, self.begun, self.stepped = stop, begun, stepped
        self.chance = 1 / len(task.target.train_counts)

    def __call__(self, values: Mapping[str, Any], report: Report) -> Trained:
        """Train with some settings.

        Raises:
            StoppedError: a stop was asked for.
            TrialFailedError: the device's memory does not hold it, or something broke.
        """
        try:
            runs = self.task.runs(values)
        except SettingError as error:
            return Trained([self.chance] * len(self.task.pairs), {"refused": str(error)})
        try:
            return self._trained(runs, report)
        except RuntimeError as error:
            raise self._failed(error) from error
        except MemoryError as error:
            raise self._failed(error) from error

    def _trained(self, runs: Sequence[PlannedRun], report: Report) -> Trained:
        """Train packs in step, so that all pairs are known at each evaluation."""
        steps = runs[0].spec.steps
        self.begun(steps)
        values = [self.chance] * len(runs)
        best = list(values)
        diverged = [False] * len(runs)
        with contextlib.ExitStack() as stack:
            packs = []
            for i, chosen in enumerate(_batched(runs, self.pack)):
                pack = self._evaluations(chosen, tell=i == 0)
                packs.append(stack.enter_context(contextlib.closing(pack)))
            for looks in zip_longest(*packs):
                step = max(look.step for look in looks if look is not None)
                for i, look in enumerate(looks):
                    for j in range(len(_batched(runs, self.pack)[i])):
                        r = i * self.pack + j
                        measured = look.measurements.get(j) if look is not None else None
                        diverged[r] |= measured is None
                        if measured is not None and measured.val_accuracy is not None:
                            values[r] = measured.val_accuracy
                            best[r] = max(best[r], measured.val_accuracy)
                kept = best if self.task.select == VAL else values
                now = [self.chance if gone else v for v, gone in zip(kept, diverged, strict=True)]
                if 0 < step < steps:
                    report(step / steps, sum(now) / len(now))
        return Trained(now, {"diverged": sum(diverged)} if any(diverged) else {})

    def _evaluations(
        self, runs: Sequence[PlannedRun], tell: bool
    ) -> Generator[Evaluated, None, None]:
        """Train a pack from one evaluation to the next, and not on from the last."""
        events: Iterator[Event] = train(
            [run.spec for run in runs],
            [run.class_counts for run in runs],
            self.data,
            self.source,
            self.device,
            blind=True,
        )
        with contextlib.closing(events):  # type: ignore[type-var]
            for event in events:
                match event:
                    case Stepped(step):
                        self.stop.check()
                        if tell:
                            self.stepped(step)
                    case Evaluated(step):
                        yield event
                        if step == runs[0].spec.steps:
                            return

    def _failed(self, error: Exception) -> TrialFailedError:
        """Say why a trial failed, and what to do."""
        name = device_name(self.device)
        if is_memory(error):
            return TrialFailedError(
                f"{name} ran out of memory in packs of {self.pack}: type the command again with a "
                "smaller --pack, or with --pack 1 and a smaller batch_size (--set)."
            )
        return TrialFailedError(
            f"A trial of {self.task.method.name} failed on {name} "
            f"({type(error).__name__}: {first_line(str(error))}). Mend that, and type the command "
            "again to go on."
        )


def _batched(runs: Sequence[PlannedRun], size: int) -> list[Sequence[PlannedRun]]:
    return [runs[i : i + size] for i in range(0, len(runs), size)]
