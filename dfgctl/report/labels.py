"""Names beside points, where they lie on no other name and on as few points as can be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, hypot, pi, sin
from typing import Any

DISTANCES = (9, 14, 20, 28, 38, 50, 64, 80, 100, 125)
"""Points (1/72 inch) from a point to where its name begins, in the order of trial."""

ANGLES = (0, 6, 1, 11, 5, 7, 3, 9, 2, 10, 4, 8)
"""Likewise the directions, in twelfths of a turn: first right and left."""

BETWEEN = 2
"""Points left and right of a name that are kept free of other names."""

LEADING = 16
"""Points from which on a line leads from the name to its point."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in pixels."""


@dataclass(frozen=True)
class Place:
    """Where a name could be.

    Attributes:
        x: pixels right of the point.
        y: pixels above it.
        sides: how the text is aligned there, across and upwards.
        box: what it would cover.
    """

    x: float
    y: float
    sides: tuple[str, str]
    box: Box


def name_points(
    axes: Any,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
    size: float = 8,
) -> None:
    """Write a name beside each point of an axes, whose limits and place in its figure are final.

    Args:
        axes: the axes.
        points: the points, in the axes' own numbers.
        names: their names.
        lines: ends of lines across or upwards that names had better not lie on, likewise.
        size: points of the letters.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.get_figure(root=True)
    figure.draw_without_rendering()
    dots = [tuple(map(float, xy)) for xy in axes.transData.transform(points)]
    scale, frame = figure.dpi / 72, _box(axes.get_window_extent())
    marks = [_around(dot, dot, 5 * scale) for dot in dots]
    for one, other in (axes.transData.transform(ends) for ends in lines):
        marks.append(_around(tuple(one), tuple(other), scale))
    taken: list[Box] = []
    # From the edge inwards: those in the middle have most places to go.
    middle = (frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2
    order = sorted(range(len(dots)), key=lambda i: -hypot(*_minus(dots[i], middle)))
    for i in order:
        text = axes.annotate(names[i], points[i], (0, 0), textcoords="offset points", fontsize=size)
        text.set(in_layout=False, parse_math=False)
        box = text.get_window_extent()
        place = _best(dots[i], (box.width, box.height), scale, frame, taken, marks)
        taken.append(place.box)
        text.remove()
        offset = place.x / scale, place.y / scale
        if hypot(*offset) >= LEADING:  # apart from the text, whose extent it would be a part of
            line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkB": 3}
            axes.annotate(
                *("", points[i], offset),
                textcoords="offset points",
                arrowprops={**line, "shrinkA": 0},
            ).set_in_layout(False)
        text = axes.annotate(
            *(names[i], points[i], offset),
            textcoords="offset points",
            fontsize=size,
            ha=place.sides[0],
            va=place.sides[1],
        )
        text.set(in_layout=False, parse_math=False, zorder=4)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _best(
    dot: tuple[float, ...],
    size: tuple[float, float],
    scale: float,
    frame: Box,
    taken: Sequence[Box],
    marks: Sequence[Box],
) -> Place:
    """Return the best place: on no other name, within the frame, near, and on no mark."""

    def cost(place: Place) -> tuple[float, float]:
        outside = _area(place.box) - _shared(place.box, frame)
        covered = sum(_shared(place.box, other) for other in taken)
        touched = sum(_shared(place.box, mark) > 0 for mark in marks)
        return round(outside + covered, 3), hypot(place.x, place.y) + 30 * scale * touched

    return min(_places(dot, size, scale), key=cost)


def _places(dot: tuple[float, ...], size: tuple[float, float], scale: float) -> Iterator[Place]:
    """Yield the places beside a point for a text of some width and height, in pixels."""
    width, height = size
    for distance, twelfth in product(DISTANCES, ANGLES):
        x, y = (scale * distance * turn(twelfth * pi / 6) for turn in (cos, sin))
        across = "center" if abs(x) < 1e-6 else "left" if x > 0 else "right"
        up = "center" if abs(y) < 1e-6 else "bottom" if y > 0 else "top"
        left = dot[0] + x - {"left": 0, "center": width / 2, "right": width}[across]
        low = dot[1] + y - {"bottom": 0, "center": height / 2, "top": height}[up]
        free = scale * BETWEEN
        yield Place(x, y, (across, up), (left - free, low, left + width + free, low + height))


def _box(extent: Any) -> Box:
    return extent.x0, extent.y0, extent.x1, extent.y1


def _around(one: tuple[float, ...], other: tuple[float, ...], reach: float) -> Box:
    """Return the box around a line across or upwards."""
    (x0, x1), (y0, y1) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return x0 - reach, y0 - reach, x1 + reach, y1 + reach


def _minus(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, float]:
    return a[0] - b[0], a[1] - b[1]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    """Return the area that two boxes share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
