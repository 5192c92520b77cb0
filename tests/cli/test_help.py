"""Every command explains itself, with an example, on a narrow terminal."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.main import get_command

from dfgctl import __version__
from dfgctl.cli import app

Cli = Callable[..., Any]


def _walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*words, name))


EVERY = list(_walk(get_command(app)))
LEAVES = [(words, c) for words, c in EVERY if not hasattr(c, "commands")]


def test_there_are_the_commands_that_the_readme_speaks_of() -> None:
    assert {" ".join(words) for words, _ in LEAVES} >= {
        "run",
        "table",
        "plot rho",
        "plot delta",
        *("plot tsne", "plot pca", "plot cam", "plot weights"),
        "report",
        *("plot curves", "plot confusion", "plot combinations", "plot structure"),
        "runs list",
        "runs show",
        *("runs compare", "runs logs", "runs cancel", "runs retry", "runs rm"),
        *("runs export", "runs import"),
        "data list",
        "recipe list",
        "recipe show",
        "db info",
        "db upgrade",
        "db backup",
        "doctor",
        "gc",
    }


@pytest.mark.parametrize("words", [words for words, _ in EVERY], ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_fits_a_terminal(cli: Cli, words: tuple[str, ...], flag: str) -> None:
    shown = cli(*words, flag)
    assert shown.code == 0
    assert shown.err == ""
    assert "Usage:" in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= 80


@pytest.mark.parametrize("words", [words for words, _ in LEAVES], ids=" ".join)
def test_the_help_of_a_command_ends_in_an_example(cli: Cli, words: tuple[str, ...]) -> None:
    text = " ".join(cli(*words, "-h").out.split())
    assert "Example" in text
    assert f"dfgctl {' '.join(words)}" in text.partition("Example")[2]


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(w) for w, _ in LEAVES])
def test_every_option_is_explained(words: tuple[str, ...], command: Any) -> None:
    silent = [p.name for p in command.params if not getattr(p, "help", None)]
    assert silent == []


def test_the_help_says_where_defaults_come_from(cli: Cli) -> None:
    text = " ".join(cli("run", "-h").out.replace("│", " ").split())
    assert text.count("default: the recipe's") >= 4
    assert "default: all" in text


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").out == f"dfgctl {__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["runs"], ["plot"], ["data"], ["recipe"], ["db"]], ids=" ".join
)
def test_a_group_alone_shows_its_help(cli: Cli, words: list[str]) -> None:
    shown = cli(*words)
    assert "Usage:" in shown.out + shown.err
