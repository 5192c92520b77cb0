"""Text above and below a figure's axes, folded to its width, so that nothing runs into it."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

SIZE, HEAD_SIZE = 7.5, 9.5
"""Points of the letters of a caption, and of a heading."""

LINE, HEAD_LINE = 0.145, 0.18
"""Inches from line to line, in a caption and in a heading."""

EDGE = 0.15
"""Inches left and right of both."""


def with_caption(
    width: float, height: float, sentences: Sequence[str], heading: str = ""
) -> "tuple[Figure, SubFigure]":
    """Make a figure with a heading and with a caption at its foot.

    Args:
        width: inches.
        height: inches of all but heading and caption, which add to them.
        sentences: the caption, a paragraph each.
        heading: what stands on top.

    Returns:
        The figure, and the part of it that is to be drawn in.
    """
    from matplotlib.figure import Figure

    room = width - 2 * EDGE
    lines = [line for sentence in sentences for line in folded(sentence, room, SIZE, "  ")]
    head = folded(heading, room, HEAD_SIZE) if heading else []
    height += HEAD_LINE * len(head)
    foot = LINE * len(lines) + 0.12
    figure = Figure(figsize=(width, height + foot), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[height, foot])
    body, strip = parts
    text = strip.text(EDGE / width, 0.95, "\n".join(lines), va="top", fontsize=SIZE)
    text.set(color="#333333", in_layout=False, parse_math=False)
    if head:
        title = body.suptitle("\n".join(head), x=EDGE / width, ha="left", fontsize=HEAD_SIZE)
        title.set_parse_math(False)
    return figure, body


def folded(text: str, width: float, size: float, indent: str = "") -> list[str]:
    """Break text into lines, as wide as its letters are.

    Args:
        text: the text; line breaks in it stay.
        width: inches of a line.
        size: points of the letters.
        indent: what stands before each line that goes on.
    """
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line.strip() else line + word
            if line.strip() and _inches(longer, size) > width:
                lines.append(line)
                longer = indent + word
            while _inches(longer, size) > width:  # a single word that is too long
                count = int(len(longer) * width / _inches(longer, size))
                while count > 1 and _inches(longer[:count], size) > width:
                    count -= 1
                lines.append(longer[:count])
                longer = indent + longer[count:]
            line = longer
        lines.append(line)
    return lines


def _inches(text: str, size: float) -> float:
    """Measure a line in matplotlib's own font."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that it lacks, matplotlib warns in drawing
        width, _, _ = text_to_path.get_text_width_height_descent(
            text, FontProperties(size=size), ismath=False
        )
    return float(width) / 72
