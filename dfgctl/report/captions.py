"""Text below a figure's axes, in a strip of its own, so that nothing runs into it."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

SIZE = 7.5
"""Points of a caption's letters."""

LETTERS = 17
"""Letters of that size that fit into an inch."""

LINE = 0.145
"""Inches from line to line."""


def with_caption(
    width: float, height: float, sentences: Sequence[str]
) -> "tuple[Figure, SubFigure]":
    """Make a figure with a caption at its foot.

    Args:
        width: inches.
        height: inches of all but the caption, which adds to them.
        sentences: the caption, a paragraph each.

    Returns:
        The figure, and the part of it that is to be drawn in.
    """
    from matplotlib.figure import Figure

    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, int((width - 0.3) * LETTERS), subsequent_indent="  ")
    ]
    foot = LINE * len(lines) + 0.12
    figure = Figure(figsize=(width, height + foot), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[height, foot])
    body, strip = parts
    text = strip.text(0.15 / width, 0.95, "\n".join(lines), va="top", fontsize=SIZE)
    text.set(color="#333333", in_layout=False, parse_math=False)
    return figure, body
