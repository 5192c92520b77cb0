"""Finds words of a figure that lie on each other or beyond its edge."""

from itertools import combinations
from typing import Any

from matplotlib.axis import Axis
from matplotlib.text import Text

SLACK = 1.0
"""Pixels that boxes of letters may share: their edges have no ink."""


def crowded(figure: Any) -> list[str]:
    """Return each word that is cut off, and each pair of words that touch, as one line."""
    figure.draw_without_rendering()
    boxes = [(t.get_text(), t.get_window_extent()) for t in _seen(figure)]
    edge = figure.bbox
    said = [
        f"cut off: {text!r}"
        for text, box in boxes
        if box.x0 < edge.x0 - SLACK
        or box.y0 < edge.y0 - SLACK
        or box.x1 > edge.x1 + SLACK
        or box.y1 > edge.y1 + SLACK
    ]
    said += [
        f"touch: {one!r} and {other!r}"
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > SLACK and min(a.y1, b.y1) - max(a.y0, b.y0) > SLACK
    ]
    return said


def _seen(figure: Any) -> list[Any]:
    """Return all words that are drawn; of an axis those of the ticks within its view alone."""
    found, hidden = [], set()
    for axis in figure.findobj(Axis):
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        shown = axis._update_ticks() if axis.get_visible() and axis.axes.axison else []
        labels = {id(label) for tick in shown for label in (tick.label1, tick.label2)}
        every = {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
        hidden |= every - labels
        if not axis.axes.axison:
            hidden |= {id(axis.label), id(axis.offsetText)}
    for text in figure.findobj(Text):
        if id(text) not in hidden and text.get_visible() and text.get_text().strip():
            found.append(text)
    return found
