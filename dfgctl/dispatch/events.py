"""What a worker tells whoever watches it; the watcher prints, the worker never does."""

from collections.abc import Mapping
from typing import Protocol

from dfgctl.records import Claim, Measurement, Metrics, Run, SourceSpec


class Observer(Protocol):
    """Watches a worker."""

    def data_prepared(self, name: str, done: int, total: int) -> None:
        """So many of a data set's pictures are decoded."""

    def source_started(self, spec: SourceSpec) -> None:
        """The pre-training of a source network begins."""

    def source_stepped(self, step: int) -> None:
        """The source network has done a step."""

    def source_ready(self, spec: SourceSpec, accuracy: float | None, trained: bool) -> None:
        """The source network is there; ``trained`` says whether it was trained just now."""

    def pack_started(self, claim: Claim) -> None:
        """The training of a pack begins."""

    def stepped(self, step: int) -> None:
        """The pack has done a step."""

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated."""

    def run_finished(self, run: Run, metrics: Metrics) -> None:
        """A run of the pack has finished."""

    def run_failed(self, run: Run, outcome: str, error: str) -> None:
        """A run of the pack has failed."""

    def waiting(self, running: int) -> None:
        """All that is left of the plan is being trained by other processes."""
