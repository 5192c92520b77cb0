"""How what ``dfgctl bench`` measured is shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from dfgctl.cli.names import counted, duration, size
from dfgctl.cli.output import err, escape, out, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from dfgctl.bench.records import Row
    from dfgctl.bench.whole import Whole
    from dfgctl.report.speed import Panel

NOISY = 0.1
"""Spread of the rounds from which on the user is told of it."""

WORDS = ("Method", "Mode")
"""Columns of words."""

GAP = 2
"""Columns between two cells."""

LAST_AT_EASE = 3
"""How many columns give way before cells move closer together."""

SHORT = {"ok": "", "out-of-memory": "no memory", "no-graphs": "–", "failed": "failed"}
"""What stands in place of a time."""


@dataclass(frozen=True)
class Column:
    """A column of the table of packs.

    Attributes:
        title: its title, on several lines.
        cell: writes a row's cell.
        spare: from 1 on, the order in which columns give way where room is scarce; 0 for never.
    """

    title: str
    cell: "Callable[[Row], str]"
    spare: int = 0


def number(value: float | None) -> str:
    """Write a positive number with three digits or all before the point; None as a dash."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(share: float | None) -> str:
    """Write a share in [0, 1]; None as a dash."""
    if share is None:
        return "–"
    if share == 0 or share >= 0.1:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


COLUMNS = (
    Column("Method", lambda row: row.method),
    Column("Pack", lambda row: str(row.pack)),
    Column("Mode", lambda row: "graphs" if row.graphs else "eager"),
    Column("ms/\nstep", lambda row: SHORT[row.status] or _milliseconds(row)),
    Column("IQR", lambda row: percent(row.spread), 3),
    Column("runs ×\nsteps/s", lambda row: number(row.run_steps_per_second)),
    Column("× one\neager", lambda row: number(row.against_one)),
    Column("× one\ngraphs", lambda row: number(row.against_one_graphs)),
    Column("runs/h", lambda row: number(row.runs_per_hour)),
    Column("eval.", lambda row: percent(row.evaluation_share)),
    Column("idle", lambda row: percent(row.idle_share)),
    Column("waits", lambda row: percent(row.waiting_share), 4),
    Column("memory", lambda row: "–" if row.peak_memory is None else size(row.peak_memory), 5),
    Column("of\npeak", lambda row: percent(row.peak_share), 2),
    Column("set-up", lambda row: _seconds(row.setup_seconds), 1),
)
"""All columns; those of graphs and of waiting are shown where there is something to show."""


def _milliseconds(row: "Row") -> str:
    return "–" if row.seconds_per_step is None else number(1000 * row.seconds_per_step)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{number(seconds)} s" if seconds < 60 else duration(seconds)


def in_short(row: "Row") -> str:
    """Write a row in a few words."""
    if row.run_steps_per_second is None:
        return f"{row.status}: {row.error}"
    return f"{number(row.run_steps_per_second)} runs x steps/s"


def show_packs(rows: "Sequence[Row]", notes: Sequence[str], json: bool) -> None:
    """Show what was measured of packs: a table for each network and device, or JSON."""
    said = [*notes, *_noisy(rows)]
    if json:
        print_json({**_head("packs"), "notes": said, "rows": [row.record() for row in rows]})
        return
    for (name, *_), part in groupby(rows, key=_panel_of):
        _show_table(name, list(part))
    for row in rows:
        if row.error:
            mode = ", graphs" if row.graphs else ""
            what = f"{row.status.replace('-', ' ')}: {row.error}"
            text = f"{row.method}, pack of {row.pack}{mode}: {what}."
            out().print(f"[yellow]{escape(text)}[/yellow]", soft_wrap=True)
    for note in said[len(notes) :]:
        err().print(f"[yellow]Note:[/yellow] {escape(note)}", soft_wrap=True)


def _noisy(rows: "Sequence[Row]") -> list[str]:
    noisy = [row for row in rows if row.spread is not None and round(row.spread, 2) > NOISY]
    if not noisy:
        return []
    worst = max(noisy, key=lambda row: row.spread or 0.0)
    return [
        f"The rounds of {counted(len(noisy), 'pack')} scatter by more than {percent(NOISY)} "
        f"({worst.method}, pack of {worst.pack}: {percent(worst.spread)}): end other programs, or "
        "take more --seconds."
    ]


def _head(kind: str) -> dict[str, Any]:
    from dfgctl.bench import machine
    from dfgctl.bench.records import SCHEMA

    return {"schema": SCHEMA, "kind": kind, "machine": machine.described()}


def _panel_of(row: "Row") -> tuple[str, ...]:
    """Return the title of a table or panel, and what its rows share."""
    from dfgctl.data.catalog import DATASETS
    from dfgctl.networks.catalog import BACKBONES

    data = DATASETS[row.dataset].title if row.dataset in DATASETS else row.dataset
    pictures = " (random pictures)" if row.synthetic else ""
    name = f"{BACKBONES[row.backbone].title}, {data}{pictures}, {row.device}, {row.precision}"
    return (name, row.dataset, row.backbone, row.device, row.precision)


