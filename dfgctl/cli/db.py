"""``dfgctl db``: what the registry holds, backups, and bringing an older one up to date."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from dfgctl.cli.output import err, escape, out, print_json, reported
from dfgctl.errors import RegistryError

if TYPE_CHECKING:
    from dfgctl.registry.care import Facts


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Look after the registry itself.")
    group.command("info", epilog="Example:  dfgctl db info --json")(info)
    group.command("upgrade", epilog="Example:  dfgctl db upgrade --registry old/registry.sqlite")(
        upgrade
    )
    group.command(
        "backup",
        epilog="Examples:  dfgctl db backup backups/monday.sqlite   |   "
        "dfgctl db backup monday.dump --registry postgresql://host/name",
    )(backup)
    app.add_typer(group, name="db")


@reported
def info(registry: RegistryOption = DEFAULT_REGISTRY, json: JsonOption = False) -> None:
    """Show what the registry holds, what it takes, and the files beside it."""
    store = open_registry(registry)
    if store is None:
        raise RegistryError(
            f"There is no registry at {registry} yet: train something first, e.g. dfgctl run "
            "digits, or name the registry with --registry."
        )
    facts = store.facts()
    if json:
        print_json(_record(facts))
    else:
        _print(facts)


@reported
def upgrade(
    registry: RegistryOption = DEFAULT_REGISTRY,
    no_backup: Annotated[
        bool,
        typer.Option("--no-backup", help="Upgrade a PostgreSQL registry without a backup before."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Bring a registry that an older version wrote up to date, after a backup.

    An SQLite registry is also brought up to date, and copied before, by any command that opens it;
    one on PostgreSQL only here, as workers on other machines may be at it.
    """
    from dfgctl.registry.backups import bring_up_to_date

    done = bring_up_to_date(registry, backup=not no_backup)
    if json:
        print_json(
            {
                "registry": done.where,
                "before": done.before,
                "after": done.after,
                "backup": str(done.backup) if done.backup else None,
            }
        )
        return
    if done.before == done.after:
        out().print(
            f"{escape(done.where)} is up to date: nothing to do (its schema is {done.after}).",
            soft_wrap=True,
        )
        return
    if done.backup is not None:
        out().print(f"As it was, it lies in {escape(str(done.backup))}.", soft_wrap=True)
    out().print(
        f"{escape(done.where)} was brought from schema {done.before} to {done.after}.",
        soft_wrap=True,
    )


@reported
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if there is one.")
    ] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Write a copy of the registry to a file, whole while workers write, and check it.

    The copy of an SQLite registry is a registry; that of one on PostgreSQL is for pg_restore. Files
    beside the registry (weights, checkpoints) are not in it.
    """
    from dfgctl.cli.names import size
    from dfgctl.registry.backups import back_up

    taken = back_up(registry, file, force)
    err().print(f"Wrote {escape(str(file))} ({size(taken)}), checked.", soft_wrap=True)


def _record(facts: "Facts") -> dict[str, Any]:
    return {
        "registry": facts.where,
        "database": facts.database,
        "schema": facts.schema,
        "bytes": facts.bytes,
        "journal": facts.journal,
        "read_only": facts.read_only,
        "runs": {"all": sum(facts.runs.values()), **_statuses(facts)},
        "attempts": facts.attempts,
        "evaluations": facts.evaluations,
        "workers": facts.workers,
        "plans": facts.plans,
        "sources": facts.sources,
        "folder": str(facts.folder),
        "files": {
            name: {"count": count, "bytes": taken} for name, (count, taken) in facts.files.items()
        },
    }


def _statuses(facts: "Facts") -> dict[str, int]:
    from dfgctl.records import STATUSES

    return {status: facts.runs.get(status, 0) for status in STATUSES}


def _print(facts: "Facts") -> None:
    from rich.table import Table

    from dfgctl.cli.names import counted, size

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    journal = f", journal {facts.journal}" if facts.journal else ""
    only = ", read-only" if facts.read_only else ""
    statuses = ", ".join(f"{n:,} {status}" for status, n in _statuses(facts).items() if n)
    table.add_row("Registry", escape(facts.where))
    table.add_row("Database", f"{facts.database}, schema {facts.schema}{journal}{only}")
    table.add_row("Size", size(facts.bytes))
    runs = f"{sum(facts.runs.values()):,}"
    table.add_row("Runs", f"{runs} ({statuses})" if statuses else runs)
    table.add_row("Attempts", f"{facts.attempts:,}")
    table.add_row("Evaluations", f"{facts.evaluations:,}")
    table.add_row("Workers", f"{facts.workers:,} alive")
    table.add_row("Source networks", f"{facts.sources:,} ready")
    table.add_row("Files in", escape(str(facts.folder)))
    for name, (count, taken) in facts.files.items():
        said = f"{counted(count, 'file')}, {size(taken)}" if count else "none"
        table.add_row(f"  {name}", said)
    out().print(table)
