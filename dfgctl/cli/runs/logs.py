"""``dfgctl runs logs``: what happened to a run, line by line, also while it happens."""

import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, RegistryOption
from dfgctl.cli.output import INTERRUPTED, err, reported
from dfgctl.cli.runs.choice import RunArgument, opened
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from dfgctl.records import Run
    from dfgctl.registry import Registry

PAUSE = 0.5
"""Seconds between looks at the file."""

EXPIRE_SECONDS = 10.0
"""Seconds between looks for workers that have vanished, while a log is followed."""

PATIENCE = 60.0
"""Seconds for which a registry that is away is asked again, while a log is followed."""


@reported
def logs(
    run: RunArgument,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option("-n", "--lines", min=0, help="Only the last N lines. \\[default: all]"),
    ] = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Print a run's log: its attempts, evaluations and checkpoints, and how they ended."""
    from dfgctl.dispatch.logs import log_file

    store = opened(registry, run)
    found = store.find(run)
    file = log_file(store.folder / "logs", found.id)
    try:
        if not file.exists():
            _missing(found, file, follow)
        position = _print_last(file, lines)
        if follow:
            store.patience = PATIENCE
            _follow(store, found.id, file, position)
        _print_end(store, found.id)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _missing(run: "Run", file: Path, follow: bool) -> None:
    """Say why a run has no log, where it cannot come yet.

    Raises:
        InputError: it cannot.
    """
    from dfgctl.cli.names import short

    name = short(run.id)
    if run.worker is None:
        if run.status == "queued" and follow:
            err().print(f"Run {name} is queued: its log begins when a worker takes it.")
            return
        begins = "-f waits for it" if run.status == "queued" else "dfgctl runs retry queues it"
        raise InputError(
            f"Run {name} is {run.status} and was never begun, so it has no log: {begins}."
        )
    host = run.worker.partition(":")[0]
    if follow and run.status in ("queued", "running") and host == platform.node():
        return
    if host == platform.node():
        why = "it was deleted, or never kept"
    else:
        why = f"worker {run.worker} trained it on {host}; look there"
    raise InputError(f"Run {name} has no log at {file}: {why}, or see dfgctl runs show {name}.")


def _print_last(file: Path, lines: int | None) -> int:
    """Print a file, or its last lines; return up to where it was read."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return 0
    kept = content.splitlines(keepends=True)
    if lines is not None:
        kept = kept[len(kept) - min(lines, len(kept)) :]
    _write(b"".join(kept))
    return len(content)


def _print_end(store: "Registry", run_id: str) -> None:
    """Print how the newest attempt ended where its worker could not write it."""
    from dfgctl.dispatch.logs import last_word

    attempts = store.attempts(run_id)
    if attempts and attempts[-1].outcome in ("lost", "cancelled"):
        typer.echo(f"{attempts[-1].ended_at:%Y-%m-%d %H:%M:%S}Z  {last_word(attempts[-1])}")


def _follow(store: "Registry", run_id: str, file: Path, position: int) -> None:
    """Print what is added to a file until its run has ended."""
    looked = time.monotonic()
    seen = False
    while True:
        ended = store.statuses([run_id]).get(run_id) not in ("queued", "running")
        if ended and seen:
            time.sleep(PAUSE)  # a worker writes its last line just after it has ended the run
        position = _print_new(file, position, whole=ended)
        if ended:
            return
        seen = True
        time.sleep(PAUSE)
        if time.monotonic() - looked > EXPIRE_SECONDS and not store.read_only:
            store.expire()
            looked = time.monotonic()


def _print_new(file: Path, position: int, whole: bool) -> int:
    """Print what follows a position, whole lines or all; return up to where that was."""
    try:
        with file.open("rb") as opened_file:
            if opened_file.seek(0, 2) < position:
                position = 0  # it is another file by now
            opened_file.seek(position)
            content = opened_file.read()
    except FileNotFoundError:
        return 0
    if not whole:
        content = content[: content.rfind(b"\n") + 1]
    _write(content)
    return position + len(content)


def _write(content: bytes) -> None:
    if content:
        typer.echo(content.decode("utf-8", errors="replace"), nl=False)
