"""Consoles, JSON, files, and the boundary at which errors become one sentence."""

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from dfgctl.errors import DfgctlError, InputError

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130

at_end: list[Callable[[], None]] = []
"""What is called when a command ends, however it ends."""


def out(wide: bool = False) -> Console:
    """Return the console of results (standard output).

    Args:
        wide: whether lines may be as long as they need to be where there is no terminal.
    """
    console = Console(highlight=False)
    return Console(highlight=False, width=1000) if wide and not console.is_terminal else console


def err() -> Console:
    """Return the console of progress, notes and errors (standard error)."""
    return Console(stderr=True, highlight=False)


def reported(command: Callable[P, T]) -> Callable[P, T]:
    """Report a ``DfgctlError`` as one sentence with its exit code, an interruption as 130."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return command(*args, **kwargs)
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


def write_file(file: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder: name a file in it with -o.")
    beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): name another with -o."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    err().print(f"Wrote {escape(str(file))}")
