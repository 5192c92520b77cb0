"""``dfgctl plot``: figures from finished runs, a file for each kind."""

import typer

from dfgctl.cli.plot import cam, features, sensitivity, weights


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Draw figures from finished runs.")
    sensitivity.register(group)
    features.register(group)
    cam.register(group)
    weights.register(group)
    app.add_typer(group, name="plot")
