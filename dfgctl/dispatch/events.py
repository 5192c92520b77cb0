"""What a worker tells whoever watches it; the watcher prints, the worker never does."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfgctl.errors import DfgctlError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import Attempt, Claim, Measurement, Metrics, Run, RunSpec, SourceSpec


class Observer:
    """Watches a worker; this one does not care."""

    def data_prepared(self, name: str, done: int, total: int) -> None:
        """So many of a data set's pictures are decoded."""

    def source_started(self, spec: SourceSpec) -> None:
        """The pre-training of a source network begins."""

    def source_stepped(self, step: int) -> None:
        """The source network has done a step."""

    def source_ready(self, spec: SourceSpec, accuracy: float | None, trained: bool) -> None:
        """The source network is there; ``trained`` says whether it was trained just now."""

    def measuring(self, spec: RunSpec, pack: int) -> None:
        """So many runs like this one are trained for a few steps, to see what memory they take."""

    def trial_started(self, what: str, steps: int) -> None:
        """A trial of a search begins, of so many steps."""

    def pack_started(self, claim: Claim, step: int) -> None:
        """The training of a pack begins, or goes on from the checkpoints of a step."""

    def went_before(self, run: Run, attempt: Attempt) -> None:
        """The attempt before a run's newest one ended without its worker's word."""

    def stepped(self, step: int) -> None:
        """The pack has done a step."""

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated."""

    def checkpointed(self, step: int) -> None:
        """The pack's checkpoints of a step are written."""

    def run_finished(self, run: Run, metrics: Metrics) -> None:
        """A run of the pack has finished."""

    def run_failed(self, run: Run, outcome: str, error: str) -> None:
        """A run of the pack has failed."""

    def run_dropped(self, run: Run) -> None:
        """A run of the pack is no longer this worker's: cancelled, or passed to another."""

    def pack_returned(self, claim: Claim, why: str) -> None:
        """What is left of a pack is queued again."""

    def trouble(self, error: DfgctlError | str) -> None:
        """Something went wrong that is tried again or does no harm."""

    def stopping(self) -> None:
        """A stop was asked for; the worker ends after this step."""

    def waiting(self, running: int) -> None:
        """All that is left of the plan is being trained by other processes."""


class Observers(Observer):
    """Passes on what it is told.

    Args:
        observers: to whom.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Observer, name):
            return super().__getattribute__(name)

        def tell(*values: Any, **named: Any) -> None:
            for observer in self._observers:
                getattr(observer, name)(*values, **named)

        return tell


def described(spec: RunSpec, pack: int) -> str:
    """Describe a pack in a few words: ``2 runs of dfg on LeNet-5``."""
    runs = f"{pack} run{'s' * (pack > 1)}"
    return f"{runs} of {spec.method} on {BACKBONES[spec.backbone].title}"
