"""The app: its commands and options. Heavy imports wait until a command runs."""

from typing import Annotated

import typer

from dfgctl import __version__
from dfgctl.cli import (
    bench,
    data,
    db,
    doctor,
    gc,
    ledger,
    plot,
    recipe,
    report,
    run,
    runs,
    table,
    tune,
    use,
    worker,
)

app = typer.Typer(
    name="dfgctl",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dfgctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Reproduce discriminative feature generation (DFG) for imbalanced image data.

    Every run goes into a registry; tables and figures are made from its finished runs.
    Start with [bold]dfgctl run digits[/bold]: it needs no download.
    """


run.register(app)
worker.register(app)
tune.register(app)
table.register(app)
plot.register(app)
report.register(app)
runs.register(app)
data.register(app)
recipe.register(app)
ledger.register(app)
use.register(app)
bench.register(app)
db.register(app)
gc.register(app)
doctor.register(app)
