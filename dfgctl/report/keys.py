"""A key beside an axes, for more points than can have their names written next to them."""

from collections.abc import Sequence
from typing import Any

from dfgctl.report.figures import drawn_with

MOST_NAMED = 8
"""Points of one axes that can be named where they lie; more of them have a key."""

WIDTH = 2.9
"""Inches of a key."""


def key_points(
    axes: Any, texts: Sequence[str], looks: Sequence[tuple[str, str]], size: float = 8
) -> None:
    """List the points of an axes at its right.

    Args:
        axes: the axes.
        texts: what is written of each point, from the top.
        looks: their colours and markers.
        size: points of the letters.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=text, **drawn_with(marker))
        for text, (colour, marker) in zip(texts, looks, strict=True)
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
