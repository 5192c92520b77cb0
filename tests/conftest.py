"""What all tests share: an environment of their own, and data that is made only once."""

import functools
import gc
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import narrow
import postgres_server
import pytest
import torch
from small_data import SmallData, write, write_own

from dfgctl import devices
from dfgctl.data import sources as data_sources
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS
from dfgctl.data.views import VIEWS
from dfgctl.registry import Registry

torch.set_num_threads(1)  # small networks gain nothing from more, and other jobs lose
_load = functools.cache(data_sources.load)
REAL_DATA = os.environ.get("DFGCTL_DATA")


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder, without the user's settings and with few colours."""
    monkeypatch.chdir(tmp_path)
    for name in ("DFGCTL_REGISTRY", "DFGCTL_DATA", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture(autouse=True, scope="session")
def _once_a_session() -> Iterator[None]:
    """Draw the glyphs once instead of once a command, and collect old garbage at no run's end."""

    def load(info, data_dir, view, prepared, *rest, **named):  # type: ignore[no-untyped-def]
        if info.files is None:
            return _load(info, Path("data"), view, Path("prepared"))
        return original(info, data_dir, view, prepared, *rest, **named)

    original = data_sources.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_sources, "load", load)
        patch.setattr(devices, "_collect", lambda: gc.collect(1))
        yield


@pytest.fixture
def digits() -> ImageArrays:
    """The built-in target data set."""
    return _load(DATASETS["digits"], Path("data"), VIEWS["lenet5"], Path("prepared"))


@pytest.fixture
def glyphs() -> ImageArrays:
    """The built-in source data set."""
    return _load(DATASETS["glyphs"], Path("data"), VIEWS["lenet5"], Path("prepared"))


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SmallData]:
    """Write a small data set into the default data directory and put it into the catalog.

    Call it with the data set's name and what ``small_data.write`` takes: ("svhn", train=2).
    """

    def make(name: str, **sizes: int) -> SmallData:
        made = write(name, tmp_path / "data", **sizes)
        monkeypatch.setitem(DATASETS, name, made.info)
        return made

    return make


@pytest.fixture
def own_pictures(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of one's own pictures with what ``small_data.write_own`` takes."""
    return lambda name="mine", **sizes: write_own(tmp_path / name, **sizes)


@pytest.fixture
def narrow_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give G and D few filters on LeNet-5: most of the time of a step of DFG is theirs."""
    narrow.narrow_game(monkeypatch)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program of that name and with that shell text in front of all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, text: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return make


@pytest.fixture
def real_data() -> Path:
    """A data directory with the real Fashion-MNIST, MNIST and EMNIST letters."""
    if REAL_DATA is None or not (Path(REAL_DATA) / "FashionMNIST" / "raw").is_dir():
        pytest.skip("no real image data: set DFGCTL_DATA to a torchvision root that has it")
    return Path(REAL_DATA)


@pytest.fixture
def where(file: Path) -> str:
    """Where the registry of a test is: a file, and in tests/registry also a database."""
    return str(file)


@pytest.fixture
def registry(where: str) -> Iterator[Registry]:
    """A new, empty registry."""
    opened = Registry(where)
    yield opened
    opened.close()


@pytest.fixture
def empty_registry(where: str) -> Iterator[Callable[[type[Registry]], Registry]]:
    """Make a new, empty registry of a class."""
    opened: list[Registry] = []

    def make(kind: type[Registry]) -> Registry:
        opened.append(kind(where))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def sql(where: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one SQL statement on the registry, around its class, and return its rows."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        if "://" in where:
            return postgres_server.execute(where, statement, *values)
        with closing(sqlite3.connect(where)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run


def pytest_collection_finish() -> None:
    """Spare the collections of garbage in tests what has been imported and collected until now."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a device, a server or a cluster that is not there, and say so."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    for name, missing in (("postgres", postgres_server.missing), ("slurm", _no_cluster)):
        if item.get_closest_marker(name) and (reason := missing()):
            pytest.skip(f'{reason}; eval "$(.ci/services)" starts one')


@functools.cache
def _no_cluster() -> str | None:
    """Return why there is no Slurm cluster for tests, None where there is one.

    A cluster that people work on is not used: SLURM_CONF must be a file that .ci/services made.
    """
    conf = Path(os.environ.get("SLURM_CONF", ""))
    if not conf.is_file() or "ClusterName=dfgctl\n" not in conf.read_text():
        return "no Slurm cluster of the tests' own (SLURM_CONF names none)"
    try:
        asked = subprocess.run(
            ["sinfo", "--noheader"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Slurm cluster ({error})"
    says = (asked.stderr.strip().splitlines() or ["no word"])[-1]
    return None if asked.returncode == 0 else f"no Slurm cluster ({says})"
