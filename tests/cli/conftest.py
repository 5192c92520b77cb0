"""The command line in this process, and a registry with a few finished runs."""

import functools
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from dfgctl.cli import app

QUICK = ("--steps", "3", "--set", "source.steps=20", "--device", "cpu")
PLAIN = ("run", "digits", "--imbalance", "10:1", "--repeats", "2", *QUICK)
SWEEP = ("run", "digits", "--method", "dfg", "--repeats", "1", "--set", "dfg.rho=0,0.5", *QUICK)


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, read as JSON."""
        return json.loads(self.out)


@pytest.fixture(autouse=True, scope="session")
def _commands_once() -> Iterator[None]:
    """Make the tree of commands once instead of once a command."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(typer.main.get_command)
        patch.setattr(typer.testing, "_get_command", once, raising=False)  # it may get another name
        yield


def _invoke(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """Run a command; what escapes it as an exception is raised."""
    return _invoke


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, Result]:
    folder = tmp_path_factory.mktemp("trained") / "results"
    where = ("--registry", folder / "registry.sqlite")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    plain, swept = (_invoke(*words, "--json", *where) for words in (PLAIN, SWEEP))
    torch.set_num_threads(threads)
    return folder, plain, swept


@dataclass(frozen=True)
class Trained:
    """A copy of a registry with finished runs, and what the two commands printed that made it."""

    file: Path
    plain: Result
    swept: Result
    plain_command: tuple[str, ...] = PLAIN
    sweep_command: tuple[str, ...] = SWEEP


@pytest.fixture
def trained(_trained: tuple[Path, Result, Result], tmp_path: Path) -> Trained:
    """A copy of the registry: two plain runs of each method and two swept ones."""
    folder, plain, swept = _trained
    shutil.copytree(folder, tmp_path / "results")
    return Trained(tmp_path / "results" / "registry.sqlite", plain, swept)


@pytest.fixture
def sql(tmp_path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one SQL statement on the default registry and return its rows."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        file = tmp_path / "results" / "registry.sqlite"
        with closing(sqlite3.connect(file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run
