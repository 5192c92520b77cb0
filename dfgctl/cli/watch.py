"""``dfgctl runs watch``, and how a command watches worker processes: by looking at the registry."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dfgctl.cli.names import combination, duration, short
from dfgctl.cli.output import err, escape

if TYPE_CHECKING:
    from dfgctl.records import Run, WorkerState
    from dfgctl.registry import Registry

LINE_SECONDS = 10.0
"""Time between plain lines about what goes on."""

LOOK_SECONDS = 1.0
"""Time between looks at the registry."""

ORDER = ("queued", "running", "finished", "failed", "cancelled")


class Watch:
    """What is seen of a queue and its workers.

    Args:
        registry: the registry.
        plan: the plan whose runs count; None for all.
        missing: how many of them are to be trained, where that is known.
    """

    def __init__(self, registry: "Registry", plan: str | None, missing: int | None = None) -> None:
        self.registry, self.plan, self.missing = registry, plan, missing
        self.counts: Counter[str] = Counter()
        self.workers: list[WorkerState] = []
        self.news: list[str] = []
        self.seen = 0
        self._said = ""
        self._since: datetime = registry.now()
        self._began = time.monotonic()

    def trouble(self, error: object) -> None:
        """Say what went wrong that is tried again, once."""
        if (line := f"Trouble: {error}") != self._said:
            self._said = line
            print(line, file=sys.stderr, flush=True)

    @property
    def busy(self) -> bool:
        """Whether something is queued or being trained."""
        return bool(self.counts["queued"] or self.counts["running"])

    def look(self) -> None:
        """Look at the registry."""
        self.registry.expire()
        self.counts = self.registry.counts(self.plan)
        self.workers = self.registry.workers()
        for run, at in self.registry.ended(self._since, self.plan):
            self._since = max(self._since, at)
            self.news.append(self._line(run))

    def _line(self, run: "Run") -> str:
        name = f"{short(run.id)} {run.spec.method} {combination(run.spec)} seed {run.spec.seed}"
        if run.status == "finished" and run.metrics is not None:
            how = f"{100 * run.metrics.accuracy_last:.2f} %"
        else:
            last = (run.error or "").strip().splitlines()
            again = ", queued again" if run.status == "queued" else ""
            how = f"{run.outcome or run.status}{again}. {last[-1] if last else ''}".strip()
        if run.status in ("queued", "running"):
            return f"{name}: {how}"
        self.seen += 1
        of = f"/{self.missing}" if self.missing is not None else ""
        return f"[{self.seen}{of}] {name}: {how}"

    def view(self) -> Any:
        """Return the live view."""
        from rich.console import Group
        from rich.table import Table

        counts = "   ".join(f"{self.counts[s]:,} {s}" for s in ORDER if self.counts[s])
        spent = duration(time.monotonic() - self._began)
        head = f"[bold]Runs[/bold]  {counts or 'none'}   {spent}"
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("Worker", "Device", "Does", "Step", "Left", "Acc. %"):
            side = "right" if column in ("Step", "Left", "Acc. %") else "left"
            table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
        for worker in self.workers:
            table.add_row(*map(escape, cells(worker)))
        nobody = "[dim]No worker is at work; one that has just started shows up soon.[/dim]"
        return Group(head, table if self.workers else nobody)


def cells(worker: "WorkerState") -> list[str]:
    """Return a worker's line: who, where, what, how far, how long still, how well."""
    doing = worker.doing
    step, steps = doing.get("step", 0), doing.get("steps", 0)
    left = ""
    if steps and doing.get("rate"):
        left = duration((steps - step) / doing["rate"])
    what = str(doing.get("what", "starting"))
    if doing.get("stopping"):
        what = f"{what} (stopping)"
    return [
        f"{worker.host}:{worker.pid}",
        worker.device,
        what,
        f"{step:,}/{steps:,}" if steps else "",
        left,
        f"{100 * doing['accuracy']:.2f}" if "accuracy" in doing else "",
    ]


def watched(watch: Watch, more: Callable[[], bool]) -> None:
    """Show a queue until there is nothing more to see: live on a terminal, else in lines.

    Args:
        watch: what is seen of it.
        more: called after each look; whether to go on.
    """
    if not sys.stderr.isatty():
        _in_lines(watch, more)
        return
    from rich.live import Live

    watch.look()
    with Live(
        get_renderable=watch.view, console=err(), refresh_per_second=2, transient=True
    ) as live:
        while True:
            for line in watch.news:
                live.console.print(line, markup=False, soft_wrap=True)
            watch.news.clear()
            if not more():
                return
            watch.look()


def _in_lines(watch: Watch, more: Callable[[], bool]) -> None:
    said = time.monotonic()
    while True:
        watch.look()
        for line in watch.news:
            print(line, file=sys.stderr, flush=True)
            said = time.monotonic()
        watch.news.clear()
        if time.monotonic() - said > LINE_SECONDS:
            counts = ", ".join(f"{watch.counts[s]:,} {s}" for s in ORDER if watch.counts[s])
            print(counts, file=sys.stderr, flush=True)
            for worker in watch.workers:
                print("  " + ", ".join(filter(None, cells(worker))), file=sys.stderr, flush=True)
            said = time.monotonic()
        if not more():
            return
