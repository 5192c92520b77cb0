"""``dfgctl plot curves``: accuracy and losses over the training steps."""

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption
from dfgctl.cli.output import reported
from dfgctl.cli.plot.choosing import (
    ImbalanceOption,
    MajorityOption,
    ManyMethodsOption,
    ProtocolOption,
    chosen,
)
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("curves", epilog="Example:  dfgctl plot curves --method delta --method dfg")(
        curves
    )


@reported
def curves(
    dataset: DatasetOption = None,
    method: ManyMethodsOption = None,
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    protocol: ProtocolOption = None,
    output: OutputOption = None,
    data: DataOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw accuracy and losses over the training steps, with bands over the runs."""
    from dfgctl.report.curves import draw

    check_output(output, data)
    found, store = chosen(
        registry, dataset, method or (), imbalance, majority, protocol, groups=True
    )
    assert store is not None
    keep(draw(found, store.curves(run.id for run in found.runs)), output, data, store)
