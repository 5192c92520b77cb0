"""How filter weights move through training, for values of rho (Fig. 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run
from dfgctl.report.captions import with_caption
from dfgctl.report.cards import classes_of
from dfgctl.report.figures import ORANGE, STYLE, Drawn
from dfgctl.report.names import in_legend, notes_of, of_pair
from dfgctl.report.scatter import CLASS_LOOKS
from dfgctl.report.statistics import summarise

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Moves:
    """The filter weights of a run of ``dfg`` through its training.

    Attributes:
        run: the run.
        rho: its setting.
        share: the source's share in W after step 0: rho by Eq. 7, 0 with F06 as released.
        steps: the steps of the updates, (U,); the first is 0.
        weights: W after each update, (U, K, n_f), with mean 1 over the filters of each class: at
            step 0 the source's W(E_S), later the mix of Eq. 7; before the threshold.
        source: the source's W(E_S), (K, n_f).
    """

    run: Run
    rho: float
    share: float
    steps: NDArray[np.int64]
    weights: Numbers
    source: Numbers

    def target(self) -> Numbers | None:
        """Return the target's own W(E) at the end, (K, n_f), by Eq. 7; None at share 1."""
        if self.share == 1:
            return None
        found: Numbers = (self.weights[-1] - self.share * self.source) / (1 - self.share)
        return found


def spread(weights: Numbers) -> float:
    """Return the standard deviation between classes, (K, n_f), as a mean over all filters."""
    return float(weights.std(axis=0).mean())


def most_different(weights: Numbers, count: int = 2) -> tuple[int, ...]:
    """Return the filters whose weights, (K, n_f), differ most between classes, most first."""
    order = np.argsort(-weights.std(axis=0), kind="stable")
    return tuple(order[:count].tolist())


def ignored(shown: Sequence[Moves]) -> bool:
    """Say whether rho has no effect on runs of one pair, as F06 is read as released."""
    return any(moves.share != moves.rho for moves in shown)


