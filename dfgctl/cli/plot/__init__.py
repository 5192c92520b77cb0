"""``dfgctl plot``: figures from finished runs, a file for each kind."""

import typer

from dfgctl.cli.plot import (
    cam,
    combinations,
    confusion,
    curves,
    features,
    frontier,
    sensitivity,
    structure,
    weights,
)

KINDS = (
    *(sensitivity, curves, confusion, combinations, frontier),
    *(features, cam, weights, structure),
)


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Draw figures from finished runs.")
    for kind in KINDS:
        kind.register(group)
    app.add_typer(group, name="plot")
