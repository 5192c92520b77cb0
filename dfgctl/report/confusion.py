"""The mean confusion matrix of a method's runs, with the majority classes marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run
from dfgctl.report.captions import with_caption
from dfgctl.report.cards import classes_of, method_titles
from dfgctl.report.choosing import Chosen
from dfgctl.report.figures import STYLE, Drawn
from dfgctl.report.names import fit

if TYPE_CHECKING:
    import pandas as pd

NUMBERED, NAMED = 12, 45
"""Up to so many classes the cells have numbers, and the axes the classes' names."""

LISTED = 10
"""Confusions that are said in words."""

MARK = "▸"
"""Stands before a majority class."""


@dataclass(frozen=True)
class Confusion:
    """A mean confusion matrix.

    Attributes:
        shares: mean over the runs of each run's shares of a true class (rows) that were taken for
            a class (columns), in [0, 1]; NaN in the rows of classes without test images. (K, K)
        majority: how many of the runs had each class as a majority class. (K,)
        runs: the runs.
        classes: the classes' names.
    """

    shares: NDArray[np.float64]
    majority: NDArray[np.int64]
    runs: Sequence[Run]
    classes: Sequence[str]

    def largest(self, count: int) -> list[tuple[int, int, float]]:
        """Return the largest confusions: true class, predicted class, mean share above 0."""
        wrong = np.nan_to_num(self.shares.copy())
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        found = [(int(t), int(p), float(wrong[t, p])) for t, p in pairs]
        return [pair for pair in found if pair[2] > 0]


def confusion(runs: Sequence[Run]) -> Confusion:
    """Average runs' confusion matrices; each run counts the same.

    Args:
        runs: finished runs of one data set, read whole, at least one.

    Raises:
        NothingToShowError: none has a confusion matrix.
    """
    kept = [run for run in runs if run.metrics is not None and run.metrics.confusion]
    if not kept:
        raise NothingToShowError(
            "These runs were kept without their confusion matrices: train them once more with "
            f"dfgctl run {runs[0].spec.dataset} --method {runs[0].spec.method} --force."
        )
    counts = np.array([run.metrics.confusion for run in kept if run.metrics], dtype=np.float64)
    images = counts.sum(axis=2, keepdims=True)  # (n, K, 1)
    shares = np.divide(counts, images, out=np.full_like(counts, np.nan), where=images > 0)
    majority = np.zeros(counts.shape[1], dtype=np.int64)
    for run in kept:
        majority[list(run.spec.combination)] += 1
    return Confusion(shares.mean(axis=0), majority, kept, classes_of(kept[0]))


def with_combination(runs: Sequence[Run], combination: Sequence[int]) -> list[Run]:
    """Return the runs with a combination of majority classes.

    Raises:
        InputError: there are none.
    """
    found = [run for run in runs if run.spec.combination == tuple(sorted(combination))]
    if not found:
        known = sorted({run.spec.combination for run in runs})
        listed = "; ".join(",".join(map(str, c)) for c in known[:12] if c)
        there = f"there is {listed}{' and more' if len(known) > 12 else ''}" if listed else ""
        raise InputError(
            f"No finished run has the majority classes {','.join(map(str, combination))}: "
            f"{there or 'these runs have none, leave --combinations out'}."
        )
    return found


def draw(chosen: Chosen, runs: Sequence[Run], combination: Sequence[int] = ()) -> Drawn:
    """Draw a mean confusion matrix.

    Args:
        chosen: what the runs share.
        runs: its finished runs, read whole.
        combination: only runs with these majority classes; all runs if empty.

    Raises:
        InputError: no run has them.
        NothingToShowError: no run has a confusion matrix.
    """
    import matplotlib
    from matplotlib.colors import PowerNorm

    if combination:
        runs = with_combination(runs, combination)
    found = confusion(runs)
    count = len(found.classes)
    said = _said(chosen, found, len(runs) - len(found.runs))
    title = f"{method_titles(runs)[runs[0].spec.contender]} on {chosen.heading()}"
    side = max(4.6, min(8.5, 0.42 * count + 2.4)) if count <= NAMED else 7.0
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(side + 1.2, side, said, title)
        axes = body.subplots()
        axes.grid(visible=False)
        colours = matplotlib.colormaps["Blues"].with_extremes(bad="#bbbbbb")
        image = axes.imshow(100 * found.shares, cmap=colours, norm=PowerNorm(0.5, 0, 100))
        body.colorbar(image, ax=axes, label="mean share of the true class (%)", shrink=0.8)
        axes.set_xlabel("predicted class")
        marked = count <= NAMED and found.majority.any()
        axes.set_ylabel(f"true class ({MARK} majority)" if marked else "true class")
        _name(axes, found)
        if count <= NUMBERED:
            _number(axes, found.shares)
    suffix = "".join(f"-{c}" for c in sorted(combination))
    return Drawn(
        name=f"confusion-{chosen.recipe.name}-{runs[0].spec.contender.replace('/', '-')}{suffix}",
        figure=figure,
        data=table_of(found),
        runs=[run.id for run in found.runs],
        said=said,
    )


