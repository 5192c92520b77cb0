"""``dfgctl table``: the tables, each by its name."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
from dfgctl.cli.output import note, reported, write_file
from dfgctl.cli.table_view import show
from dfgctl.report.selection import Metric, Settings
from dfgctl.report.tables import TABLES


class Format(StrEnum):
    """How a table is written."""

    rich = "rich"
    md = "md"
    latex = "latex"
    csv = "csv"
    json = "json"
    html = "html"


ENDINGS = {".tex": Format.latex} | {f".{kind}": kind for kind in Format}
"""How a file is written if that is not said: by its ending, else as Markdown."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "table",
        epilog="Examples:  dfgctl table --dataset digits --format md -o results/digits.md   |   "
        "dfgctl table pairs --against balanced/source   |   dfgctl table frontier",
    )(table)


@reported
def table(
    name: Annotated[
        str,
        typer.Argument(
            help="Which table. " + " ".join(f"{name}: {says}." for name, says in TABLES.items()),
            autocompletion=complete.tables,
        ),
    ] = "results",
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
    settings: Annotated[
        Settings | None,
        typer.Option(
            help="Only runs at the recipe's own settings (recipe), or at those of --tuned (tuned). "
            "\\[default: any]"
        ),
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
        typer.Option(
            help="The method that the others are compared with: any with runs, also one of your "
            "own, or a rival from the source's weights, e.g. balanced/source. \\[default: dfg]",
            autocompletion=complete.contenders,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="How it is written. \\[default: rich, or by the ending of --output]"),
    ] = None,
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
    tables.check(name, [option for option, value in chosen.items() if value is not None])
    needed = tables.needs_runs(name)
    store = open_registry(registry, optional=not needed)
    every = store.runs(whole=name in tables.WHOLE) if store else []
    loaded = templates.recipes_of(every, dataset or ())
    references = name in tables.WITH_REFERENCES
    filters = Filters(tuple(dataset or ()), majority, protocol, source, references, settings)
    runs = filters.passed(every, needed)
    for text in filters.left_out(runs) if needed else ():
        note(text)
    flop = {}
    if store is not None and name in tables.WITH_FLOP:
        from dfgctl.cli.flop import known

        flop = known(store, runs)
    view = View(
        runs=runs,
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
        flop=flop,
    )
    made = tables.make(name, view)
    if output is not None:
        kind = format or ENDINGS.get(output.suffix.lower(), Format.md)
        write_file(output, render(made, "md" if kind is Format.rich else kind.value))
    elif format in (None, Format.rich):
        show(made)
    else:
        typer.echo(render(made, format.value).rstrip("\n"))
