"""``dfgctl runs export`` and ``import``: take runs from one registry to another."""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.names import counted, short
from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption, open_registry
from dfgctl.cli.output import err, escape, reported, whole_file
from dfgctl.cli.runs.choice import (
    DatasetFilter,
    MethodFilter,
    RunsArgument,
    SinceFilter,
    StatusFilter,
    ids_of,
    opened,
    wanted,
)
from dfgctl.errors import InputError, NothingToShowError, RegistryUnavailableError

if TYPE_CHECKING:
    from dfgctl.registry.lines import Checked
    from dfgctl.registry.transfer import Merged

PIPE = Path("-")
NAMED = 5
"""Runs that are named in a line."""


@reported
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file, or - for standard output.")
    ],
    runs: RunsArgument = None,
    dataset: DatasetFilter = None,
    method: MethodFilter = None,
    status: StatusFilter = None,
    since: SinceFilter = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Write runs that have ended, with all that is known of them, as JSON Lines with checksums.

    Weights are not among it: of a single run, dfgctl export writes them.
    """
    from dfgctl.registry.lines import ENDED

    if file.is_file() and file != PIPE and not force:
        raise InputError(f"{file} is there already: name another, or add --force.")
    store = opened(registry, runs[0]) if runs else open_registry(registry)
    filters = wanted(store, dataset, method, status, since)
    ids = ids_of(store, runs, filters) if store else []
    statuses = store.statuses(ids) if store else {}
    ended = [run_id for run_id in ids if statuses.get(run_id) in ENDED]
    rest = len(ids) - len(ended)
    if store is None or not ended:
        verb = "is" if rest == 1 else "are"
        waiting = f", for {counted(rest, 'run')} {verb} queued or running" if rest else ""
        raise NothingToShowError(f"There is nothing to export{waiting}: see dfgctl runs list.")
    with closing(store.export(ended)) as lines:
        _write(file, lines)
    verb = "has" if rest == 1 else "have"
    left_out = f", without {counted(rest, 'run')} that {verb} not ended" if rest else ""
    where = "" if file == PIPE else f" to {file}"
    err().print(escape(f"Exported {counted(len(ended), 'run')}{where}{left_out}."), soft_wrap=True)


def _write(file: Path, lines: Iterable[str]) -> None:
    if file == PIPE:
        pipe = typer.get_binary_stream("stdout")
        for line in lines:
            pipe.write(line.encode())
        pipe.flush()
        return
    with whole_file(file, "name another") as opened_file:
        opened_file.writelines(lines)


@reported
def take_in(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What dfgctl runs export wrote, or - for a pipe.")
    ],
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Add the runs of an export to this registry; nothing that is here is overwritten.

    The file is read to its end first: one that was cut or changed is refused as a whole. Import it
    twice, and the second time changes nothing.
    """
    from dfgctl.registry.lines import check

    if file != PIPE:
        _merge(check(file), registry)
        return
    with tempfile.TemporaryDirectory(prefix="dfgctl-") as folder:
        copy = Path(folder) / "standard-input"
        with copy.open("wb") as opened_file:
            shutil.copyfileobj(sys.stdin.buffer, opened_file)
        _merge(check(copy), registry)


def _merge(checked: "Checked", registry: str) -> None:
    store = open_registry(registry, create=True)
    assert store is not None
    try:
        merged = store.merge(checked)
    except RegistryUnavailableError as error:
        raise RegistryUnavailableError(
            f"{error} What was imported before that is kept: import the file again to go on."
        ) from error
    _say(merged)


def _say(merged: "Merged") -> None:
    parts = [f"{counted(merged.new, 'run')} imported"]
    if merged.more:
        done = f" ({merged.finished:,} of them finished by it)" if merged.finished else ""
        parts.append(f"{counted(merged.more, 'run')} got further attempts{done}")
    if merged.same:
        parts.append(f"{counted(merged.same, 'run')} already here")
    err().print(f"{', '.join(parts)}.", soft_wrap=True)
    if merged.running:
        some = ", ".join(short(run_id) for run_id in merged.running[:NAMED])
        more = f" and {len(merged.running) - NAMED} more" if len(merged.running) > NAMED else ""
        err().print(
            f"Left alone, being trained here: {some}{more}; import the file again when they have "
            "ended.",
            soft_wrap=True,
        )
