"""Watches a worker: a live view on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dfgctl.cli.names import combination, duration, short
from dfgctl.cli.output import err, escape
from dfgctl.dispatch.desk import pack_name
from dfgctl.dispatch.events import Observer, described
from dfgctl.errors import DfgctlError
from dfgctl.records import Claim, Measurement, Metrics, Run, RunSpec, SourceSpec

LINE_SECONDS = 10.0
"""Time between plain lines about a pack in training."""


@contextmanager
def watcher(missing: int | None = None) -> Iterator["Progress"]:
    """Watch a worker while the block runs.

    Args:
        missing: how many runs are to be trained, where that is known.
    """
    if not sys.stderr.isatty():
        yield Lines(missing)
        return
    from rich.live import Live

    progress = Progress(missing)
    # What is said goes through the same console, which makes room for it above the view.
    with Live(
        get_renderable=progress.view, console=progress.console, refresh_per_second=4, transient=True
    ):
        yield progress


class Progress(Observer):
    """Keeps count of what a worker does, and shows it as a small table.

    Args:
        missing: how many runs are to be trained, where that is known.
    """

    def __init__(self, missing: int | None) -> None:
        self.missing = missing
        self.console = err()
        self.ended = self.failed = 0
        self.what = "starting"
        self.step = self.steps = self.first = 0
        self.start = time.monotonic()
        self.began = time.monotonic()
        self.accuracy = ""
        self.losses = ""

    # What the worker tells

    def data_prepared(self, name: str, done: int, total: int) -> None:
        """So many of a data set's pictures are decoded."""
        what = f"decoding the pictures of {name}, once"
        if self.what != what:
            self._begin(what, total)
        self.step = done

    def source_started(self, spec: SourceSpec) -> None:
        """The pre-training of a source network begins."""
        self._begin(f"source network {spec.dataset}, {spec.backbone}", int(spec.settings["steps"]))

    def source_stepped(self, step: int) -> None:
        """The source network has done a step."""
        self.step = step

    def source_ready(self, spec: SourceSpec, accuracy: float | None, trained: bool) -> None:
        """The source network is there."""
        if trained and accuracy is not None:
            self.say(f"Source network {spec.dataset}: {100 * accuracy:.2f} % on its own test set.")

    def measuring(self, spec: RunSpec, pack: int) -> None:
        """The memory that runs take is measured."""
        self._begin(f"measuring memory: {described(spec, pack)}", 0)

    def trial_started(self, what: str, steps: int) -> None:
        """A trial of a search begins."""
        self._begin(what, steps)

    def pack_started(self, claim: Claim, step: int) -> None:
        """The training of a pack begins."""
        self._begin(pack_name(claim), claim.runs[0].spec.steps, step)
        if step:
            self.say(f"{pack_name(claim)}: goes on from step {step:,}.")

    def stepped(self, step: int) -> None:
        """The pack has done a step."""
        self.step = step

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated."""
        if not measurements:
            return
        accuracies = [m.accuracy for m in measurements.values()]
        self.accuracy = f"{100 * sum(accuracies) / len(accuracies):.2f} %"
        first = next(iter(measurements.values()))
        self.losses = "  ".join(f"{name} {value:.3g}" for name, value in first.losses.items())

    def run_finished(self, run: Run, metrics: Metrics) -> None:
        """A run of the pack has finished."""
        self._ended(
            run,
            f"{100 * metrics.accuracy_last:.2f} % in "
            f"{duration(metrics.train_seconds + metrics.eval_seconds)}",
        )

    def run_failed(self, run: Run, outcome: str, error: str) -> None:
        """A run of the pack has failed."""
        self.failed += 1
        last = error.strip().splitlines()[-1] if error.strip() else ""
        self._ended(run, f"{outcome}. {last}")

    def run_dropped(self, run: Run) -> None:
        """A run of the pack is no longer this worker's."""
        self._ended(run, "cancelled, or passed to another worker.")

    def pack_returned(self, claim: Claim, why: str) -> None:
        """What is left of a pack is queued again."""
        if why.startswith("out of memory"):
            self.say(f"{pack_name(claim)}: {why}.")

    def trouble(self, error: DfgctlError | str) -> None:
        """Something went wrong that is tried again or does no harm."""
        self.say(f"Trouble: {error}")

    def stopping(self) -> None:
        """A stop was asked for."""
        self.say("Stopping after this step, with checkpoints; Ctrl-C again stops at once.")

    def _ended(self, run: Run, how: str) -> None:
        self.ended += 1
        of = f"/{self.missing}" if self.missing is not None else ""
        self.say(
            f"[{self.ended}{of}] {short(run.id)} {run.spec.method} {combination(run.spec)} seed "
            f"{run.spec.seed}: {how}"
        )

    def waiting(self, running: int) -> None:
        """All that is left is being trained by other processes."""
        self._begin(f"waiting for {running} that other processes train", 0)

    # How it is shown

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.console.print(line, markup=False, soft_wrap=True)

    def view(self) -> Any:
        """Return the live view."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column()
        grid.add_row("Training", escape(self.what))
        if self.steps:
            grid.add_row("Step", f"{self.step:,} / {self.steps:,}   {self.speed()}")
        if self.losses:
            grid.add_row("Losses", escape(self.losses))
        if self.accuracy:
            grid.add_row("Accuracy", self.accuracy)
        of = f" / {self.missing}" if self.missing is not None else ""
        grid.add_row("Runs", f"{self.ended}{of}   {duration(time.monotonic() - self.began)}")
        return grid

    def speed(self) -> str:
        """Say steps per second and time left, as soon as there is something to go by."""
        spent = time.monotonic() - self.start
        if self.step - self.first < 2 or spent < 0.5:
            return ""
        rate = (self.step - self.first) / spent
        left = (self.steps - self.step) / rate
        return f"{rate:.1f} steps/s, {duration(left)} left"

    def _begin(self, what: str, steps: int, step: int = 0) -> None:
        self.what, self.steps, self.step, self.first = what, steps, step, step
        self.start = time.monotonic()
        self.accuracy = self.losses = ""


class Lines(Progress):
    """Prints a plain line now and then, for logs."""

    def __init__(self, missing: int | None) -> None:
        super().__init__(missing)
        self.last = time.monotonic()

    def data_prepared(self, name: str, done: int, total: int) -> None:
        """So many of a data set's pictures are decoded."""
        super().data_prepared(name, done, total)
        self._line()

    def source_stepped(self, step: int) -> None:
        """The source network has done a step."""
        super().source_stepped(step)
        self._line()

    def stepped(self, step: int) -> None:
        """The pack has done a step."""
        super().stepped(step)
        self._line()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        print(line, file=sys.stderr, flush=True)
        self.last = time.monotonic()

    def _line(self) -> None:
        if time.monotonic() - self.last < LINE_SECONDS:
            return
        parts = [f"{self.what}: step {self.step:,}/{self.steps:,}", self.speed()]
        if self.accuracy:
            parts.append(f"accuracy {self.accuracy}")
        parts.append(self.losses)
        self.say(", ".join(part for part in parts if part))

    def _begin(self, what: str, steps: int, step: int = 0) -> None:
        if what != self.what and (not steps or what.startswith("source")):
            self.say(what)
        super()._begin(what, steps, step)