def _show_table(title: str, rows: "list[Row]") -> None:
    console = out(wide=True)
    console.print(f"\n[bold]{escape(title)}[/bold]", soft_wrap=True)
    made, left_out = table(rows, console.width)
    console.print(made)
    for line in _explained(rows, left_out):
        console.print(escape(line), style="dim")


def table(rows: "Sequence[Row]", width: int) -> "tuple[Table, list[str]]":
    """Return the table of some packs; columns give way until the others fit.

    Args:
        rows: the packs, of one network and device.
        width: columns of the terminal.

    Returns:
        The table, and the titles of what has given way.
    """
    from rich.cells import cell_len
    from rich.table import Table

    graphs = any(row.graphs for row in rows)
    hidden = set() if graphs else {"Mode", "× one\ngraphs"}
    if not any(row.waiting_share for row in rows):
        hidden.add("waits")
    cells = {c: [c.cell(row) for row in rows] for c in COLUMNS if c.title not in hidden}
    widths = {
        c: max(cell_len(text) for text in [*c.title.splitlines(), *texts])
        for c, texts in cells.items()
    }
    gap, left_out = GAP, []

    def too_wide() -> bool:
        return sum(widths.values()) + gap * (len(widths) - 1) > width

    for column in sorted((c for c in cells if c.spare), key=lambda c: c.spare):
        if too_wide() and column.spare > LAST_AT_EASE:
            gap = 1
        if too_wide():
            del widths[column]
            left_out.append(_word(column))
    made = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for column in widths:
        justify: Literal["left", "right"] = "left" if column.title in WORDS else "right"
        title = column.title if graphs else column.title.replace("\neager", "")
        made.add_column(title, justify=justify, no_wrap=True, vertical="bottom")
    for i in range(len(rows)):
        made.add_row(*(escape(cells[column][i]) for column in widths))
    return made, left_out


def _word(column: Column) -> str:
    return column.title.replace("\n", " ")


def _explained(rows: "list[Row]", left_out: Sequence[str]) -> list[str]:
    """Return what a reader of the table needs to know."""
    ok = [row for row in rows if row.seconds_per_step is not None]
    if not ok:
        return []
    first = ok[0]
    peak = first.matmul_per_second
    rounds = counted(len(first.rounds or ()), "round")
    idle = "time without a kernel" if first.device != "cpu" else "the cores' time left unused"
    machine = first.device_name or first.device
    if peak:
        machine += f", {number(peak / 1e9)} GFLOP/s in a product of matrices"
    parts = [
        f"ms/step: median of {rounds}"
        + (", IQR their interquartile range" if len(first.rounds or ()) > 1 else ""),
        "× one: against a pack of one" + (", eager or by graphs" if first.graphs else ""),
        "runs/h: whole runs, with set-up and evaluations (eval.: their share)",
        f"idle: {idle}",
        "of peak: share of that product's GFLOP/s",
    ]
    if first.device == "cpu":
        parts.append("memory: growth of the process")
    if left_out:
        parts.append(f"left out, as there is no room: {', '.join(left_out)} (--json has all)")
    return [f"{machine}.", f"{'. '.join(parts)}."]


def panels(rows: "Sequence[Row]") -> "list[Panel]":
    """Return the chart's panels: a line for each method, eager and by graphs."""
    from dfgctl.report.speed import Line, Panel

    found = []
    for (name, *_), part in groupby(rows, key=_panel_of):
        lines: dict[tuple[str, bool], dict[int, float]] = {}
        where = ""
        for row in part:
            where = where or row.device_name or ""
            if row.run_steps_per_second is not None:
                points = lines.setdefault((row.method, row.graphs), {})
                points[row.pack] = row.run_steps_per_second
        if lines:
            before, _, precision = name.rpartition(", ")
            title = f"{before.rpartition(', ')[0]}\n{where}, {precision}"
            made = tuple(Line(m, graphs, points) for (m, graphs), points in lines.items())
            found.append(Panel(title, made))
    return found


def show_whole(found: "Sequence[Whole]", json: bool) -> None:
    """Show what whole runs spend their time on: a table for each, or JSON."""
    if json:
        print_json({**_head("whole"), "runs": [one.record() for one in found]})
        return
    from rich.table import Table

    for one in found:
        console = out()
        grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        grid.add_column("Part", vertical="bottom")
        short, long = f"{one.steps:,} steps,\nmeasured", f"{one.run_steps:,} steps,\nprojected"
        for title in (short, long, "share"):
            grid.add_column(title, justify="right", vertical="bottom", no_wrap=True)
        for part in one.parts:
            grid.add_row(
                part.name,
                _seconds(part.seconds),
                _seconds(part.whole_seconds),
                percent(part.share),
            )
        pack = f", pack of {one.pack}" if one.pack > 1 else ""
        title = f"{one.method} on {one.dataset}, {one.backbone}{pack}, {one.device}"
        console.print(f"\n[bold]{escape(title)}, {one.precision}[/bold]", soft_wrap=True)
        console.print(grid)
        console.print(
            f"Registry, checkpoints, progress and logs together: "
            f"[bold]{percent(one.bookkeeping_share)}[/bold] of a whole run "
            f"({duration(one.whole_seconds)}, {counted(one.checkpoints, 'checkpoint')})."
        )
