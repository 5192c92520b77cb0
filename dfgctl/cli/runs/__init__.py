"""``dfgctl runs``: look at the registry's runs, change the queue, take runs to other registries."""

import typer

from dfgctl.cli.runs.listing import list_runs, record

__all__ = ["record", "register"]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    from dfgctl.cli.runs import changing, compare, logs, one, transfer, watch

    group = typer.Typer(no_args_is_help=True, help="Look at runs, and manage them.")
    group.command("list", epilog="Example:  dfgctl runs list --dataset digits --since 2h")(
        list_runs
    )
    group.command("show", epilog="Example:  dfgctl runs show 3f9a")(one.show_run)
    group.command("compare", epilog="Example:  dfgctl runs compare 3f9a 77b0")(compare.compare)
    group.command("logs", epilog="Example:  dfgctl runs logs 3f9a -f")(logs.logs)
    group.command("watch", epilog="Example:  dfgctl runs watch")(watch.watch)
    group.command(
        "cancel",
        epilog="Examples:  dfgctl runs cancel 3f9a   |   "
        "dfgctl runs cancel --dataset digits --status queued",
    )(changing.cancel)
    group.command(
        "retry",
        epilog="Examples:  dfgctl runs retry 3f9a   |   dfgctl runs retry --status out-of-memory",
    )(changing.retry)
    group.command(
        "rm", epilog="Examples:  dfgctl runs rm 3f9a   |   dfgctl runs rm --status failed --yes"
    )(changing.remove)
    group.command(
        "export",
        epilog="Examples:  dfgctl runs export runs.jsonl   |   "
        "dfgctl runs export - --dataset digits | gzip > digits.jsonl.gz",
    )(transfer.export)
    group.command(
        "import",
        epilog="Examples:  dfgctl runs import runs.jsonl   |   "
        "ssh HOST dfgctl runs export - | dfgctl runs import -",
    )(transfer.take_in)
    app.add_typer(group, name="runs")