def check(moves: Moves) -> None:
    """Check that a run's weights moved, so that there is something to show.

    Raises:
        NothingToShowError: its history has the first point only, or weights that are not finite.
    """
    run, short = moves.run, moves.run.id[:10]
    if not np.isfinite(moves.weights).all():
        raise NothingToShowError(
            f"The filter weights of run {short} are not finite: it has diverged; choose another."
        )
    if len(moves.steps) < 2:
        n_W = run.spec.settings["dfg"]["n_W"]
        why = (
            f"it had {run.spec.steps:,} steps and n_W is {n_W:,}"
            if n_W > run.spec.steps
            else "its filter weights were never updated (F07)"
        )
        fewer = max(1, run.spec.steps // 10)
        raise NothingToShowError(
            f"Run {short} has the filter weights of step 0 only, as {why}: train with "
            f"--set dfg.n_W={fewer}, and without --steps or the released reading of F07."
        )


def draw(
    shown: Sequence[Moves],
    others: Mapping[float, Sequence[Moves]],
    classes: Sequence[int],
    filters: Sequence[int] | None = None,
) -> Drawn:
    """Draw the weights of some filters: a row for each rho, a column for each filter.

    Args:
        shown: runs of one (combination, seed) pair, a row each.
        others: for each rho the runs of all pairs that have each, those shown included.
        classes: the classes with a line.
        filters: the filters; None for the two whose weights differ most between classes at step 0
            under the highest rho.

    Raises:
        NothingToShowError: a run has one point only.
        InputError: there is no such filter.
    """
    import matplotlib

    for moves in shown:
        check(moves)
    first = max(shown, key=lambda m: m.rho).weights[0]
    how = "as named with --filters"
    if filters is None:
        filters = most_different(first)
        how = "whose weights differ most between classes at step 0"
    wrong = [j for j in filters if j >= first.shape[1]]
    if wrong:
        raise InputError(f"There is no filter {wrong[0]}: filters are 0 to {first.shape[1] - 1}.")
    names, said = classes_of(shown[0].run), _sentences(shown, others, filters, how)
    later = "the mix ρ W(E_S) + (1 - ρ) W(E) of Eq. 7"
    if ignored(shown):
        later = "the target's W(E) alone, whatever ρ is (F06 as released)"
    what = (
        f"A point for each update of W: at step 0 the source's W(E_S), later {later}, before the "
        "threshold"
    )
    notes = [n for n in notes_of(shown[0].run) if not n.startswith("dfg.rho=")]
    heading = ", ".join([f"DFG on {of_pair(shown[0].run)}", *notes])
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        width, height = 2.4 + 2.6 * len(filters), max(3.2, 0.5 + 2.5 * len(shown))
        figure, body = with_caption(width, height, said, f"{heading}\n{what}")
        grid = body.subplots(len(shown), len(filters), sharex=True, sharey=True, squeeze=False)
        for moves, row in zip(shown, grid, strict=True):
            for j, axes in zip(filters, row, strict=True):
                _lines(axes, moves, j, classes, names)
            row[0].set_ylabel(f"ρ = {moves.rho:g}\nfilter weight W")
        for j, axes in zip(filters, grid[0], strict=True):
            axes.set_title(f"Filter {j}", loc="left")
        for axes in grid[-1]:
            axes.set_xlabel("training step")
        handles, labels = grid[0][0].get_legend_handles_labels()
        body.legend(
            handles,
            labels,
            loc="outside right center",
            frameon=False,
            handlelength=2.2,
            title="class",
        )
    return Drawn(
        name=f"weights-{shown[0].run.spec.dataset}-{shown[0].run.id[:10]}",
        figure=figure,
        data=_frame(shown, names),
        runs=list(dict.fromkeys(m.run.id for ms in (shown, *others.values()) for m in ms)),
        said=said,
    )


def _lines(axes: Any, moves: Moves, j: int, classes: Sequence[int], names: Sequence[str]) -> None:
    """Draw a filter's weights over the steps, a line for each class, and the line of equality."""
    for i, c in enumerate(classes):
        colour, marker = CLASS_LOOKS[i % len(CLASS_LOOKS)]
        axes.plot(
            moves.steps,
            moves.weights[:, c, j],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.1,
            label=in_legend(names[c]),
        )
    axes.axhline(1, color=ORANGE, linewidth=1.4, linestyle="--", label="equality")


def _frame(shown: Sequence[Moves], names: Sequence[str]) -> "pd.DataFrame":
    """Return all weights of all filters and classes, a row each."""
    import pandas as pd

    rows = [
        (m.rho, int(step), names[c], j, m.weights[u, c, j], m.run.id)
        for m in shown
        for u, step in enumerate(m.steps)
        for c in range(m.weights.shape[1])
        for j in range(m.weights.shape[2])
    ]
    return pd.DataFrame(rows, columns=["rho", "step", "class", "filter", "weight", "run"])


def _sentences(
    shown: Sequence[Moves],
    others: Mapping[float, Sequence[Moves]],
    filters: Sequence[int],
    how: str,
) -> list[str]:
    """Say how far the weights of classes lie apart, at the start, at the end, over all pairs."""
    said = [
        f"Filters {', '.join(map(str, filters))} of {shown[0].weights.shape[2]}, {how}. W has mean "
        "1 over the filters of each class; its threshold is not applied.",
        "Spread of W: standard deviation between classes, mean over all filters.",
    ]
    for moves in shown:
        line = (
            f"rho {moves.rho:g} (run {moves.run.id[:10]}): {spread(moves.weights[0]):.3f} at step "
            f"0, {spread(moves.weights[-1]):.3f} at step {moves.steps[-1]:,}"
        )
        target = moves.target()
        if target is not None and moves.share > 0:
            line += f"; of it the target's own W(E) {spread(target):.3f}"
        said.append(f"{line}.")
    counts = {len(runs) for runs in others.values()}
    if counts and min(counts) > 1:
        texts = []
        for rho, runs in others.items():
            ends = summarise([spread(m.weights[-1]) for m in runs])
            texts.append(f"{ends.mean:.3f} ± {ends.std:.3f} with rho {rho:g}")
        low, high = min(others), max(others)
        count = min(counts)
        line = f"At the end, over {count} (combination, seed) pairs: {', '.join(texts)}"
        if low < high:
            pairs = zip(others[high], others[low], strict=True)
            wider = sum(spread(h.weights[-1]) > spread(w.weights[-1]) for h, w in pairs)
            line += f"; wider with rho {high:g} in {wider} of {count}"
        said.append(f"{line}.")
    if ignored(shown):
        said.append("F06 is read as released: W is the target's alone, and rho has no effect.")
    elif max(m.share for m in shown) > 0:
        said.append(
            "By Eq. 7 a share rho of W is the source's and never moves, whatever E learns: compare "
            "the target's own W(E), too."
        )
    return said
