"""``dfgctl table``: the table of results."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import escape, out, reported, write_file

if TYPE_CHECKING:
    from dfgctl.report.tables import ResultsTable


NARROW = 100
"""Columns of a terminal below which a standard deviation stands under its mean."""


class Format(StrEnum):
    """How a table is written."""

    rich = "rich"
    md = "md"
    latex = "latex"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "table", epilog="Example:  dfgctl table --dataset digits --format md -o results/digits.md"
    )(table)


@reported
def table(
    dataset: Annotated[
        list[str] | None, typer.Option(help="A data set; may be repeated. \\[default: all]")
    ] = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.rich,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file.")
    ] = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Show mean and standard deviation of the accuracy: data sets down, methods across."""
    from dfgctl import templates
    from dfgctl.errors import NothingToShowError
    from dfgctl.report.tables import results

    store = open_registry(registry)
    every = store.runs() if store else []
    loaded = templates.recipes_of(every, dataset or ())
    runs = [r for r in every if r.spec.dataset in loaded]
    if not runs:
        which = f" of {', '.join(dataset)}" if dataset else ""
        first = dataset[0] if dataset else "digits"
        raise NothingToShowError(
            f"There are no runs{which} yet: train some, e.g. dfgctl run {first}."
        )
    made = results(runs, loaded, select)
    if format is Format.rich and output is None:
        show(made)
        return
    kind = "md" if format is Format.rich else format.value
    text = made.render(kind)
    if output is not None:
        write_file(output, text)
    else:
        typer.echo(text.rstrip("\n"))


def show(made: "ResultsTable") -> None:
    """Print a table of results for reading."""
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table

    console = out()
    narrow = console.width < NARROW
    view = Table(title="Results", title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    view.add_column("Data set", overflow="fold", min_width=16)
    for title in made.methods.values():
        # A title of several words may break, a number may not.
        view.add_column(escape(title), justify="right", min_width=max(map(len, title.split())))
    for row, cells in made.lines:
        first = [made.label(row), *(_indented(part, narrow) for part in made.settings(row))]
        texts = ["\n".join(cells[method].lines()) for method in made.methods]
        if narrow:
            texts = [_stacked(text) for text in texts]
        view.add_row(escape("\n".join(first)), *texts)
    least = Measurement.get(console, console.options.update(width=1000), view).minimum
    console.print(view, width=max(console.width, least), soft_wrap=least > console.width)
    for note in (made.caption, *made.footnotes):
        console.print(escape(note), style="dim")


def _indented(part: str, narrow: bool) -> str:
    """Write a setting below its row's name; where room is scarce, a long one breaks at its =."""
    key, equals, value = part.partition("=")
    broken = narrow and equals and len(part) > 13
    return f"  {key}=\n    {value}" if broken else f"  {part}"


def _stacked(text: str) -> str:
    """Write a cell in as few columns as it can be read in."""
    return text.replace(" ± ", "\n± ").replace("not planned", "not\nplanned")
