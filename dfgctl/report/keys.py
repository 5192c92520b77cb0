"""A key beside an axes, for more points than can have their names written next to them."""

from collections.abc import Sequence
from typing import Any

from dfgctl.report.figures import edge

MOST_NAMED = 8
"""Points of one axes that can be named where they lie; more of them have a key."""

WIDTH = 2.9
"""Inches of a key."""


def key_points(
    axes: Any, entries: Sequence[tuple[float, str, tuple[str, str]]], size: float = 8
) -> None:
    """List the points of an axes at its right, the highest first, so that the eye finds them.

    Args:
        axes: the axes.
        entries: of each point its height, what is written of it, and its colour and marker.
        size: points of the letters.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=text, **edge(marker))
        for _, text, (colour, marker) in sorted(entries, key=lambda entry: -entry[0])
    ]
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=size,
        labelspacing=0.55,
        handletextpad=0.4,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
