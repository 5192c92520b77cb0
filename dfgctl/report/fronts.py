"""What contenders reach for what they cost: points in rows on one device, and the Pareto front."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dfgctl.errors import NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import method_titles
from dfgctl.report.choosing import Chosen
from dfgctl.report.groups import Row, rows
from dfgctl.report.selection import (
    Metric,
    Select,
    gap_of,
    require_kept,
    require_values,
    shown_of,
    value_of,
)
from dfgctl.report.statistics import Summary, summarise, summary_of
from dfgctl.report.view import View


class Cost(StrEnum):
    """What a run's training costs."""

    seconds = "seconds"
    flop = "flop"


@dataclass(frozen=True)
class Point:
    """A contender's finished runs in a row, on one device, in packs of one size.

    Attributes:
        row: what all runs of its row share.
        contender: the contender.
        title: what tables call it.
        device: the device in words.
        pack: runs in a pack.
        select: which accuracy is shown.
        values: what was reached, by metric, in [0, 1]; None where no run has such a number.
        gaps: how many runs have no number that the front is drawn by, by the reason.
        seconds: a run's training.
        flop: the FLOP of a run's training steps; None where they are not known.
        shortened: whether the runs have fewer steps than the recipe.
        runs: the runs.
        front: whether no other point of its row and device is better and no dearer.
    """

    row: Row
    contender: str
    title: str
    device: str
    pack: int
    select: Select
    values: Mapping[Metric, Summary | None]
    gaps: Mapping[str, int]
    seconds: Summary
    flop: float | None
    shortened: bool
    runs: Sequence[Run]
    front: bool = False

    def cost(self, kind: Cost) -> float | None:
        """Return what a run costs, in seconds or FLOP; None where that is not known."""
        return self.seconds.mean if kind is Cost.seconds else self.flop


Panel = tuple[Row, str]
"""A row and a device: what times and points can be compared in."""


def panels(view: View, kind: Cost = Cost.seconds) -> dict[Panel, list[Point]]:
    """Return the points of each row and device, the cheapest first, with their fronts.

    Runs of several devices or pack sizes are never averaged. A contender without a source is in
    every row that it joins.

    Args:
        view: the runs, and the metric that the fronts are drawn by.
        kind: the cost that the fronts are drawn by.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no run has finished, or none that did has such a number.
    """
    require_kept(view.metric, view.select)
    require_values(view.runs, view.metric, view.select)
    found: dict[Panel, list[Point]] = {}
    for row, members in rows(view.runs, view.recipes).items():
        found |= _panels_of(row, members, view.recipes[row.dataset], view, kind)
    return found


def chosen_panels(chosen: Chosen, view: View, kind: Cost) -> dict[Panel, list[Point]]:
    """Return the same of the runs of one row alone.

    Raises:
        InputError: see ``panels``.
        NothingToShowError: likewise, or no run's FLOP are known.
    """
    require_kept(view.metric, view.select)
    require_values(chosen.runs, view.metric, view.select)
    found = _panels_of(chosen.row, chosen.runs, chosen.recipe, view, kind)
    if all(point.cost(kind) is None for points in found.values() for point in points):
        raise NothingToShowError(
            "The FLOP of these runs cannot be counted, as their methods are one's own and cannot "
            "be imported here: leave --cost flop out."
        )
    return found


def _panels_of(
    row: Row, members: Sequence[Run], recipe: Recipe, view: View, kind: Cost
) -> dict[Panel, list[Point]]:
    """Return a row's points by device."""
    titles = method_titles(members)
    alike: dict[tuple[str, str, int], list[Run]] = {}
    for run in members:
        if run.metrics is not None:
            key = str(run.result_device), run.spec.contender, run.pack_size or 0
            alike.setdefault(key, []).append(run)
    found: dict[Panel, list[Point]] = {}
    for (device, contender, _), runs in alike.items():
        point = _point(row, titles[contender], runs, recipe, view)
        found.setdefault((row, device), []).append(point)
    order = list(titles)

    def place(point: Point) -> tuple[bool, float, int]:
        cost = point.cost(kind)
        return cost is None, cost or 0.0, order.index(point.contender)

    return {
        panel: sorted(with_front(found[panel], view.metric, kind), key=place)
        for panel in sorted(found, key=lambda panel: panel[1])
    }


def _point(row: Row, title: str, runs: Sequence[Run], recipe: Recipe, view: View) -> Point:
    first = runs[0]
    shown = {metric: shown_of(first, view.select, metric) for metric in Metric}
    if view.select is not None:  # what only the last step has is shown of that step
        shown |= {m: Select.last for m in Metric if m is not Metric.accuracy}
    return Point(
        row=row,
        contender=first.spec.contender,
        title=title,
        device=str(first.result_device),
        pack=first.pack_size or 0,
        select=shown[Metric.accuracy],
        values={m: summary_of(value_of(run, m, shown[m]) for run in runs) for m in Metric},
        gaps=Counter(g for r in runs if (g := gap_of(r, shown[view.metric], view.metric))),
        seconds=summarise([run.metrics.train_seconds for run in runs if run.metrics is not None]),
        flop=view.flop.get(first.spec.group()),
        shortened=first.spec.steps < recipe.steps_of(first.spec),
        runs=runs,
    )


def with_front(points: Sequence[Point], metric: Metric, kind: Cost) -> list[Point]:
    """Mark the points that no other one dominates: none as cheap and as good, and better in one.

    A point without a cost or a value is on no front.
    """
    places = [(point.cost(kind), point.values[metric]) for point in points]
    known = [(cost, value.mean) for cost, value in places if cost is not None and value]

    def free(cost: float, value: float) -> bool:
        return not any(c <= cost and v >= value and (c < cost or v > value) for c, v in known)

    return [
        replace(point, front=cost is not None and value is not None and free(cost, value.mean))
        for point, (cost, value) in zip(points, places, strict=True)
    ]