def table_of(found: Confusion) -> "pd.DataFrame":
    """Return each run's confusions, a row for each cell that is not 0."""
    import pandas as pd

    rows = []
    for run in found.runs:
        assert run.metrics is not None
        counts = np.array(run.metrics.confusion)
        repeat = (" ".join(map(str, run.spec.combination)), run.spec.seed, run.id)
        rows += [
            (found.classes[t], found.classes[p], int(counts[t, p]), *repeat)
            for t, p in np.argwhere(counts)
        ]
    columns = ["true", "predicted", "images", "combination", "seed", "run"]
    return pd.DataFrame(rows, columns=columns)


def _name(axes: Any, found: Confusion) -> None:
    """Name the classes, or where they are many number some."""
    count, runs = len(found.classes), len(found.runs)
    if count > NAMED:
        axes.locator_params(integer=True)
        return
    names = []
    for name, times in zip(found.classes, found.majority, strict=True):
        often = "" if times == runs else f" ({times} of {runs})"
        names.append(f"{MARK} {fit(name)}{often}" if times else fit(name))
    small = 9 if count <= NUMBERED else 7
    axes.set_yticks(range(count), names, fontsize=small, parse_math=False)
    long = count > NUMBERED or max(map(len, found.classes)) > 2
    turn = 90 if long else 0
    short = [fit(name) for name in found.classes]
    axes.set_xticks(range(count), short, fontsize=small, rotation=turn, parse_math=False)
    for times, label in zip(found.majority, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if times == runs else "normal")


def _number(axes: Any, shares: NDArray[np.float64]) -> None:
    """Write the shares into the cells, in %; what rounds to nothing stays empty."""
    for (t, p), share in np.ndenumerate(shares):
        if np.isnan(share) or share < 0.0005:
            continue
        text = f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"
        colour = "white" if share > 0.5 else "black"
        axes.text(p, t, text, ha="center", va="center", fontsize=7.5, color=colour)


def _said(chosen: Chosen, found: Confusion, without: int) -> list[str]:
    """Say over which runs the mean is, which classes are majorities, and the largest confusions."""
    count, classes = len(found.runs), found.classes
    combinations = {run.spec.combination for run in found.runs}
    kinds = f" with {len(combinations)} combinations" if len(combinations) > 1 else ""
    runs = "1 run" if count == 1 else f"the mean over {count} runs{kinds}"
    said = [
        f"Shares of each true class in %, {runs}, after the last step; colours go with their "
        "square roots."
    ]
    always = [classes[c] for c in np.flatnonzero(found.majority == count).tolist()]
    if len(combinations) > 1:
        said.append(
            f"{MARK} in how many of the runs a class was a majority class. A mean over several "
            "combinations mixes a class's recall as majority and as minority: --combinations 0,4 "
            "shows one."
        )
    elif always:
        more = f" and {len(always) - LISTED} more" if len(always) > LISTED else ""
        said.append(f"{MARK} majority classes: {', '.join(always[:LISTED])}{more}.")
    if empty := [classes[c] for c in np.flatnonzero(np.isnan(found.shares).any(axis=1)).tolist()]:
        said.append(f"Grey: no test images of {', '.join(empty)}.")
    largest = found.largest(LISTED)
    listed = ", ".join(f"{classes[t]} as {classes[p]} ({100 * s:.1f} %)" for t, p, s in largest)
    told = f"Largest confusions: {listed}."
    said.append(told if listed else "No image is taken for another class.")
    if len(classes) > NAMED:
        said.append(f"The axes number the {len(classes)} classes from 0; --data has their names.")
    if without:
        said.append(f"{without:,} of these runs were kept without their confusion matrices.")
    return [*said, *chosen.aside()]
