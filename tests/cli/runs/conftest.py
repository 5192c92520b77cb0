"""A registry whose runs were made by hand, so that no test here trains."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from specs import spec

from dfgctl.records import Claim, Measurement, Metrics, PlannedRun
from dfgctl.registry import Registry

PROVENANCE = {
    "commit": "ab" * 20,
    "dirty": True,
    "dfgctl": "0.1.0",
    "packages": {"torch": "2.11"},
}
METRICS = Metrics(
    accuracy_last=0.5,
    accuracy_best=0.75,
    best_step=4,
    balanced_accuracy=0.25,
    macro_f1=0.125,
    gmean=0.0,
    recalls=(0.25, 1.0, *[0.5] * 8),
    majority_recall=0.25,
    minority_recall=0.5,
    confusion=((1, 3), (0, 4)),
    train_seconds=1.5,
    eval_seconds=0.25,
)


@dataclass
class Made:
    """A registry, and ways to put runs into it in any state."""

    registry: Registry
    worker: str = "elsewhere:7:abc123"

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.registry.folder

    def queued(self, seed: int = 0, method: str = "original", **changes: Any) -> str:
        """Put a run into the queue; return its id."""
        counts = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
        run = PlannedRun(spec(method, seed=seed, **changes), counts)
        self.registry.enqueue([run])
        return run.id

    def claim(self, run_id: str) -> Claim:
        """Begin an attempt at a queued run."""
        plan = self.registry.keep_plan([run_id])
        claim = self.registry.claim(plan, 1, self.worker, "CPU, 2 threads", PROVENANCE)
        assert claim is not None
        return claim

    def running(self, seed: int = 0, **changes: Any) -> str:
        """Begin a run."""
        run_id = self.queued(seed, **changes)
        self.claim(run_id)
        return run_id

    def finished(self, seed: int = 0, accuracy: float = 0.5, **changes: Any) -> str:
        """Finish a run with two evaluations."""
        run_id = self.queued(seed, **changes)
        claim = self.claim(run_id)
        for step in (0, 6):
            self.registry.record(
                claim, {0: Measurement(step, accuracy, 1.5, None, {"loss": 0.5}, 1.0)}
            )
        self.registry.finish(claim, 0, replace(METRICS, accuracy_last=accuracy))
        return run_id

    def failed(
        self, seed: int = 0, outcome: str = "failed", error: str = "why", **changes: Any
    ) -> str:
        """Let a run fail."""
        run_id = self.queued(seed, **changes)
        self.registry.fail(self.claim(run_id), 0, outcome, error)
        return run_id

    def returned(self, seed: int = 0, outcome: str = "lost", **changes: Any) -> str:
        """Let a run be queued again after an attempt that ended in some way."""
        run_id = self.queued(seed, **changes)
        self.registry.release(self.claim(run_id), outcome)
        return run_id

    def status(self, run_id: str) -> str | None:
        """Return a run's status; None if it is not there."""
        return self.registry.statuses([run_id]).get(run_id)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """The default registry, empty as yet."""
    with closing(Registry(str(tmp_path / "results" / "registry.sqlite"))) as opened:
        yield Made(opened)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the commands print for a terminal of so many columns."""

    def make(columns: int) -> None:
        import rich.console

        class Terminal(rich.console.Console):
            def __init__(self, **named: Any) -> None:
                named = {"width": columns, **named}
                super().__init__(**named, force_terminal=True, color_system=None)

        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("dfgctl.cli.output.PipeConsole", Terminal)

    return make
