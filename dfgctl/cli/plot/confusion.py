"""``dfgctl plot confusion``: which classes are taken for which."""

from typing import Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption
from dfgctl.cli.output import reported
from dfgctl.cli.plot.choosing import (
    ImbalanceOption,
    MajorityOption,
    MethodOption,
    ProtocolOption,
    chosen,
)
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command(
        "confusion", epilog="Example:  dfgctl plot confusion --method delta --combinations 0,4"
    )(confusion)


@reported
def confusion(
    dataset: DatasetOption = None,
    method: MethodOption = "dfg",
    combinations: Annotated[
        str | None,
        typer.Option(help="Only runs with these majority classes, e.g. 0,4. \\[default: all]"),
    ] = None,
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    protocol: ProtocolOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw the mean confusion matrix of a method's runs, with majority classes marked."""
    from dfgctl.data.imbalance import parse_combinations
    from dfgctl.errors import InputError
    from dfgctl.report.confusion import draw

    check_output(output, data)
    found, store = chosen(registry, dataset, [method], imbalance, majority, protocol)
    assert store is not None
    only: tuple[int, ...] = ()
    if combinations is not None:
        first = found.runs[0]
        parsed = parse_combinations(combinations, len(first.class_counts), first.spec.majority)
        if parsed is not None and len(parsed) > 1:
            raise InputError("Each figure shows one combination, or all: name one.")
        only = parsed[0] if parsed else ()
    whole = store.runs((run.id for run in found.runs), whole=True)
    keep(draw(found, whole, only), output, data, store)
