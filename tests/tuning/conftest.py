"""Searches on digits, as ``dfgctl tune`` would make them, and studies in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.request import Request, check
from dfgctl.tuning.pairs import tuning_pairs
from dfgctl.tuning.task import Task
from dfgctl.tuning.tasks import tasks

GLYPHS = Manifest("glyphs", "g" * 64, (600,) * 10, (100,) * 10)


@pytest.fixture
def make_task(digits: Any) -> Callable[..., Task]:
    """Make the search of one method; what is named are options of the request."""
    counts = tuple(int(n) for n in np.bincount(digits.train_labels))
    target = Manifest("digits", "d" * 64, counts, (90,) * 10)

    def make(method: str = "balanced", select: str = "last", **options: Any) -> Task:
        request = Request("digits", methods=(method,), validation=0.2)
        checked = check(Request(**{**vars(request), **options}))
        pairs = tuning_pairs(checked)
        return tasks(checked, target, GLYPHS, pairs, select)[0]

    return make


@pytest.fixture
def memory() -> optuna.storages.InMemoryStorage:
    """Studies that are gone with the test."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    return optuna.storages.InMemoryStorage()
