"""``dfgctl plot frontier``: accuracy against training cost, with the Pareto front."""

from typing import Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, SelectOption
from dfgctl.cli.output import reported
from dfgctl.cli.plot.choosing import (
    ImbalanceOption,
    MajorityOption,
    ManyMethodsOption,
    ProtocolOption,
    chosen,
)
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep
from dfgctl.report.fronts import Cost
from dfgctl.report.selection import Metric


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command(
        "frontier", epilog="Example:  dfgctl plot frontier --metric balanced --cost flop"
    )(frontier)


@reported
def frontier(
    dataset: DatasetOption = None,
    method: ManyMethodsOption = None,
    cost: Annotated[
        Cost, typer.Option(help="What is drawn across: seconds of training, or its FLOP.")
    ] = Cost.seconds,
    metric: Annotated[
        Metric | None, typer.Option(help="What is drawn upwards. \\[default: accuracy]")
    ] = None,
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    protocol: ProtocolOption = None,
    select: SelectOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw accuracy against training cost, with 95 % intervals and the Pareto front."""
    from dfgctl.cli.flop import known
    from dfgctl.report.frontier_figure import draw
    from dfgctl.report.view import View

    check_output(output, data)
    found, store = chosen(
        registry, dataset, method or (), imbalance, majority, protocol, groups=True
    )
    assert store is not None
    view = View(
        runs=found.runs,
        recipes={found.recipe.name: found.recipe},
        select=select,
        metric=metric or Metric.accuracy,
        flop=known(store, found.runs, count=cost is Cost.flop),
    )
    keep(draw(found, view, cost), output, data, store)
