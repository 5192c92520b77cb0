"""Where points lie on a log axis of costs, and how far it reaches."""

from collections.abc import Sequence
from math import exp, log

APART = 0.011
"""Share of an axis between points of nearly the same cost."""


def limits(costs: Sequence[float], named: bool = True) -> tuple[float, float]:
    """Return the ends of a log axis, with room for the names of points or without it."""
    low, high = min(costs), max(costs)
    left, right = (0.12, 0.2) if named else (0.08, 0.05)
    return low / (high / low) ** left / 1.2, high * (high / low) ** right * 1.3


def beside(costs: Sequence[float], span: float) -> list[float]:
    """Move points that would cover each other, as their costs are nearly the same, side by side.

    Args:
        costs: where they are on a log axis, ascending.
        span: how many times its right end is its left end.

    Returns:
        Where they are drawn, ascending.
    """
    step = APART * log(span)
    groups: list[list[float]] = []
    for cost in costs:
        groups.append([log(cost)])
        # A wide group never reaches over its neighbours: who costs less stays on the left.
        while len(groups) > 1 and _spread(groups[-1], step)[0] < (
            _spread(groups[-2], step)[-1] + step / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [exp(x) for group in groups for x in _spread(group, step)]


def _spread(group: Sequence[float], step: float) -> list[float]:
    """Return places around the middle of a group, a step apart."""
    middle = sum(group) / len(group)
    return [middle + step * (i - (len(group) - 1) / 2) for i in range(len(group))]


def moved(costs: Sequence[float], named: bool) -> bool:
    """Say if any point is drawn elsewhere than its cost is."""
    left, right = limits(costs, named)
    drawn = beside(costs, right / left)
    return any(abs(x / cost - 1) > 1e-9 for x, cost in zip(drawn, costs, strict=True))
