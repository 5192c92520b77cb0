"""``dfgctl table``: the table of results."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import escape, out, reported, write_file

if TYPE_CHECKING:
    from dfgctl.report.tables import ResultsTable


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
    from dfgctl import recipe as recipes
    from dfgctl.errors import NothingToShowError
    from dfgctl.report.tables import results

    names = dataset or recipes.names()
    loaded = {name: recipes.load(name) for name in names}
    store = open_registry(registry)
    runs = [r for r in store.runs() if r.spec.dataset in loaded] if store else []
    if not runs:
        raise NothingToShowError(
            f"There are no runs of {', '.join(names)} yet: train some, e.g. dfgctl run {names[0]}."
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
    from rich.table import Table

    view = Table(title="Results", title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    view.add_column("Data set", overflow="fold")
    for title in made.methods.values():
        view.add_column(escape(title), justify="right", overflow="fold")
    for row, cells in made.lines:
        first = [made.label(row), *(f"  {part}" for part in made.settings(row))]
        texts = ["\n".join(cells[method].lines()) for method in made.methods]
        view.add_row(escape("\n".join(first)), *texts)
    console = out()
    console.print(view)
    for note in (made.caption, *made.footnotes):
        console.print(escape(note), style="dim")
