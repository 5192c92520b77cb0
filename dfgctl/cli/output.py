"""Consoles, JSON, files, and the boundary at which errors become one sentence."""

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TextIO, TypeVar

import typer
from rich.console import Console

from dfgctl.errors import DfgctlError, InputError, StoppedError

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130
SQLITE = b"SQLite format 3\0"

at_end: list[Callable[[], None]] = []
"""What is called when a command ends, however it ends."""


class PipeConsole(Console):
    """A console that leaves a reader who has gone, say head, to ``reported``."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with 1."""
        raise BrokenPipeError


def out(wide: bool = False) -> Console:
    """Return the console of results (standard output).

    Args:
        wide: whether lines may be as long as they need to be where there is no terminal.
    """
    console = PipeConsole(highlight=False)
    return PipeConsole(highlight=False, width=1000) if wide and not console.is_terminal else console


def err() -> Console:
    """Return the console of progress, notes and errors (standard error)."""
    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Tell the user something that is no error."""
    err().print(f"[yellow]Note:[/yellow] {escape(text)}", soft_wrap=True)


def reported(command: Callable[P, T]) -> Callable[P, T]:
    """Report a ``DfgctlError`` as one sentence with its exit code, an interruption as 130."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return command(*args, **kwargs)
        except StoppedError as error:
            err().print(str(error), soft_wrap=True)
            raise typer.Exit(error.exit_code) from None
        except DfgctlError as error:
            err().print(f"[bold red]Error:[/bold red] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            # The reader, say head, has gone; what Python flushes at exit must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            # A path that the user named and that the system refuses, wherever it was met first.
            place = f"{error.filename}: " if error.filename else ""
            err().print(f"[bold red]Error:[/bold red] {escape(place)}{error.strerror or error}.")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            err().print("Interrupted. What is finished is kept; type the command again to go on.")
            raise typer.Exit(INTERRUPTED) from None
        finally:
            while at_end:
                at_end.pop()()

    return wrapper


def escape(text: str) -> str:
    """Keep rich from reading markup in a text."""
    from rich.markup import escape as rich_escape

    return rich_escape(text)


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_json_list(values: Iterable[Any]) -> None:
    """Print many values as one JSON list, each as it comes: all at once would take much memory."""
    lead = "[\n  "
    for value in values:
        text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
        typer.echo(lead + text.replace("\n", "\n  "), nl=False)
        lead = ",\n  "
    typer.echo("[]" if lead.startswith("[") else "\n]")


def write_file(file: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with whole_file(file, "name another with -o") as opened:
        opened.write(text)
    err().print(f"Wrote {escape(str(file))}")


@contextlib.contextmanager
def whole_file(file: Path, remedy: str) -> Iterator[TextIO]:
    """Open a text file to be written, which is there when the block ends well and else is not.

    Args:
        file: the file; what it holds now stays until then. A pipe or a device is written at once.
        remedy: what to do if it cannot be written.

    Raises:
        InputError: it cannot be written.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder: {remedy.replace('another', 'a file in it')}.")
    pipe = file.exists() and not file.is_file()  # or a device: it stays what it is
    if not pipe and _is_database(file):
        raise InputError(f"{file} is a registry, or another database: {remedy}.")
    target = file if pipe else Path(os.path.realpath(file))  # a link stays one, too
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (file if pipe else beside).open("w", encoding="utf-8", newline="\n") as opened:
            yield opened
        if not pipe:
            beside.replace(target)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): {remedy}.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _is_database(file: Path) -> bool:
    """Say whether a file is an SQLite database, which no text is to replace."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def on_terminal() -> bool:
    """Say whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirmed(question: str, yes: bool) -> bool:
    """Ask whether something is to be done, unless the user has said so already.

    Args:
        question: what is asked.
        yes: whether ``--yes`` was typed.

    Raises:
        InputError: there is nobody to ask.
    """
    if yes:
        return True
    if not on_terminal():
        raise InputError(f"{question} There is no terminal to ask on: say yes with --yes.")
    return typer.confirm(question, err=True)
