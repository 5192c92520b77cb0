"""``dfgctl gc``: clears what no run needs."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli.names import counted, size
from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from dfgctl.cli.output import err, escape, out, print_json, reported
from dfgctl.errors import DfgctlError, InputError, RegistryError

if TYPE_CHECKING:
    from dfgctl.registry.files import Left
    from dfgctl.registry.janitor import Waste

KINDS = {
    "checkpoints": "of runs that have ended, or are not in the registry",
    "weights": "of attempts that are no result, or runs not in the registry",
    "sources": "source networks that no run refers to",
    "logs": "of runs that are not in the registry",
    "temporary": "begun by writers that were killed",
}
"""What is cleared, and why."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gc", epilog="Examples:  dfgctl gc --dry-run   |   dfgctl gc --yes")(gc)


@reported
def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """Delete the files beside the registry that no run needs.

    The result's weights of every run stay, and all files of runs that are queued, running, failed
    or cancelled, as they may go on. Workers may be at work meanwhile.
    """
    store = open_registry(registry)
    if store is None:
        raise RegistryError(
            f"There is no registry at {registry}: name the one to clear up with --registry."
        )
    waste = store.waste()
    if not json:
        _show(waste)
    if dry_run or not (waste.files or waste.plans):
        if json:
            print_json(_record(waste, waste.files, waste.plans, dry_run))
        return
    if store.read_only:
        raise RegistryError(
            f"{store.where} cannot be written, so that nothing is deleted: clear up as its owner."
        )
    if not yes and waste.files:
        _ask(waste)
    done = store.clear(waste)
    if json:
        print_json(_record(waste, done.files, done.plans, dry_run))
    else:
        freed = size(sum(file.size for file in done.files))
        out().print(f"Deleted {counted(len(done.files), 'file')}, {freed}.")
        if done.kept:
            err().print(f"Kept {counted(done.kept, 'file')} that came into use meanwhile.")
    if done.failed:
        path, reason = done.failed[0]
        raise DfgctlError(
            f"{counted(len(done.failed), 'file')} could not be deleted, first {path} ({reason}): "
            "clear up as their owner."
        )


def _ask(waste: "Waste") -> None:
    if not _somebody():
        raise InputError("Nobody can be asked here: add --yes to delete, or --dry-run to look.")
    asked = counted(len(waste.files), "file")
    if not typer.confirm(f"Delete {asked}?", err=True):
        raise InputError("Nothing was deleted.")


def _somebody() -> bool:
    """Say whether there is a terminal at which somebody may answer."""
    return sys.stdin.isatty()


def _show(waste: "Waste") -> None:
    from rich.table import Table

    console = out()
    if not waste.files:
        console.print("There is nothing to clear.")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("Kind", no_wrap=True)
        table.add_column("Files", justify="right", no_wrap=True)
        table.add_column("Size", justify="right", no_wrap=True)
        table.add_column("What")
        for kind, (count, taken) in _by_kind(waste.files).items():
            if count:
                table.add_row(kind, f"{count:,}", size(taken), KINDS[kind])
        if waste.plans:
            table.add_row("plans", f"{waste.plans:,}", "", "rows: all of their runs have ended")
        console.print(table)
    if waste.others:
        names = ", ".join(path.name for path in waste.others)
        err().print(f"Kept what {escape(names)} in the same folder knows.", soft_wrap=True)
    if waste.strangers:
        err().print(
            f"Kept {counted(waste.strangers, 'file')} of runs that are not in this registry: "
            "another one may use the folder.",
            soft_wrap=True,
        )


def _by_kind(files: "Sequence[Left]") -> dict[str, tuple[int, int]]:
    found = {}
    for kind in KINDS:
        sizes = [file.size for file in files if file.kind == kind]
        found[kind] = len(sizes), sum(sizes)
    return found


def _record(waste: "Waste", files: "Sequence[Left]", plans: int, dry_run: bool) -> dict[str, Any]:
    return {
        "deleted": not dry_run and bool(files or plans),
        "kinds": {
            kind: {"count": count, "bytes": taken}
            for kind, (count, taken) in _by_kind(files).items()
        },
        "plans": plans,
        "files": [str(file.path) for file in files],
        "other_registries": [str(path) for path in waste.others],
        "kept_of_unknown_runs": waste.strangers,
    }
