"""Plans of the built-in data sets, and an observer that remembers."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, Manifest, manifest
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch import request as requests
from dfgctl.dispatch.place import Place


@functools.cache
def _built_in(name: str) -> Manifest:
    return manifest(DATASETS[name], Path("data"), ChecksumCache(Path("nowhere.json")))


@pytest.fixture
def make_plan() -> Callable[..., plans.Plan]:
    """Plan runs of digits as ``dfgctl run digits`` with these options does."""

    def make(**options: Any) -> plans.Plan:
        checked = requests.check(requests.Request("digits", **options))
        if "source_weights" in options:
            return plans.make(checked, _built_in("digits"), None, "0" * 64)
        return plans.make(checked, _built_in("digits"), _built_in("glyphs"))

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the registry of a test lies."""
    return tmp_path / "results" / "registry.sqlite"


@pytest.fixture
def place() -> Callable[..., Place]:
    """Make a place on the CPU."""

    def make(pack: int = 1, checkpoint_every: int | None = None) -> Place:
        return Place(torch.device("cpu"), pack, Path("data"), checkpoint_every)

    return make


class Recorder:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values, **named: self.told.append((name, *values, *named.values()))

    def names(self) -> list[str]:
        """Return what it was told, without the details and with repetitions left out."""
        names = [name for name, *_ in self.told]
        return [n for i, n in enumerate(names) if i == 0 or names[i - 1] != n]

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """Return the details of all it was told by that name."""
        return [tuple(rest) for first, *rest in self.told if first == name]


@pytest.fixture
def recorder() -> Recorder:
    """An observer that remembers what it was told."""
    return Recorder()
