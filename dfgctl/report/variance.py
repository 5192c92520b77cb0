"""What of the variance is the combination's and what the seed's: one-way random effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from dfgctl.report.statistics import Interval


@dataclass(frozen=True)
class Components:
    r"""An analysis of variance with one random effect, by the method of moments.

    A run's value is a mean, plus its combination's part with variance :math:`\sigma_c^2`, plus its
    seed's with variance :math:`\sigma_s^2`. The expected mean squares are :math:`\sigma_s^2`
    within combinations and :math:`\sigma_s^2 + n_0 \sigma_c^2` between them, where
    :math:`n_0 = (N - \sum n_i^2 / N) / (k - 1)` stands for the seeds of a combination where these
    are not equally many (Searle, Casella and McCulloch, Variance Components, 1992, section 3.6).

    Attributes:
        groups: combination to its seeds' values, in [0, 1].
    """

    groups: Mapping[tuple[int, ...], Sequence[float]]

    @property
    def k(self) -> int:
        """How many combinations there are."""
        return len(self.groups)

    @property
    def N(self) -> int:
        """How many values there are."""
        return sum(map(len, self.groups.values()))

    @property
    def balanced(self) -> bool:
        """Whether all combinations have as many seeds."""
        return len(set(map(len, self.groups.values()))) == 1

    @property
    def n0(self) -> float:
        """What stands for the seeds of a combination; needs two combinations."""
        sizes = [len(values) for values in self.groups.values()]
        return (self.N - sum(n * n for n in sizes) / self.N) / (self.k - 1)

    @cached_property
    def within(self) -> float | None:
        """The mean square within combinations; None where none has two seeds."""
        if not any(len(values) > 1 for values in self.groups.values()):
            return None
        parts = [float(np.var(v)) * len(v) for v in self.groups.values()]
        return _clean(sum(parts) / (self.N - self.k))

    @cached_property
    def between(self) -> float | None:
        """The mean square between combinations; None for one combination."""
        if self.k < 2:
            return None
        mean = sum(map(sum, self.groups.values())) / self.N
        parts = [len(v) * (float(np.mean(v)) - mean) ** 2 for v in self.groups.values()]
        return _clean(sum(parts) / (self.k - 1))

    @property
    def moments(self) -> float | None:
        """The combination's variance as the moments give it, which may be below 0."""
        if self.within is None or self.between is None:
            return None
        return (self.between - self.within) / self.n0

    @property
    def combination(self) -> float | None:
        """The combination's standard deviation, 0 where the moments give a variance below 0."""
        return None if self.moments is None else sqrt(max(0.0, self.moments))

    @property
    def seed(self) -> float | None:
        """The seed's standard deviation."""
        return None if self.within is None else sqrt(self.within)

    @property
    def share(self) -> float | None:
        """The combination's share of the variance, in [0, 1]; None where nothing varies."""
        if self.within is None or self.combination is None:
            return None
        total = self.combination**2 + self.within
        return self.combination**2 / total if total else None

    def seed_interval(self, level: float = 0.95) -> Interval | None:
        """Return an interval of the seed's standard deviation, by the chi-squared distribution."""
        from scipy import stats

        if self.within is None:
            return None
        freedom = self.N - self.k
        low, high = stats.chi2.interval(level, freedom)
        return sqrt(self.within * freedom / high), sqrt(self.within * freedom / low)

    def share_interval(self, level: float = 0.95) -> Interval | None:
        """Return an interval of the combination's share, by the F distribution.

        It is exact for normal values and as many seeds for all combinations; otherwise n0 stands
        for their number, and it is approximate (Searle, Casella and McCulloch, sections 3.5, 3.6).

        Returns:
            None where there is no share, or where seeds make no difference at all.
        """
        from scipy import stats

        if not self.within or self.between is None:
            return None
        F = self.between / self.within
        freedom = (self.k - 1, self.N - self.k)
        low, high = (
            _share(F / float(stats.f.ppf(p, *freedom)), self.n0)
            for p in ((1 + level) / 2, (1 - level) / 2)
        )
        return low, high


def _share(ratio: float, n0: float) -> float:
    """Return the share that belongs to a ratio of the expected mean squares; 0 below 0."""
    return max(0.0, (ratio - 1) / (ratio - 1 + n0))


def _clean(square: float) -> float:
    """Return a mean square, 0 where it is nothing but rounding of values in [0, 1]."""
    return square if square > 1e-24 else 0.0
