"""``dfgctl plot combinations``: accuracy for each combination of majority classes."""

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption
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
        "combinations", epilog="Example:  dfgctl plot combinations --dataset digits --method delta"
    )(combinations)


@reported
def combinations(
    dataset: DatasetOption = None,
    method: MethodOption = "dfg",
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    protocol: ProtocolOption = None,
    select: SelectOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw a method's accuracy for each combination of majority classes."""
    from dfgctl.report.combination_figure import draw

    check_output(output, data)
    found, store = chosen(registry, dataset, [method], imbalance, majority, protocol)
    keep(draw(found, select), output, data, store)
