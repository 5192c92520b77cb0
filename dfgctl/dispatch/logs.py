"""A log file for each run: what happened to it, line by line, over all of its attempts."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dfgctl.dispatch.events import Observer
from dfgctl.errors import DfgctlError
from dfgctl.records import Attempt, Claim, Measurement, Metrics, Run


def log_file(folder: Path, run_id: str) -> Path:
    """Return a run's log file."""
    return folder / f"{run_id}.log"


def last_word(attempt: Attempt) -> str:
    """Say how an attempt ended whose worker could not."""
    return f"Attempt {attempt.number}: {attempt.outcome}. {attempt.error or ''}".strip()


class RunLogs(Observer):
    """Writes what a worker tells into the files of the runs that it concerns.

    Args:
        folder: where the files lie.
        worker: the worker's name.
        device: the device in words.
    """

    def __init__(self, folder: Path, worker: str, device: str) -> None:
        self.folder, self.worker, self.device = folder, worker, device
        self._open: set[str] = set()
        self._claim: Claim | None = None

    def pack_started(self, claim: Claim, step: int) -> None:
        """The training of a pack begins."""
        self._claim = claim
        pack = f", pack of {len(claim.runs)}" if len(claim.runs) > 1 else ""
        since = f" goes on from step {step:,}" if step else " begins"
        for run, attempt in zip(claim.runs, claim.attempts, strict=True):
            self._line(run, f"Attempt {attempt}{since} on {self.device}{pack}, by {self.worker}.")

    def went_before(self, run: Run, attempt: Attempt) -> None:
        """The attempt before a run's newest one ended without its worker's word."""
        self._line(run, last_word(attempt))

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated."""
        assert self._claim is not None
        for i, m in measurements.items():
            losses = "".join(f", {name} {value:.4g}" for name, value in m.losses.items())
            val = "" if m.val_accuracy is None else f", validation {100 * m.val_accuracy:.2f} %"
            self._line(
                self._claim.runs[i],
                f"Step {step:,}: accuracy {100 * m.accuracy:.2f} %{val}, test loss {m.loss:.4g}"
                f"{losses}.",
            )

    def checkpointed(self, step: int) -> None:
        """The pack's checkpoints of a step are written."""
        self._all(f"Checkpoint at step {step:,}.")

    def run_finished(self, run: Run, metrics: Metrics) -> None:
        """A run of the pack has finished."""
        self._line(run, f"Finished: {100 * metrics.accuracy_last:.2f} % after the last step.")
        self._close(run)

    def run_failed(self, run: Run, outcome: str, error: str) -> None:
        """A run of the pack has failed."""
        self._line(run, f"{outcome.capitalize()}: {error.strip()}")
        self._close(run)

    def run_dropped(self, run: Run) -> None:
        """A run of the pack is no longer this worker's."""
        self._line(run, "Cancelled, or passed to another worker.")
        self._close(run)

    def pack_returned(self, claim: Claim, why: str) -> None:
        """What is left of a pack is queued again."""
        for run in claim.runs:
            if run.id in self._open:
                self._line(run, f"Back in the queue: {why}.")
                self._close(run)

    def trouble(self, error: DfgctlError | str) -> None:
        """Something went wrong that is tried again or does no harm."""
        self._all(f"Trouble: {error}")

    def _all(self, line: str) -> None:
        if self._claim is not None:
            for run in self._claim.runs:
                if run.id in self._open:
                    self._line(run, line)

    def _line(self, run: Run, line: str) -> None:
        """Append a line; a log that cannot be written stops no training."""
        self._open.add(run.id)
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with log_file(self.folder, run.id).open("a", encoding="utf-8") as file:
                file.write(f"{now}Z  {line}\n")

    def _close(self, run: Run) -> None:
        self._open.discard(run.id)
