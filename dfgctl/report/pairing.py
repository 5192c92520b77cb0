"""Two methods on the same (combination, seed) pairs: by how much one is better, and how sure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dfgctl.records import Run
from dfgctl.report.remake import Pair
from dfgctl.report.selection import Metric, Select, value_of
from dfgctl.report.statistics import Interval, around

EXACT = 13
"""Differences up to which all 2^n signs are gone through where some are equal or 0."""


@dataclass(frozen=True)
class Paired:
    """Differences between two methods.

    Attributes:
        differences: unit to difference, in [-1, 1]. A unit is a combination, over whose seeds it is
            the mean; or one seed, where there are no majority classes.
        pairs: how many (combination, seed) pairs are behind them.
        classes: K, how many classes the data set has.
        stepped: whether units are combinations.
    """

    differences: Mapping[tuple[int, ...], float]
    pairs: int
    classes: int
    stepped: bool

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The differences, (n,); rounded, so that equal ones are equal and none is almost 0."""
        values: NDArray[np.float64] = np.array(list(self.differences.values()), dtype=np.float64)
        return values.round(12)

    @property
    def n(self) -> int:
        """How many units there are."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(self.values.mean())

    @property
    def tally(self) -> tuple[int, int, int]:
        """How many differences are above 0, 0, and below 0."""
        signs = np.sign(self.values)
        return int((signs > 0).sum()), int((signs == 0).sum()), int((signs < 0).sum())

    def interval(self, level: float = 0.95) -> Interval | None:
        """Return Student's t interval of the mean over the units; None for one unit."""
        if self.n < 2:
            return None
        error = float(self.values.std(ddof=1)) / sqrt(self.n)
        return around(self.mean, error, self.n - 1, level)

    def t_test(self) -> float | None:
        """Return the two-sided p of Student's paired t test.

        Returns:
            None for fewer than two differences, and where all are equal, which tells no spread.
        """
        if self.n < 2 or np.ptp(self.values) == 0:
            return None
        from scipy import stats

        return float(stats.ttest_1samp(self.values, 0.0).pvalue)

    def jackknife(self, level: float = 0.95) -> Interval | None:
        r"""Return an interval of the mean difference from a jackknife over classes.

        The mean over combinations is a U-statistic of the classes, whose kernel is a combination's
        difference. Leaving out class k leaves the combinations without it, and a mean
        :math:`\theta_{(-k)}`. With G classes that are left out in turn, the variance is
        :math:`V = (G - 1)/G \sum_k (\theta_{(-k)} - \theta)^2` (Arvesen, Jackknifing
        U-statistics, Annals of Mathematical Statistics 40, 1969; around the estimate itself where
        not all combinations were run, as in MacKinnon, Nielsen and Webb's CV3, Journal of Applied
        Econometrics 38, 2023), and the interval :math:`\theta \pm t \sqrt V` with
        min(G, n) - 1 degrees of freedom.

        V is right where differences come from the classes (each adds its part), and too large
        where they do not: m (K - 1) / (K - m) times for independent combinations of m of K classes,
        2.25 times for 2 of 10, which makes the interval half again as wide (Efron and Stein, The
        jackknife estimate of variance, Annals of Statistics 9, 1981). It errs on the safe side.

        A combination is named as well by its minority classes. Where these are fewer, a class is
        left out with all combinations in which it is a minority class, as otherwise nearly all
        would go.

        Returns:
            None without combinations, with fewer than two, or where a class is in all of them.
        """
        from scipy import sparse

        if not self.stepped or self.n < 2:
            return None
        groups = [_fewer(combination, self.classes) for combination in self.differences]
        rows = [i for i, group in enumerate(groups) for _ in group]
        columns = [k for group in groups for k in group]
        shape = (self.n, self.classes)
        has = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
        sizes = has.sum(axis=0)  # (K,), combinations that go with class k
        sizes, sums = sizes[sizes > 0], (has.T @ self.values)[sizes > 0]
        if sizes.max() == self.n:
            return None
        left = (self.values.sum() - sums) / (self.n - sizes)
        G = len(left)
        V = (G - 1) / G * float(((left - self.mean) ** 2).sum())
        return around(self.mean, sqrt(V), min(G, self.n) - 1, level)

    def wilcoxon(self) -> tuple[float, bool]:
        """Return the two-sided p of Wilcoxon's signed-rank test, and whether it is exact.

        Differences of 0 are left out, as Wilcoxon did; p is 1 if all are. Where some are equal,
        the distribution of their mid-ranks is gone through up to ``EXACT`` differences.
        """
        from scipy import stats

        values = self.values[self.values != 0]
        n = len(values)
        if n == 0:
            return 1.0, True
        tied = len(np.unique(np.abs(values))) < n
        if tied and n <= EXACT:
            found = stats.permutation_test(
                (values,), _signed_ranks, permutation_type="samples", n_resamples=np.inf
            )
            return float(found.pvalue), True
        exact = not tied and n <= 50
        method = "exact" if exact else "approx"
        return float(stats.wilcoxon(values, method=method).pvalue), exact


def by_pair(
    runs: Sequence[Run], metric: Metric = Metric.accuracy, select: Select | None = None
) -> dict[Pair, float]:
    """Return the numbers of runs that have one (see ``value_of``), by combination and seed."""
    return {
        (run.spec.combination, run.spec.seed): value
        for run in runs
        if (value := value_of(run, metric, select)) is not None
    }


def pair(
    ours: Mapping[Pair, float], theirs: Mapping[Pair, float], classes: int, stepped: bool
) -> Paired:
    """Subtract two methods' values, in [0, 1], on the pairs that both have: ours less theirs.

    Args:
        ours: one method's values.
        theirs: the other's.
        classes: how many classes the data set has.
        stepped: whether there are majority classes, so that units are combinations.
    """
    common = [p for p in ours if p in theirs]
    found: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for combination, seed in common:
        unit = combination if stepped else (seed,)
        key = (combination, seed)
        found[unit].append(ours[key] - theirs[key])
    means = {unit: float(np.mean(found[unit])) for unit in sorted(found)}
    return Paired(means, len(common), classes, stepped)


def holm(values: Sequence[float]) -> list[float]:
    """Correct p values for how many they are (Holm, Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of n is multiplied by n - i + 1; none may be below a smaller one's, nor
    above 1.
    """
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted


def _fewer(combination: tuple[int, ...], classes: int) -> tuple[int, ...]:
    """Return a combination's majority classes, or its minority classes if these are fewer."""
    if 2 * len(combination) <= classes:
        return combination
    return tuple(c for c in range(classes) if c not in combination)


def _signed_ranks(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    from scipy import stats

    ranks = stats.rankdata(np.abs(values), axis=axis)
    total: NDArray[np.float64] = (np.sign(values) * ranks).sum(axis=axis)
    return total
