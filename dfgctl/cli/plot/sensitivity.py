"""``dfgctl plot rho`` and ``delta`` (Fig. 6 and 7)."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption, open_registry
from dfgctl.cli.output import err, escape, reported
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep

if TYPE_CHECKING:
    from dfgctl.report.selection import Select


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("rho", epilog="Example:  dfgctl plot rho --dataset digits -o rho.svg")(rho)
    group.command("delta", epilog="Example:  dfgctl plot delta --dataset digits -o delta.pdf")(
        delta
    )


@reported
def rho(
    dataset: DatasetOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw DFG's accuracy over rho, the source's share of the filter weights (Fig. 6)."""
    _sensitivity("rho", dataset, output, data, select, registry)


@reported
def delta(
    dataset: DatasetOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw DFG's accuracy over delta, the threshold of the filter weights (Fig. 7)."""
    _sensitivity("delta", dataset, output, data, select, registry)


def _sensitivity(
    key: str,
    dataset: str | None,
    output: Path | None,
    data: Path | None,
    select: "Select | None",
    where: str,
) -> None:
    from dfgctl import templates
    from dfgctl.errors import InputError, NothingToShowError
    from dfgctl.report.sensitivity import sensitivity
    from dfgctl.report.sweep_figure import draw

    check_output(output, data)
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
    (points,) = found.values()
    err().print(f"{escape(points.title)} ({points.ratio}), {points.axis}:")
    keep(draw(points), output, data, store)
