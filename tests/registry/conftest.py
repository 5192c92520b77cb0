"""Runs made by hand, a registry of their own, and a way around its class: plain SQL."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres_server
import pytest

from dfgctl.records import Measurement, Metrics, PlannedRun, RunSpec


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the registry of a test lies."""
    return tmp_path / "registry.sqlite"


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the registry on both databases, but those that ask for its file on SQLite."""
    if "where" in metafunc.fixturenames:
        about_files = "file" in inspect.signature(metafunc.function).parameters
        metafunc.parametrize("where", BOTH[:1] if about_files else BOTH, indirect=True)


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a schema of its own on PostgreSQL; a test that asks for it is marked postgres."""
    with postgres_server.schema() as url:
        yield url


@pytest.fixture
def where(request: pytest.FixtureRequest, file: Path) -> str:
    """Where the registry of a test is: a file, or a schema of its own on PostgreSQL."""
    return str(file) if request.param == "sqlite" else str(request.getfixturevalue("database"))


@pytest.fixture
def planned() -> Callable[..., PlannedRun]:
    """Make a planned run; what is named differs from the others."""

    def make(seed: int = 0, **changes: Any) -> PlannedRun:
        values: dict[str, Any] = {
            "dataset": "digits",
            "source": "glyphs",
            "source_identity": "5" * 64,
            "method": "finetune",
            "backbone": "lenet5",
            "protocol": "paper",
            "ratio": "10:1",
            "majority": 2,
            "majority_count": 80,
            "combination": (0, 4),
            "seed": seed,
            "steps": 3,
            "eval_every": 2,
            "validation": 0.25,
            "settings": {"finetune": {"batch_size": 32, "lr": 0.001}},
            "data_digest": "d" * 64,
        }
        return PlannedRun(RunSpec(**{**values, **changes}), (80, 8, 8, 8, 80, 8, 8, 8, 8, 8))

    return make


@pytest.fixture
def metrics() -> Callable[..., Metrics]:
    """Make final metrics with a given accuracy."""

    def make(accuracy: float = 0.5) -> Metrics:
        return Metrics(
            accuracy_last=accuracy,
            accuracy_best=0.75,
            best_step=2,
            balanced_accuracy=1 / 3,
            macro_f1=0.1,
            gmean=0.0,
            recalls=(0.25, 1.0),
            majority_recall=0.25,
            minority_recall=None,
            confusion=((1, 3), (0, 4)),
            train_seconds=1.5,
            eval_seconds=0.25,
        )

    return make


@pytest.fixture
def measured() -> Callable[..., Measurement]:
    """Make an evaluation at a step."""

    def make(step: int, accuracy: float = 0.5) -> Measurement:
        return Measurement(step, accuracy, 1.25, None, {"loss": 0.1 + 0.2, "omega": 3.0}, 0.5)

    return make
