"""Welch's interval, against SciPy's own on the values themselves."""

import pytest
from scipy import stats

from dfgctl.report.statistics import Summary, around, summarise, summary_of, welch

A = [0.81, 0.84, 0.80, 0.86, 0.79, 0.83]
B = [0.70, 0.90, 0.75, 0.85]


@pytest.mark.parametrize("level", [0.5, 0.90, 0.95])
@pytest.mark.parametrize(("a", "b"), [(A, B), (B, A)])
def test_the_interval_is_scipys(a: list[float], b: list[float], level: float) -> None:
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    assert welch(summarise(a), summarise(b), level) == pytest.approx(tuple(expected))


def test_beside_values_that_do_not_spread_it_is_that_of_one_sample() -> None:
    low, high = stats.ttest_1samp(A, 0.0).confidence_interval(0.9)
    found = welch(summarise(A), Summary(0.5, 0.0, 3), 0.9)
    assert found == pytest.approx((low - 0.5, high - 0.5))


def test_where_nothing_spreads_it_is_the_difference() -> None:
    found = welch(Summary(0.75, 0.0, 3), Summary(0.5, 0.0, 2), 0.95)
    assert found == (0.25, 0.25)


def test_a_single_value_tells_no_spread() -> None:
    alone = summarise([0.7])
    assert welch(alone, summarise(A), 0.95) is None
    assert welch(summarise(A), alone, 0.95) is None


def test_a_tiny_spread_does_not_vanish() -> None:
    low, high = welch(Summary(0.0, 1e-100, 5), Summary(0.0, 1e-100, 5), 0.95) or (1.0, 0.0)
    assert -1e-99 < low < 0 < high < 1e-99


def test_students_interval_is_scipys() -> None:
    mean, error = sum(A) / len(A), float(stats.sem(A))
    expected = stats.ttest_1samp(A, 0.0).confidence_interval(0.95)
    assert around(mean, error, len(A) - 1, 0.95) == pytest.approx(tuple(expected))


def test_only_known_values_are_summarised() -> None:
    assert summary_of([None, 0.25, 0.75]) == summarise([0.25, 0.75])
    assert summary_of([None]) is None
