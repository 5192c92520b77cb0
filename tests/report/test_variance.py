"""One-way random effects: by hand, against scipy's analysis of variance, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from dfgctl.report.variance import Components

BALANCED = Components({(0,): [0.1, 0.3], (1,): [0.5, 0.7]})
"""Within 2 * 0.01 in each, over 2 degrees: 0.02. Between 2 * 2 * 0.2^2 = 0.16. n0 = 2."""


def test_components_by_hand() -> None:
    assert BALANCED.within == pytest.approx(0.02)
    assert BALANCED.between == pytest.approx(0.16)
    assert BALANCED.n0 == 2
    assert BALANCED.moments == pytest.approx(0.07)
    assert BALANCED.combination == pytest.approx(math.sqrt(0.07))
    assert BALANCED.seed == pytest.approx(math.sqrt(0.02))
    assert BALANCED.share == pytest.approx(7 / 9)
    assert BALANCED.balanced


def test_unequal_groups_by_hand() -> None:
    # N = 5, k = 2, n0 = 5 - (9 + 4) / 5 = 2.4. Within: 0.02 + 0.02 over 3. The mean is 0.34;
    # between: 3 * 0.14^2 + 2 * 0.21^2 = 0.147.
    parts = Components({(0,): [0.1, 0.2, 0.3], (1,): [0.45, 0.65]})
    assert parts.n0 == pytest.approx(2.4)
    assert parts.within == pytest.approx(0.04 / 3)
    assert parts.between == pytest.approx(0.147)
    assert parts.moments == pytest.approx((0.147 - 0.04 / 3) / 2.4)
    assert not parts.balanced


def test_mean_squares_are_those_of_scipys_anova() -> None:
    draws = np.random.default_rng(1)
    groups = {(k,): list(draws.normal(0.5 + k / 50, 0.02, n)) for k, n in enumerate([2, 4, 3, 1])}
    parts = Components(groups)
    assert parts.within
    assert parts.between is not None
    assert parts.between / parts.within == pytest.approx(stats.f_oneway(*groups.values()).statistic)


def test_a_negative_estimate_is_0() -> None:
    parts = Components({(0,): [0.1, 0.5], (1,): [0.2, 0.4]})
    assert parts.between == 0
    assert parts.moments == pytest.approx(-0.05 / 2)
    assert (parts.combination, parts.share) == (0, 0)
    assert parts.share_interval() is not None
    assert parts.share_interval()[0] == 0  # type: ignore[index]


def test_one_seed_or_one_combination_tells_nothing() -> None:
    single = Components({(0,): [0.1], (1,): [0.2]})
    assert (single.within, single.combination, single.seed, single.share) == (None,) * 4
    assert single.share_interval() is single.seed_interval() is None
    alone = Components({(): [0.1, 0.3]})
    assert (alone.combination, alone.share, alone.share_interval()) == (None,) * 3
    assert alone.seed == pytest.approx(math.sqrt(0.02))


def test_values_that_do_not_vary_have_no_share() -> None:
    parts = Components({(0,): [0.3, 0.3, 0.3], (1,): [0.1 + 0.2, 0.3]})
    assert (parts.within, parts.between, parts.share) == (0, 0, None)
    fixed = Components({(0,): [0.3, 0.3], (1,): [0.5, 0.5]})
    assert fixed.share == 1
    assert fixed.share_interval() is None


def test_intervals_by_scipys_distributions() -> None:
    low, high = BALANCED.share_interval() or (None, None)
    f = stats.f(1, 2)
    assert low == 0  # F / F_0.975 = 8 / 38.5 is below 1
    top = 8 / f.ppf(0.025)
    assert high == pytest.approx((top - 1) / (top + 1))
    low, high = BALANCED.seed_interval() or (None, None)
    assert low == pytest.approx(math.sqrt(2 * 0.02 / stats.chi2(2).ppf(0.975)))
    assert high == pytest.approx(math.sqrt(2 * 0.02 / stats.chi2(2).ppf(0.025)))


@pytest.mark.parametrize("seeds", [(2,) * 8, (2, 3, 2, 5, 2, 2, 4, 3)])
def test_the_intervals_cover_the_truth(seeds: tuple[int, ...]) -> None:
    """Combinations spread by 0.03, seeds by 0.02: a share of 9/13."""
    draws = np.random.default_rng(7)
    inside, inside_seed, variances = 0, 0, []
    for _ in range(300):
        parts = Components(
            {
                (k,): list(0.8 + draws.normal(0, 0.03) + draws.normal(0, 0.02, n))
                for k, n in enumerate(seeds)
            }
        )
        low, high = parts.share_interval() or (1.0, 0.0)
        inside += low <= 9 / 13 <= high
        low, high = parts.seed_interval() or (1.0, 0.0)
        inside_seed += low <= 0.02 <= high
        variances.append(parts.moments)
    assert 0.91 < inside / 300 < 0.98
    assert 0.92 < inside_seed / 300 < 0.98
    assert np.mean(variances) == pytest.approx(0.03**2, rel=0.1)
