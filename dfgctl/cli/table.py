"""``dfgctl table``: the tables, each by its name."""

import re
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import escape, out, reported, write_file
from dfgctl.report.selection import Metric
from dfgctl.report.tables import TABLES

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from dfgctl.report.table import Table


NARROW = 100
"""Columns of a terminal below which a standard deviation stands under its mean."""

LONG = 13
"""Letters of a setting above which it is broken at its =, where room is scarce."""

LAYOUTS = (
    (None, True, False),
    *((14, True, False), (11, True, False), (8, True, False)),
    *((11, False, False), (10, False, False), (11, False, True), (10, False, True)),
    (1, False, True),
)
"""From roomy to narrow: letters of a cell's line, titles in one line, columns close together."""

Name = StrEnum("Name", {name: name for name in TABLES})  # type: ignore[misc]
RESULTS = Name("results")


class Format(StrEnum):
    """How a table is written."""

    rich = "rich"
    md = "md"
    latex = "latex"
    csv = "csv"
    json = "json"
    html = "html"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "table",
        epilog="Examples:  dfgctl table --dataset digits --format md -o results/digits.md   |   "
        "dfgctl table pairs --against delta",
    )(table)


@reported
def table(
    name: Annotated[
        Name,
        typer.Argument(
            help="Which table. " + " ".join(f"{name}: {says}." for name, says in TABLES.items())
        ),
    ] = RESULTS,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="A data set; may be repeated. \\[default: all]", autocompletion=complete.datasets
        ),
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            help="Accuracy, balanced accuracy (the mean recall), macro F1, G-mean, or the recall "
            "of minority or majority classes. \\[default: accuracy]"
        ),
    ] = None,
    select: SelectOption = None,
    majority: Annotated[
        int | None, typer.Option(min=0, help="Only runs with so many majority classes; 0 at 1:1.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Only runs of a protocol: paper or released.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Only runs from a source, and those of methods that have none."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Set the paper's numbers beside ours, judged.")
    ] = False,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Points by which two means may differ and count as equal. \\[default: 1]",
        ),
    ] = None,
    paper_n: Annotated[
        int | None,
        typer.Option(
            min=2, help="Runs behind a number of the paper. \\[default: 45, or 10 at 1:1]"
        ),
    ] = None,
    judge_all: Annotated[
        bool,
        typer.Option(
            "--judge-all",
            help="Judge also runs that are not what the paper describes: of dirty trees, other "
            "sources, steps or settings.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="The method that the others are compared with. \\[default: dfg]"),
    ] = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.rich,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file.")
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Show a table of the registry's runs."""
    from dfgctl import templates
    from dfgctl.report import tables
    from dfgctl.report.rendering import render
    from dfgctl.report.view import Filters, View

    chosen = {
        "metric": metric,
        "select": select,
        "published": published or None,
        "margin": margin,
        "paper-n": paper_n,
        "judge-all": judge_all or None,
        "against": against,
    }
    tables.check(name.value, [option for option, value in chosen.items() if value is not None])
    needed = tables.needs_runs(name.value)
    store = open_registry(registry, optional=not needed)
    every = store.runs(whole=name.value in tables.WHOLE) if store else []
    loaded = templates.recipes_of(every, dataset or ())
    references = name.value in tables.WITH_REFERENCES
    filters = Filters(tuple(dataset or ()), majority, protocol, source, references)
    view = View(
        runs=filters.passed(every, needed),
        recipes=loaded,
        select=select,
        metric=metric or Metric.accuracy,
        published=published,
        margin=1.0 if margin is None else margin,
        paper_n=paper_n,
        against=against or "dfg",
        judge_all=judge_all,
        data_dir=data_dir,
        checksums=store.folder / "manifests" / "checksums.json" if store else None,
    )
    made = tables.make(name.value, view)
    if format is Format.rich and output is None:
        show(made)
        return
    text = render(made, "md" if format is Format.rich else format.value)
    if output is not None:
        write_file(output, text)
    else:
        typer.echo(text.rstrip("\n"))


def show(made: "Table") -> None:
    """Print a table for reading; where room is scarce, cells are stacked."""
    from rich.measure import Measurement

    console = out()
    for letters, whole, close in LAYOUTS[console.width < NARROW :]:
        view = _view(made, letters, whole, close)
        least = Measurement.get(console, console.options.update(width=1000), view).minimum
        if least <= console.width:
            break
    console.print(view, width=max(console.width, least), soft_wrap=least > console.width)
    for note in (made.caption, *made.notes):
        console.print(escape(note), style="dim")


def _view(made: "Table", letters: int | None, whole: bool, close: bool) -> "RichTable":
    """Lay a table out: what tells rows of one name apart stands below the name, indented."""
    from rich import box
    from rich.table import Table

    view = Table(title=made.title, title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    if close:
        view.pad_edge, view.show_edge, view.collapse_padding = False, False, True
    rows: list[list[str]] = []
    for row in made.rows:
        shown: list[str] = []
        for column, cell in zip(made.columns, row, strict=True):
            text = "\n".join(cell.lines)
            if column.kind == "detail":
                details = "".join(
                    f"\n{_indented(line, letters is not None)}" for line in cell.lines
                )
                shown[-1] += details
            elif column.kind == "value":
                shown.append(text if letters is None else _stacked(text, letters))
            else:
                shown.append(text)
        rows.append(shown)
    columns = [column for column in made.columns if column.kind != "detail"]
    for i, column in enumerate(columns):
        if column.kind == "label":
            view.add_column(escape(column.title), overflow="fold", min_width=16)
            continue
        # A title of several words may break, a number may not: only the first column gives way.
        lines = [line for shown in rows for line in shown[i].splitlines()]
        words = [column.title] if whole else column.title.split()
        width = max(map(len, [*words, *lines]))
        view.add_column(escape(column.title), justify="right", width=width)
    values = [
        [c for c, k in zip(row, made.columns, strict=True) if k.kind != "detail"]
        for row in made.rows
    ]
    for cells, shown in zip(values, rows, strict=True):
        texts = [escape(text) for text in shown]
        view.add_row(*(_bold(t) if c.best else t for c, t in zip(cells, texts, strict=True)))
    return view


def _bold(text: str) -> str:
    first, newline, rest = text.partition("\n")
    return f"[bold]{first}[/bold]{newline}{rest}"


def _indented(part: str, narrow: bool) -> str:
    """Write a detail below its row's name; where room is scarce, a long one breaks at its =."""
    key, equals, value = part.partition("=")
    broken = narrow and equals and len(part) > LONG
    return f"  {key}=\n    {value}" if broken else f"  {part}"


def _stacked(text: str, letters: int) -> str:
    """Write a cell in lines that are no longer than they must be, or than so many letters."""
    return "\n".join(line for part in text.splitlines() for line in _broken(part, letters))


def _broken(part: str, letters: int) -> list[str]:
    """Break a line, but neither ± nor = from its number, and a long setting at its =."""
    words = part.replace("± ", "±\xa0").replace(" = ", "\xa0=\xa0").split(" ")
    words = [w.replace("=", "= ") if len(w) > LONG else w for w in words]
    lines = textwrap.wrap(" ".join(words), letters, break_long_words=False, break_on_hyphens=False)
    return [re.sub(r"(=.*),$", r"\1", line.replace("\xa0", " ")) for line in lines]
