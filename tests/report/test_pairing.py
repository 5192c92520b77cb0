"""Paired comparisons: numbers by hand, against scipy's plain calls, and by simulation."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dfgctl.report.pairing import Paired, holm, pair

T_1, T_2, T_3 = 12.706204736, 4.302652730, 3.182446305
"""Student's t at 0.975 with 1, 2 and 3 degrees of freedom, from a printed table."""


def paired(differences: dict[Any, float], classes: int = 4, stepped: bool = True) -> Paired:
    return Paired(differences, len(differences), classes, stepped)


def test_seeds_are_averaged_within_a_combination_and_only_common_pairs_count() -> None:
    ours = {((0, 1), 0): 0.9, ((0, 1), 1): 0.8, ((2, 3), 0): 0.5, ((0, 2), 0): 1.0}
    theirs = {((0, 1), 0): 0.7, ((0, 1), 1): 0.8, ((2, 3), 0): 0.6, ((0, 3), 0): 1.0}
    found = pair(ours, theirs, 4, stepped=True)
    assert found.differences == {(0, 1): pytest.approx(0.1), (2, 3): pytest.approx(-0.1)}
    assert (found.n, found.pairs) == (2, 3)
    assert found.mean == 0
    assert found.tally == (1, 0, 1)


def test_without_majority_classes_units_are_seeds() -> None:
    found = pair({((), 0): 0.5, ((), 1): 0.7}, {((), 0): 0.5, ((), 1): 0.6}, 4, stepped=False)
    assert found.differences == {(0,): 0, (1,): pytest.approx(0.1)}
    assert found.tally == (1, 1, 0)
    assert found.jackknife() is None


def test_differences_that_only_rounding_tells_from_0_are_ties() -> None:
    found = pair({((0,), 0): 0.1 + 0.2}, {((0,), 0): 0.3}, 4, stepped=True)
    assert found.tally == (0, 1, 0)


def test_the_interval_is_students() -> None:
    # Mean 0.02; squares of -0.01, 0, 0.01 sum to 0.0002, halved 0.0001: error 0.01 / sqrt 3.
    found = paired({(0,): 0.01, (1,): 0.02, (2,): 0.03})
    half = T_2 * 0.01 / math.sqrt(3)
    assert found.interval() == pytest.approx((0.02 - half, 0.02 + half))
    assert paired({(0,): 0.01}).interval() is None
    assert paired({(0,): 0.01, (1,): 0.01}).interval() == pytest.approx((0.01, 0.01))


def test_with_one_majority_class_the_jackknife_over_classes_is_students_interval() -> None:
    found = paired({(k,): d for k, d in enumerate([0.01, 0.05, -0.02, 0.03])})
    assert found.jackknife() == pytest.approx(found.interval())


def test_the_jackknife_by_hand() -> None:
    # K = 3, all pairs of classes: mean 0.02. Without class 0 only (1, 2) is left, and so on: 0.03,
    # 0.02, 0.01. V = 2/3 (0.0001 + 0 + 0.0001), t with 2 degrees of freedom. Pairs of 3 classes
    # have one minority class each, which is what is left out: without (0, 1), which class 2 is the
    # minority class of, 0.025 is left, and so on: V = 2/3 (0.005^2 + 0 + 0.005^2).
    differences = {(0, 1): 0.01, (0, 2): 0.02, (1, 2): 0.03}
    half = T_2 * math.sqrt(2 / 3 * 2 * 0.005**2)
    assert paired(differences, 3).jackknife() == pytest.approx((0.02 - half, 0.02 + half))
    # K = 4 has as many of each: the majority classes are left out. Without 0: 0.03, mean 0.02.
    half = T_2 * math.sqrt(2 / 3 * 2 * 0.01**2)
    assert paired(differences, 4).jackknife() == pytest.approx((0.02 - half, 0.02 + half))


def test_two_combinations_have_one_degree_of_freedom_however_many_their_classes() -> None:
    # Each of the four classes takes one of the two away: V = 3/4 * 4 * 0.01^2.
    found = paired({(0, 1): 0.01, (2, 3): 0.03}, 10)
    half = T_1 * math.sqrt(3) * 0.01
    assert found.jackknife() == pytest.approx((0.02 - half, 0.02 + half))


def test_majority_sets_and_the_minority_sets_that_they_leave_have_the_same_jackknife() -> None:
    few = dict(zip(itertools.combinations(range(5), 2), np.linspace(-0.02, 0.05, 10), strict=True))
    many = {tuple(c for c in range(5) if c not in group): d for group, d in few.items()}
    assert paired(many, 5).jackknife() == pytest.approx(paired(few, 5).jackknife())


