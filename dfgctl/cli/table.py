"""``dfgctl table``: the tables, each by its name."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import escape, out, reported, write_file
from dfgctl.report.selection import Metric
from dfgctl.report.tables import TABLES

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from dfgctl.report.table import Table


NARROW = 100
"""Columns of a terminal below which a standard deviation stands under its mean."""

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
        "table", epilog="Example:  dfgctl table --dataset digits --format md -o results/digits.md"
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
        Metric,
        typer.Option(
            help="Accuracy, balanced accuracy (the mean recall), macro F1, G-mean, or the recall "
            "of minority or majority classes."
        ),
    ] = Metric.accuracy,
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
        float,
        typer.Option(min=0, help="Points by which two means may differ and count as equal."),
    ] = 1.0,
    paper_n: Annotated[
        int | None,
        typer.Option(
            min=2, help="Runs behind a number of the paper. \\[default: 45, or 10 at 1:1]"
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(help="The method that the others are compared with.")
    ] = "dfg",
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.rich,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file.")
    ] = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Show a table of the registry's runs."""
    from dfgctl import templates
    from dfgctl.report import tables
    from dfgctl.report.rendering import render
    from dfgctl.report.view import Filters, View

    store = open_registry(registry)
    every = store.runs() if store else []
    loaded = templates.recipes_of(every, dataset or ())
    filters = Filters(tuple(dataset or ()), majority, protocol, source)
    view = View(
        runs=filters.passed(every),
        recipes=loaded,
        select=select,
        metric=metric,
        published=published,
        margin=margin,
        paper_n=paper_n,
        against=against,
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
    layouts = ((False, True), (True, True), (True, False))  # cells stacked, titles whole
    for stacked, whole in layouts[console.width < NARROW :]:
        view = _view(made, stacked, whole)
        least = Measurement.get(console, console.options.update(width=1000), view).minimum
        if least <= console.width:
            break
    console.print(view, width=max(console.width, least), soft_wrap=least > console.width)
    for note in (made.caption, *made.notes):
        console.print(escape(note), style="dim")


def _view(made: "Table", narrow: bool, whole: bool) -> "RichTable":
    """Lay a table out: what tells rows of one name apart stands below the name, indented."""
    from rich import box
    from rich.table import Table

    view = Table(title=made.title, title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    rows: list[list[str]] = []
    for row in made.rows:
        shown: list[str] = []
        for column, cell in zip(made.columns, row, strict=True):
            text = "\n".join(cell.lines)
            if column.kind == "detail":
                details = "".join(f"\n{_indented(line, narrow)}" for line in cell.lines)
                shown[-1] += details
            elif column.kind == "value":
                shown.append(_stacked(text) if narrow else text)
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
    broken = narrow and equals and len(part) > 13
    return f"  {key}=\n    {value}" if broken else f"  {part}"


def _stacked(text: str) -> str:
    """Write a cell in as few columns as it can be read in."""
    parts = text.replace(" ± ", "\n± ").splitlines()
    # A count and what it counts, such as 1 cancelled, or not planned; n = 3 stays whole.
    return "\n".join(p if "=" in p or p.startswith("±") else p.replace(" ", "\n") for p in parts)
