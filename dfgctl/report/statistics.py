"""Statistics over runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Interval = tuple[float, float]
"""The lower and the upper end of a confidence interval."""


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1) of n values; ``std`` is None for one value."""

    mean: float
    std: float | None
    n: int

    def text(self) -> str:
        """Write mean ± standard deviation in %."""
        mean = f"{100 * self.mean:.2f}"
        return mean if self.std is None else f"{mean} ± {100 * self.std:.2f}"


def summarise(values: Sequence[float]) -> Summary:
    """Summarise at least one value."""
    array = np.asarray(values, dtype=np.float64)
    std = float(array.std(ddof=1)) if len(array) > 1 else None
    return Summary(float(array.mean()), std, len(array))


def summary_of(values: Iterable[float | None]) -> Summary | None:
    """Summarise those that are known; None without any."""
    known = [value for value in values if value is not None]
    return summarise(known) if known else None


def points(difference: float) -> str:
    """Write a difference of two shares in points, with its sign; what rounds to 0 is +0.00."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"


def around(mean: float, error: float, freedom: int, level: float) -> Interval:
    """Return Student's t interval around a mean.

    Args:
        mean: the mean.
        error: its standard error.
        freedom: the degrees of freedom.
        level: the confidence level, in (0, 1).
    """
    from scipy import stats  # late: it takes long, and most tables do without

    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return mean - half, mean + half


def welch(a: Summary, b: Summary, level: float) -> Interval | None:
    """Return Welch's confidence interval of a difference of two means, from their summaries.

    It is the one of ``scipy.stats.ttest_ind(..., equal_var=False)``, which takes no summaries.

    Args:
        a: the values whose mean is reduced by b's.
        b: the others, independent of a's.
        level: the confidence level, in (0, 1).

    Returns:
        None where one of the two has a single value, which tells no spread; where neither spreads,
        both ends are the difference itself.
    """
    if a.std is None or b.std is None:
        return None
    from scipy import stats

    difference = a.mean - b.mean
    va, vb = a.std**2 / a.n, b.std**2 / b.n
    if va + vb == 0:
        return difference, difference
    # Shares of the variance, so that tiny ones do not vanish when squared.
    share = va / (va + vb)
    df = 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))  # Welch-Satterthwaite
    low, high = stats.t.interval(level, df, loc=difference, scale=math.sqrt(va + vb))
    return float(low), float(high)
