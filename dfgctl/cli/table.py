"""``dfgctl table``: the table of results."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import escape, out, reported, write_file

if TYPE_CHECKING:
    from rich.table import Table

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
        list[str] | None,
        typer.Option(
            help="A data set; may be repeated. \\[default: all]", autocompletion=complete.datasets
        ),
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
    """Print a table of results for reading; where room is scarce, cells are stacked."""
    from rich.measure import Measurement

    console = out()
    layouts = ((False, True), (True, True), (True, False))  # cells stacked, titles whole
    for stacked, whole in layouts[console.width < NARROW :]:
        view = _view(made, stacked, whole)
        least = Measurement.get(console, console.options.update(width=1000), view).minimum
        if least <= console.width:
            break
    console.print(view, width=max(console.width, least), soft_wrap=least > console.width)
    for note in (made.caption, *made.footnotes):
        console.print(escape(note), style="dim")


def _view(made: "ResultsTable", narrow: bool, whole: bool) -> "Table":
    from rich import box
    from rich.table import Table

    view = Table(title="Results", title_justify="left", box=box.SIMPLE_HEAD, show_lines=True)
    view.add_column("Data set", overflow="fold", min_width=16)
    rows = []
    for row, cells in made.lines:
        first = [made.label(row), *(_indented(part, narrow) for part in made.settings(row))]
        texts = ["\n".join(cells[method].lines()) for method in made.methods]
        rows.append((escape("\n".join(first)), [_stacked(t) if narrow else t for t in texts]))
    for i, title in enumerate(made.methods.values()):
        # A title of several words may break, a number may not: only the first column gives way.
        lines = [line for _, texts in rows for line in texts[i].splitlines()]
        words = [title] if whole else title.split()
        view.add_column(escape(title), justify="right", width=max(map(len, [*words, *lines])))
    for label, texts in rows:
        view.add_row(label, *texts)
    return view


def _indented(part: str, narrow: bool) -> str:
    """Write a setting below its row's name; where room is scarce, a long one breaks at its =."""
    key, equals, value = part.partition("=")
    broken = narrow and equals and len(part) > 13
    return f"  {key}=\n    {value}" if broken else f"  {part}"


def _stacked(text: str) -> str:
    """Write a cell in as few columns as it can be read in."""
    parts = text.replace(" ± ", "\n± ").splitlines()
    # A count and what it counts, such as 1 cancelled, or not planned; n = 3 stays whole.
    return "\n".join(p if "=" in p or p.startswith("±") else p.replace(" ", "\n") for p in parts)
