"""Draws accuracy against training cost, with the Pareto front."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import log10, sqrt
from typing import TYPE_CHECKING, Any

from dfgctl.report.advice import advice
from dfgctl.report.captions import with_caption
from dfgctl.report.choosing import Chosen
from dfgctl.report.cost_axis import beside, limits, moved
from dfgctl.report.figures import STYLE, Drawn, drawn_with, looks
from dfgctl.report.fronts import Cost, Point, chosen_panels
from dfgctl.report.keys import MOST_NAMED, key_points
from dfgctl.report.keys import WIDTH as KEY_WIDTH
from dfgctl.report.labels import name_points
from dfgctl.report.names import fit, flop_text, listed, seconds_text
from dfgctl.report.selection import ACCURACIES, TITLES, Metric
from dfgctl.report.statistics import Interval, Summary, around
from dfgctl.report.view import View

if TYPE_CHECKING:
    import pandas as pd

Place = tuple[float, float]
"""A point in the axes' own numbers."""

ACROSS = 2
"""Panels beside each other."""

WIDTH, HEIGHT = 5.6, 4.0
"""Inches of a panel."""

LONGEST = 30
"""Letters that a name may have."""

COSTS = {
    Cost.seconds: "training of a run (s)",
    Cost.flop: "FLOP of a run's training steps",
}


