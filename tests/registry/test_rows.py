"""Runs of one group share what they have in common, however many are read, and nothing else."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from dfgctl.registry import Registry
from dfgctl.registry.database import MANY

Make = Callable[..., Any]


def test_runs_of_one_group_share_their_settings(registry: Registry, planned: Make) -> None:
    alike = [planned(0), planned(1), planned(1, combination=(3, 7))]
    registry.enqueue([*alike, planned(0, steps=9), planned(0, data_digest="e" * 64)])
    first, second, third, longer, elsewhere = registry.runs()
    assert first.spec.settings is second.spec.settings is third.spec.settings
    assert [run.spec for run in (first, second, third)] == [run.spec for run in alike]
    for other in (longer, elsewhere):
        assert other.spec.settings == first.spec.settings
        assert other.spec.settings is not first.spec.settings


def test_runs_share_nothing_with_those_that_are_read_again(
    registry: Registry, planned: Make
) -> None:
    registry.enqueue([planned(0)])
    (before,), (after,) = registry.runs(), registry.runs()
    assert before == after
    assert before.spec.settings is not after.spec.settings


def test_more_runs_than_are_read_at_a_time_come_out_as_they_went_in(
    registry: Registry, planned: Make
) -> None:
    runs = [planned(seed, steps=1 + seed % 3) for seed in range(2 * MANY + 1)]
    registry.enqueue(runs)
    found = registry.runs()
    assert [run.spec for run in found] == [run.spec for run in runs]
    assert [run.spec for run in registry.runs(newest=MANY + 1)] == [
        run.spec for run in runs[-MANY - 1 :]
    ]
    assert len({id(run.spec.settings) for run in found}) == 3


def test_a_seed_that_no_database_has_a_number_for_is_read(
    registry: Registry, planned: Make
) -> None:
    runs = [planned(seed) for seed in (2**53 + 1, 2**63, 10**30 + 1)]
    registry.enqueue(runs)
    assert [run.spec for run in registry.runs()] == [run.spec for run in runs]


def test_metrics_and_confusion_are_a_runs_own(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned(0), planned(1), planned(2)]
    claim = registry.claim(registry.enqueue(runs), 2, "host:7", "CPU", {"dirty": None})
    assert claim is not None
    results = [metrics(0.1 + 0.2), metrics(1 / 7)]
    for i, result in enumerate(results):
        registry.finish(claim, i, result)
    whole = registry.runs(whole=True)
    assert [run.metrics for run in whole] == [*results, None]
    listed = registry.runs()
    assert [run.metrics and run.metrics.confusion for run in listed] == [(), (), None]
    kept = deepcopy(listed)
    assert registry.runs() == kept == listed
