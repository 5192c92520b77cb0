"""``dfgctl plot structure``: the four networks of DFG (Fig. 1)."""

from typing import Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.output import reported
from dfgctl.cli.plot.common import DataOption, OutputOption, check_output, keep


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("structure", epilog="Example:  dfgctl plot structure fmnist")(structure)


@reported
def structure(
    name: Annotated[
        str, typer.Argument(help="The data set's recipe.", autocompletion=complete.recipes)
    ],
    split: Annotated[
        str,
        typer.Option(
            help="Where the network is split: block1 to block4, as in Table 3. \\[default: the "
            "paper's]",
            autocompletion=complete.splits,
        ),
    ] = "",
    output: OutputOption = None,
    data: DataOption = None,
) -> None:
    """Draw the four networks of DFG with their shapes and parameters (Fig. 1); needs no runs."""
    from dfgctl import recipe as recipes

    check_output(output, data)
    recipe = recipes.load(name)
    from dfgctl.analysis.structure import structure as look
    from dfgctl.report.structure import draw

    keep(draw(look(recipe, split)), output, data, None)
