"""A table as a terminal shows it: it fits, and each row keeps its name."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dfgctl.cli.output import escape, out

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from dfgctl.report.table import Table

NARROW = 100
"""Columns of a terminal below which a standard deviation stands under its mean."""

LONG = 13
"""Letters of a setting in a cell above which it is broken at its =, where room is scarce."""

ROOM = 16
"""Letters of a line in the first column, at the least."""

CONTINUED = ", continued"
"""How the title of a further part of a table ends."""

LAYOUTS = (
    (None, True, False),
    *((14, True, False), (11, True, False), (8, True, False)),
    *((11, False, False), (10, False, False), (11, False, True), (10, False, True)),
    (1, False, True),
)
"""From roomy to narrow: letters of a cell's line, titles in one line, columns close together."""


def show(made: "Table") -> None:
    """Print a table for reading; where room is scarce, cells are stacked, and columns parted."""
    console = out()
    for part, least in _parts(made, console):
        width = console.width
        console.width = max(width, least)
        console.print(part)
        console.width = width
    for note in (made.caption, *made.notes):
        console.print(escape(note), style="dim")


def _parts(made: "Table", console: "Console") -> Iterator[tuple["RichTable", int]]:
    """Lay a table out in as few parts as fit, each with the rows' names and some columns.

    Returns:
        The parts, and the width that each needs: more than there is if a single column is too wide.
    """
    from rich.measure import Measurement

    wide = console.options.update(width=1000)
    for letters, whole, close in LAYOUTS[console.width < NARROW :]:
        view = _view(made, letters, whole, close)
        least = Measurement.get(console, wide, view).minimum
        if least <= console.width:
            label = view.columns[0].width or ROOM
            room = label + console.width - least
            yield _view(made, letters, whole, close, room), least
            return
    names = [i for i, column in enumerate(made.columns) if column.kind != "value"]
    values = [i for i, column in enumerate(made.columns) if column.kind == "value"]
    if len(values) < 2:
        yield view, least
        return
    half = (len(values) + 1) // 2
    titles = made.title, f"{made.title.removesuffix(CONTINUED)}{CONTINUED}"
    for title, some in zip(titles, (values[:half], values[half:]), strict=True):
        kept = [*names, *some]
        columns = [made.columns[i] for i in kept]
        rows = [[row[i] for i in kept] for row in made.rows]
        yield from _parts(replace(made, title=title, columns=columns, rows=rows), console)


def _view(
    made: "Table", letters: int | None, whole: bool, close: bool, room: int = ROOM
) -> "RichTable":
    """Lay a table out: what tells rows of one name apart stands below the name, indented.

    Args:
        made: the table.
        letters: letters of a cell's line; None for as many as it has.
        whole: whether titles stand in one line.
        close: whether columns are close together.
        room: letters of a line in the first column.
    """
    from rich import box
    from rich.table import Table

    view = Table(title=made.title, title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    if close:
        view.pad_edge, view.show_edge, view.collapse_padding = False, False, True
    kinds = [column.kind for column in made.columns]
    rows: list[list[str]] = []
    for row in made.rows:
        shown: list[str] = []
        for kind, cell in zip(kinds, row, strict=True):
            text = "\n".join(cell.lines)
            if kind == "detail":
                shown[-1] = "\n".join([shown[-1], *(_indented(line, room) for line in cell.lines)])
            elif kind == "value":
                shown.append(text if letters is None else _stacked(text, letters))
            else:
                shown.append(text)
        rows.append(shown)
    columns = [column for column in made.columns if column.kind != "detail"]
    for i, column in enumerate(columns):
        # A title of several words may break, a number may not: only names of rows give way.
        lines = [line for shown in rows for line in shown[i].splitlines()]
        words = [column.title] if whole else column.title.split()
        width = max(map(len, [*words, *lines]))
        if column.kind == "label":
            width = min(width, room if i == 0 else ROOM)
            view.add_column(escape(column.title), overflow="fold", width=width)
        else:
            view.add_column(escape(column.title), justify="right", width=width)
    for row, shown in zip(made.rows, rows, strict=True):
        cells = [cell for cell, kind in zip(row, kinds, strict=True) if kind != "detail"]
        texts = [escape(text) for text in shown]
        view.add_row(*(_bold(t) if c.best else t for c, t in zip(cells, texts, strict=True)))
    return view


def _bold(text: str) -> str:
    first, newline, rest = text.partition("\n")
    return f"[bold]{first}[/bold]{newline}{rest}"


def _indented(part: str, room: int) -> str:
    """Write a detail below its row's name; one that is too long breaks, a setting at its =.

    A mark stays with what it marks.
    """
    if len(part) + 2 > room:
        part = part.replace("=", "= ", 1)
    part = re.sub(" (?=[†‡§])", "\xa0", part)
    text = textwrap.fill(
        part, room, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    return text.replace("\xa0", " ")


def _stacked(text: str, letters: int) -> str:
    """Write a cell in lines that are no longer than they must be, or than so many letters."""
    return "\n".join(line for part in text.splitlines() for line in _broken(part, letters))


def _broken(part: str, letters: int) -> list[str]:
    """Break a line, but no number from its ±, = or unit, and a long setting at its =."""
    part = re.sub(r"\b([nc]) = ", r"\1=", part)  # n=45, c=45: so that both stand in a line
    part = re.sub(r"(?<=\d) (?=(s|ms|µs|MB)\b)", "\xa0", part)
    words = part.replace("± ", "±\xa0").replace(" = ", "\xa0=\xa0").split(" ")
    words = [w.replace("=", "= ") if len(w) > LONG else w for w in words]
    lines = textwrap.wrap(" ".join(words), letters, break_long_words=False, break_on_hyphens=False)
    return [re.sub(r"(=.*),$", r"\1", line.replace("\xa0", " ")) for line in lines]
