"""Statistics over runs."""

import math
from collections.abc import Sequence
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


def points(difference: float) -> str:
    """Write a difference of two shares in points, with its sign; what rounds to 0 is +0.00."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"


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
    from scipy import stats  # late: it takes long, and most tables do without

    difference = a.mean - b.mean
    va, vb = a.std**2 / a.n, b.std**2 / b.n
    if va + vb == 0:
        return difference, difference
    # Shares of the variance, so that tiny ones do not vanish when squared.
    share = va / (va + vb)
    df = 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))  # Welch-Satterthwaite
    low, high = stats.t.interval(level, df, loc=difference, scale=math.sqrt(va + vb))
    return float(low), float(high)