def draw(chosen: Chosen, view: View, cost: Cost = Cost.seconds) -> Drawn:
    """Draw the points of one row, a panel for each device.

    Args:
        chosen: the row's runs.
        view: the metric, which accuracy is shown, and the FLOP that are known.
        cost: what is drawn across.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no run has finished, or none that did has such a number or a cost.
    """
    import matplotlib

    found = {device: own for (_, device), own in chosen_panels(chosen, view, cost).items()}
    shown = {
        device: [p for p in own if p.cost(cost) is not None and p.values[view.metric] is not None]
        for device, own in found.items()
    }
    shown = {device: own for device, own in shown.items() if own}
    said = _said(found, shown, chosen, view, cost)
    columns = min(ACROSS, len(shown))
    high = -(-len(shown) // columns)
    style = looks([p.contender for own in shown.values() for p in own])
    keyed = any(_is_keyed(own) for own in shown.values())
    width = (WIDTH + KEY_WIDTH * keyed) * columns + 0.8
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(width, HEIGHT * high, said, chosen.heading())
        grid = body.subplots(high, columns, squeeze=False).ravel()
        drawn = [
            _panel(axes, own, view.metric, cost, style)
            for axes, own in zip(grid, shown.values(), strict=False)
        ]
        for axes, device in zip(grid, shown, strict=False):
            axes.set_title(device, loc="left", parse_math=False)
            axes.set_xlabel(COSTS[cost])
        for axes in grid[::columns]:
            axes.set_ylabel(_axis(next(iter(shown.values()))[0], view.metric))
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        for axes, own, (places, lines) in zip(grid, shown.values(), drawn, strict=False):
            if _is_keyed(own):
                best_first = sorted(own, key=lambda p: -_value(p, view.metric).mean)
                key_points(
                    axes,
                    [f"{_name(p, own)}: {_numbers(p, view.metric, cost)}" for p in best_first],
                    [style[p.contender] for p in best_first],
                )
            else:
                name_points(axes, places, [_name(p, own) for p in own], lines)
    ending = "" if cost is Cost.seconds else f"-{cost}"
    ending += "" if view.metric is Metric.accuracy else f"-{view.metric}"
    return Drawn(
        name=f"frontier-{chosen.recipe.name}{ending}",
        figure=figure,
        data=_data(found, view.metric),
        runs=[run.id for own in shown.values() for point in own for run in point.runs],
        said=said,
    )


def _panel(
    axes: Any,
    points: Sequence[Point],
    metric: Metric,
    cost: Cost,
    style: dict[str, tuple[str, str]],
) -> tuple[list[Place], list[tuple[Place, Place]]]:
    """Draw the points of one device, with their intervals, and the front as a line of steps.

    Returns:
        Where the points are, and the ends of all lines.
    """
    costs = [_cost(point, cost) for point in points]
    left, right = limits(costs, named=not _is_keyed(points))
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    places, lines = [], []
    for x, point in zip(beside(costs, right / left), points, strict=True):
        value = _value(point, metric)
        y, ends = 100 * value.mean, interval_of(value)
        colour, marker = style[point.contender]
        axes.plot(x, y, marker, color=colour, zorder=3, **drawn_with(marker))
        if ends is not None:
            error = [[y - 100 * ends[0]], [100 * ends[1] - y]]
            axes.errorbar(x, y, error, color=colour, elinewidth=1, capsize=2.5, zorder=2)
            lines.append(((x, 100 * ends[0]), (x, 100 * ends[1])))
        places.append((x, y))
    front = [place for place, point in zip(places, points, strict=True) if point.front]
    corners = [front[0]]
    for x, y in (*front[1:], (right, front[-1][1])):
        corners += [(x, corners[-1][1]), (x, y)]
    axes.plot(*zip(*corners, strict=True), color="#555555", linewidth=1, zorder=1)
    axes.margins(y=0.12)
    _ticks(axes, cost, decades=log10(right / left))
    return places, [*lines, *pairwise(corners)]


def _ticks(axes: Any, cost: Cost, decades: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def write(x: float, _: object) -> str:
        return _short(flop_text(x)) if cost is Cost.flop else f"{x:g}"

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(write))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _is_keyed(points: Sequence[Point]) -> bool:
    return len(points) > MOST_NAMED


def interval_of(value: Summary) -> Interval | None:
    """Return the 95 % interval of a mean over runs (Student's t); None for one run."""
    if value.std is None:
        return None
    return around(value.mean, value.std / sqrt(value.n), value.n - 1, 0.95)


def _said(
    found: dict[str, list[Point]],
    shown: dict[str, list[Point]],
    chosen: Chosen,
    view: View,
    cost: Cost,
) -> list[str]:
    said = []
    for device, own in shown.items():
        front = [f"{p.title} {_numbers(p, view.metric, cost)}" for p in own if p.front]
        where = f" on {device}" if len(shown) > 1 else ""
        said.append(f"On the Pareto front{where}, the line: {'; '.join(front)}.")
    values = [_value(p, view.metric) for own in shown.values() for p in own]
    bars = "Bars: 95 % intervals of the means (Student's t over runs)"
    alone = any(value.n == 1 for value in values)
    said.append(f"{bars}; a single run has none." if alone else f"{bars}.")
    if any(
        moved([_cost(point, cost) for point in points], named=not _is_keyed(points))
        for points in shown.values()
    ):
        exact = ": the key has their costs" if any(map(_is_keyed, shown.values())) else ""
        said.append(f"Points of nearly the same cost are drawn side by side{exact}.")
    of_row = replace(view, runs=chosen.runs, recipes={chosen.recipe.name: chosen.recipe})
    said += advice(of_row).answers()
    missing = [p.title for points in found.values() for p in points if p.cost(cost) is None]
    if missing:
        said.append(f"Not shown, as their FLOP are not counted: {listed(missing)}.")
    if cost is Cost.seconds:
        said.append("Times are of training with set-up, without evaluations and source networks.")
    else:
        said.append("FLOP are those of convolutions and products of matrices in training steps.")
    return [*said, *chosen.aside()]


def _data(found: dict[str, list[Point]], metric: Metric) -> "pd.DataFrame":
    import pandas as pd

    records = []
    for device, points in found.items():
        for point in points:
            value = point.values[metric]
            low, high = (interval_of(value) if value else None) or (None, None)
            records.append(
                {
                    "device": device,
                    "pack": point.pack,
                    "method": point.contender,
                    "metric": metric.value,
                    "mean": value.mean if value else None,
                    "std": value.std if value else None,
                    "low": low,
                    "high": high,
                    "n": value.n if value else 0,
                    "seconds": point.seconds.mean,
                    "seconds_std": point.seconds.std,
                    "flop": point.flop,
                    "front": point.front,
                    "runs": " ".join(run.id for run in point.runs),
                }
            )
    return pd.DataFrame(records)


def _name(point: Point, own: Sequence[Point]) -> str:
    """Name a point; where a contender has several, with their packs."""
    name = point.title if len(point.title) <= LONGEST else fit(point.title)
    several = sum(other.contender == point.contender for other in own) > 1
    return f"{name}, packs of {point.pack}" if several else name


def _axis(point: Point, metric: Metric) -> str:
    if metric is Metric.accuracy:
        return ACCURACIES[point.select]
    title = TITLES[metric].partition(" (")[0]
    return f"{title[0].lower()}{title[1:]} (%)"


def _cost(point: Point, kind: Cost) -> float:
    cost = point.cost(kind)
    assert cost is not None
    return cost


def _value(point: Point, metric: Metric) -> Summary:
    value = point.values[metric]
    assert value is not None
    return value


def _numbers(point: Point, metric: Metric, cost: Cost) -> str:
    """Write what a point reached, and what it took."""
    seconds = cost is Cost.seconds
    took = seconds_text(point.seconds.mean) if seconds else flop_text(_cost(point, cost))
    return f"{100 * _value(point, metric).mean:.2f} %, {took}"


def _short(text: str) -> str:
    """Leave out decimals that say nothing: 1.00 GFLOP is 1 GFLOP."""
    number, space, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{space}{unit}"
