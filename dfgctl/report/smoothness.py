"""How smoothly accuracy varies with a setting: the largest jump, beside the spread of the runs."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dfgctl.report.statistics import summarise

Pairs = Mapping[Hashable, float]
"""Accuracies, in [0, 1], by (combination, seed)."""


@dataclass(frozen=True)
class Jump:
    """The largest step of the mean between neighbouring values.

    Attributes:
        start: the lower value.
        end: the next one that has runs.
        size: mean at ``end`` less mean at ``start``, in [-1, 1].
        spread: the standard deviation that it is held against; None where no value has two runs.
        n: accuracies behind ``spread``, or pairs.
    """

    start: float
    end: float
    size: float
    spread: float | None
    n: int

    @property
    def ratio(self) -> float | None:
        """Size over spread, 0 or more; None without a spread above 0."""
        return abs(self.size) / self.spread if self.spread else None


def largest_jump(points: Mapping[float, Sequence[float]]) -> Jump:
    """Return the largest jump of the means, against the pooled standard deviation of the runs.

    The pooled variance is the mean of the variances (n - 1) at each value, weighed by n - 1.

    Args:
        points: value to accuracies; at least two values, each with at least one.
    """
    found = {value: summarise(points[value]) for value in sorted(points)}
    start, end = max(
        pairwise(found), key=lambda two: (abs(found[two[1]].mean - found[two[0]].mean), -two[0])
    )
    freedom = sum(s.n - 1 for s in found.values())
    squares = sum((s.n - 1) * (s.std or 0) ** 2 for s in found.values())
    spread = math.sqrt(squares / freedom) if freedom else None
    total = sum(s.n for s in found.values())
    return Jump(start, end, found[end].mean - found[start].mean, spread, total)


def largest_paired_jump(pairs: Mapping[float, Pairs]) -> Jump | None:
    """Return the largest mean difference over the pairs that two neighbouring values share.

    It is held against the standard deviation (n - 1) of those differences. Each mean is over
    repeats, of which a pair of values has the same: what a combination does drops out.

    Args:
        pairs: value to accuracies by (combination, seed).

    Returns:
        None unless all neighbours share two pairs or more.
    """
    jumps = []
    for start, end in pairwise(sorted(pairs)):
        common = [key for key in pairs[start] if key in pairs[end]]
        if len(common) < 2:
            return None
        differences = summarise([pairs[end][key] - pairs[start][key] for key in common])
        jumps.append(Jump(start, end, differences.mean, differences.std, differences.n))
    return max(jumps, key=lambda jump: (abs(jump.size), -jump.start), default=None)
