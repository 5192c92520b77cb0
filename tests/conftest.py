"""What all tests share: an environment of their own, and data that is made only once."""

import functools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import SmallData, write, write_own

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


@pytest.fixture(autouse=True)
def _built_in_data_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the glyphs once a session instead of once a command."""

    def load(info, data_dir, view, prepared, *rest, **named):  # type: ignore[no-untyped-def]
        if info.files is None:
            return _load(info, Path("data"), view, Path("prepared"))
        return original(info, data_dir, view, prepared, *rest, **named)

    original = data_sources.load
    monkeypatch.setattr(data_sources, "load", load)


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
def real_data() -> Path:
    """A data directory with the real Fashion-MNIST, MNIST and EMNIST letters."""
    if REAL_DATA is None or not (Path(REAL_DATA) / "FashionMNIST" / "raw").is_dir():
        pytest.skip("no real image data: set DFGCTL_DATA to a torchvision root that has it")
    return Path(REAL_DATA)


@pytest.fixture
def registry(file: Path) -> Iterator[Registry]:
    """A new, empty registry."""
    opened = Registry(str(file))
    yield opened
    opened.close()


@pytest.fixture
def sql(file: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one SQL statement on the registry's file and return its rows."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run
