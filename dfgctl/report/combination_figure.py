"""Draws accuracy for each combination: a triangle of pairs, or points in order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dfgctl.report.captions import with_caption
from dfgctl.report.cards import method_titles
from dfgctl.report.choosing import Chosen
from dfgctl.report.combinations import REASONS, Combination, Combinations, combinations, told, words
from dfgctl.report.figures import BLUE, STYLE, Drawn
from dfgctl.report.names import fit
from dfgctl.report.selection import ACCURACIES, Select

NUMBERED, NAMED = 12, 45
"""Up to so many classes a triangle's cells have numbers, and its axes the classes' names."""

MOST_NAMED = 60
"""Points that can have names; of more combinations only the order is shown."""

LONGEST = 45
"""Letters that a point's name may have."""

LETTERS = dict(zip(REASONS, "rqfc·", strict=True))
"""What stands in a cell without an accuracy."""

GREY = "#d1d1d1"
"""Of such a cell."""


def draw(chosen: Chosen, select: Select | None = None) -> Drawn:
    """Draw accuracy for each combination.

    Two majority classes, or two minority classes, make a triangle of pairs; other numbers make
    points with names in order of accuracy, and more than ``MOST_NAMED`` points alone.

    Raises:
        NothingToShowError: the runs have no majority classes, or no such accuracy.
    """
    import matplotlib

    found = combinations(chosen, select)
    pairs_of = _pairs_of(found)
    said = [*told(found), *_unnamed(found, bool(pairs_of)), *chosen.aside()]
    method = chosen.runs[0].spec.contender
    title = f"{method_titles(chosen.runs)[method]} on {chosen.heading()}"
    count = len(found.classes)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        if pairs_of:
            side = max(4.4, min(8.5, 0.45 * count + 1.8)) if count <= NAMED else 7.0
            figure, body = with_caption(side + 1.2, side, said, title)
            axes = body.subplots()
            _triangle(body, axes, found, pairs_of)
        elif len(found.means) <= MOST_NAMED:
            figure, body = with_caption(6.4, max(2.2, 1.3 + 0.19 * len(found.means)), said, title)
            axes = body.subplots()
            _named_points(axes, found)
        else:
            figure, body = with_caption(6.4, 4.0, said, title)
            axes = body.subplots()
            means = sorted(found.means.values())
            axes.plot(range(1, len(means) + 1), [100 * m for m in means], ".", color=BLUE)
            axes.set_xlabel("combinations, from the lowest accuracy to the highest")
            axes.set_ylabel(ACCURACIES[found.select])
    return Drawn(
        name=f"combinations-{chosen.recipe.name}-{method.replace('/', '-')}",
        figure=figure,
        data=found.table,
        runs=list(found.table.run),
        said=said,
    )


def _pairs_of(found: Combinations) -> str:
    """Return what a pair of classes are in each combination, majority or minority; else nothing."""
    if found.majority == 2:
        return "majority"
    return "minority" if len(found.classes) - found.majority == 2 else ""


def _pair(combination: Combination, found: Combinations) -> tuple[int, int]:
    """Return the two classes that a combination is drawn at."""
    if found.majority == 2:
        first, second = combination
    else:
        first, second = sorted(set(range(len(found.classes))) - set(combination))
    return first, second


def _triangle(body: Any, axes: Any, found: Combinations, pairs_of: str) -> None:
    """Draw pairs of classes: the first one down, the second one across."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    count = len(found.classes)
    cells = np.full((count, count), np.nan)
    for combination, mean in found.means.items():
        cells[_pair(combination, found)] = 100 * mean
    axes.grid(visible=False)
    upper = np.triu(np.ones((count, count), dtype=bool), 1)
    axes.imshow(np.where(upper, 0.0, np.nan), cmap=ListedColormap([GREY]))
    low, high = _limits(list(found.means.values()))
    image = axes.imshow(cells, cmap="viridis", vmin=low, vmax=high)
    body.colorbar(image, ax=axes, label=ACCURACIES[found.select], shrink=0.8)
    axes.set_ylabel(f"first {pairs_of} class")
    axes.set_xlabel(f"second {pairs_of} class")
    missing = {_pair(c, found): reason for c, reason in found.missing.items()}
    reasons = {
        (int(row), int(column)): missing.get((int(row), int(column)), "never planned")
        for row, column in np.argwhere(upper & np.isnan(cells))
    }
    lettered = count <= NAMED
    handles = [
        Patch(facecolor=GREY, label=f"{LETTERS[reason] if lettered else ''}  {reason} ({n:,})")
        for reason, n in sorted(
            Counter(reasons.values()).items(), key=lambda i: REASONS.index(i[0])
        )
    ]
    if handles:
        axes.legend(handles=handles, loc="lower left", title="no accuracy", fontsize=8)
    if not lettered:
        axes.locator_params(integer=True)
        return
    texts = {cell: (LETTERS[reason], "black") for cell, reason in reasons.items()}
    if count <= NUMBERED:
        for (row, column), value in np.ndenumerate(cells):
            if not np.isnan(value):
                dark = (value - low) / (high - low) < 0.5
                texts[row, column] = (f"{value:.1f}", "white" if dark else "black")
    for (row, column), (text, colour) in texts.items():
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)
    small = 9 if count <= NUMBERED else 7
    turn = 90 if count > NUMBERED or max(map(len, found.classes)) > 2 else 0
    names = {"fontsize": small, "parse_math": False}
    short = [fit(name) for name in found.classes]
    axes.set_xticks(range(1, count), short[1:], rotation=turn, **names)
    axes.set_yticks(range(count - 1), short[:-1], **names)
    axes.set_xlim(0.5, count - 0.5)
    axes.set_ylim(count - 1.5, -0.5)


def _named_points(axes: Any, found: Combinations) -> None:
    """Draw a point for each combination, the highest accuracy on top."""
    order = sorted(found.means, key=lambda c: (found.means[c], c))
    means = [100 * found.means[c] for c in order]
    axes.plot(means, range(len(order)), "o", color=BLUE, markersize=4.5)
    low, high = _limits(list(found.means.values()))
    axes.set_xlim(low - (high - low) / 12, high + (high - low) / 7)
    for i, mean in enumerate(means):
        axes.text(mean, i, f"   {mean:.1f}", va="center", fontsize=7)
    axes.set_yticks(range(len(order)), _names(order, found), fontsize=7.5, parse_math=False)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel(ACCURACIES[found.select])
    axes.set_ylabel("majority classes")


def _too_long(found: Combinations) -> bool:
    """Say whether the classes' names would leave no room for the points."""
    return any(len(words(combination, found)) > LONGEST for combination in found.means)


def _names(order: Sequence[Combination], found: Combinations) -> list[str]:
    """Name combinations by their classes' names, or where these are long by their numbers."""
    if _too_long(found):
        found = replace(found, classes=tuple(map(str, range(len(found.classes)))))
    return [words(combination, found) for combination in order]


def _limits(means: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the scale in %, apart even where all means are equal."""
    low, high = 100 * min(means), 100 * max(means)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _unnamed(found: Combinations, triangle: bool) -> list[str]:
    """Say where names are that the figure has no room for."""
    if not triangle and len(found.means) > MOST_NAMED:
        return ["--data has the classes' names."]
    numbered = len(found.classes) > NAMED if triangle else _too_long(found)
    return ["Classes are numbered from 0; --data has their names."] if numbered else []