def test_a_class_that_is_in_every_combination_cannot_be_left_out() -> None:
    assert paired({(0, 1): 0.01, (0, 2): 0.02}, 10).jackknife() is None
    assert paired({(0, 1): 0.01}, 10).jackknife() is None


def width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def test_the_jackknife_covers_the_truth_where_classes_make_the_difference() -> None:
    """Each class adds a part of its own: the t interval over combinations is far too sure."""
    draws = np.random.default_rng(3)
    every = list(itertools.combinations(range(10), 2))
    covered = {"jackknife": 0, "t": 0}
    errors, variances = [], []
    for _ in range(300):
        parts = draws.normal(0.01, 0.02, 10)
        found = paired({c: parts[list(c)].sum() for c in every}, 10)
        for name, interval in (("jackknife", found.jackknife()), ("t", found.interval())):
            assert interval is not None
            covered[name] += interval[0] <= 0.02 <= interval[1]
        errors.append((found.mean - 0.02) ** 2)
        variances.append((width(found.jackknife()) / 2 / stats.t.ppf(0.975, 9)) ** 2)
    # The mean of 45 sums is twice the classes' mean: its variance is 4 * 0.02^2 / 10.
    assert np.mean(variances) == pytest.approx(4 * 0.02**2 / 10, rel=0.05)
    assert np.mean(errors) == pytest.approx(4 * 0.02**2 / 10, rel=0.15)
    assert 0.92 < covered["jackknife"] / 300 < 0.98
    assert covered["t"] / 300 < 0.75


@pytest.mark.parametrize(("majority", "factor"), [(1, 1.0), (2, 2.25), (8, 2.25)])
def test_for_independent_combinations_the_jackknife_is_too_wide_by_a_known_factor(
    majority: int, factor: float
) -> None:
    """m (K - 1) / (K - m), with the smaller of the two sides for m; in the mean of many draws."""
    draws = np.random.default_rng(5)
    every = list(itertools.combinations(range(10), majority))
    variances = []
    for _ in range(200):
        found = paired(dict(zip(every, draws.normal(0, 0.02, len(every)), strict=True)), 10)
        variances.append((width(found.jackknife()) / 2 / stats.t.ppf(0.975, 9)) ** 2)
    assert np.mean(variances) == pytest.approx(factor * 0.02**2 / len(every), rel=0.1)


def test_wilcoxon_by_hand() -> None:
    # All six above 0: 2 of the 2^6 signs are as extreme.
    found = paired({(k,): d for k, d in enumerate([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])}, 10)
    assert found.wilcoxon() == (pytest.approx(2 / 64), True)
    # Ranks 1 and 2 of four below 0: sums up to 3 are of {}, 1, 2, 3, 1+2, so 5 of 16, twice.
    found = paired({(k,): d for k, d in enumerate([-0.01, -0.02, 0.03, 0.04])}, 10)
    assert found.wilcoxon() == (pytest.approx(10 / 16), True)


def test_wilcoxon_with_equal_differences_goes_through_all_signs() -> None:
    # Three times 0.01, ranks 2 each: only all up or all down is as extreme. The 0 is left out.
    found = paired({(0,): 0.01, (1,): 0.01, (2,): 0.01, (3,): 0.0}, 10)
    assert found.wilcoxon() == (pytest.approx(2 / 8), True)


def test_wilcoxon_of_many_differences_is_scipys() -> None:
    draws = np.random.default_rng(0)
    many = dict(zip(((k,) for k in range(60)), draws.normal(0.005, 0.02, 60), strict=True))
    p, exact = paired(many, 60).wilcoxon()
    assert not exact
    assert p == pytest.approx(stats.wilcoxon(list(many.values())).pvalue, rel=1e-6)
    few = dict(list(many.items())[:45])
    p, exact = paired(few, 60).wilcoxon()
    assert exact
    assert p == pytest.approx(stats.wilcoxon(list(few.values())).pvalue, rel=1e-6)


def test_wilcoxon_of_no_difference_at_all_is_1() -> None:
    assert paired({(0,): 0.0, (1,): 0.0}).wilcoxon() == (1.0, True)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.6, times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.6, none below the last.
    assert holm([0.03, 0.01, 0.6, 0.02]) == pytest.approx([0.06, 0.04, 0.6, 0.06])
    assert holm([0.02, 0.019, 0.5]) == pytest.approx([0.057, 0.057, 0.5])
    assert holm([0.7, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
