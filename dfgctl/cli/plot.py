"""``dfgctl plot``: figures from finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import err, escape, reported

if TYPE_CHECKING:
    from dfgctl.report.selection import Select

DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="The data set. \\[default: the one with such runs]", autocompletion=complete.datasets
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="The picture: .png, .svg or .pdf. \\[default: beside the registry]"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Draw figures from finished runs.")
    group.command("rho", epilog="Example:  dfgctl plot rho --dataset digits -o rho.svg")(rho)
    group.command("delta", epilog="Example:  dfgctl plot delta --dataset digits -o delta.pdf")(
        delta
    )
    app.add_typer(group, name="plot")


@reported
def rho(
    dataset: DatasetOption = None,
    output: OutputOption = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw DFG's accuracy over rho, the source's share of the filter weights (Fig. 6)."""
    _sensitivity("rho", dataset, output, select, registry)


@reported
def delta(
    dataset: DatasetOption = None,
    output: OutputOption = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw DFG's accuracy over delta, the threshold of the filter weights (Fig. 7)."""
    _sensitivity("delta", dataset, output, select, registry)


def _sensitivity(
    key: str, dataset: str | None, output: Path | None, select: "Select | None", where: str
) -> None:
    from dfgctl import templates
    from dfgctl.errors import InputError, NothingToShowError
    from dfgctl.report.plots import check_file, draw_sensitivity, sensitivity

    if output is not None:
        check_file(output)
    store = open_registry(where)
    runs = store.runs() if store else []
    found, failed = {}, None
    trained = sorted({run.spec.dataset for run in runs}) or ["digits"]
    for name, recipe in templates.recipes_of(runs, [dataset] if dataset else trained).items():
        try:
            found[name] = sensitivity(key, runs, recipe, select)
        except NothingToShowError as error:
            failed = failed or error
    if not found:
        assert failed is not None
        raise failed
    if len(found) > 1:
        raise InputError(
            f"There are such runs of {' and '.join(found)}: choose one with --dataset."
        )
    ((name, data),) = found.items()
    folder = store.folder if store else Path("results")
    file = output or folder / "plots" / f"{key}-{name}.png"
    draw_sensitivity(data, file)
    err().print(f"{escape(data.title)} ({data.ratio}), {data.axis}:")
    for value, summary in data.summaries().items():
        err().print(f"{key} {value:<5g} {summary.text()} % (n={summary.n})")
    if data.left_out:
        err().print(
            f"Left out: {data.left_out} groups of runs with another source, imbalance or settings."
        )
    typer.echo(str(file))
