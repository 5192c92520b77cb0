"""A cell: a method's runs that share all but combination and seed, and what became of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfgctl.recipe import Recipe
from dfgctl.records import STATUSES, Run
from dfgctl.report.selection import Metric, Select, gap_of, value_of
from dfgctl.report.statistics import Summary, points, summary_of
from dfgctl.report.table import Cell as Shown
from dfgctl.report.verdicts import Judgement


@dataclass(frozen=True)
class Cell:
    """A method's runs in a row: what finished, and what became of the others.

    Attributes:
        summary: the numbers that are shown; None without any.
        combinations: how many combinations of majority classes they have; 0 for balanced runs.
        counts: how many runs are in each state.
        select: which accuracy is shown.
        gaps: how many finished runs have no number to show, by the reason.
        shortened: whether runs have fewer steps than the recipe.
        unseen: the last accuracies without the test images that the source was trained on.
        runs: the ids of the runs behind the summary.
        steps: their training steps; None without runs.
        dirty: how many of them were trained from a dirty tree.
        gain: the mean difference from ``original`` in the same row, on the (combination, seed)
            pairs that both have; None where it is not given.
        judgement: the paper's number and what is said of it; None where it is not asked for.
    """

    summary: Summary | None
    combinations: int
    counts: Mapping[str, int]
    select: Select
    gaps: Mapping[str, int]
    shortened: bool
    unseen: Summary | None
    runs: Sequence[str] = ()
    steps: int | None = None
    dirty: int = 0
    gain: float | None = None
    judgement: Judgement | None = None

    def lines(self) -> list[str]:
        """Write the cell: mean ± standard deviation in %, n and c, and what has not finished.

        A cell without results says why: queued, running, failed, or never planned.
        """
        paper = self.judgement.lines() if self.judgement else []
        others = [f"{n} {status}" for status, n in self.counts.items() if status != "finished"]
        if self.summary is None:
            return [*([*self.gaps, *others] or ["never planned"]), *paper]
        size = f"n = {self.summary.n}"
        if self.combinations:
            size += f", c = {self.combinations}"
        without = [f"{n} {reason}" for reason, n in self.gaps.items()]
        gain = [] if self.gain is None else [f"gain {points(self.gain)}"]
        return [self.summary.text(), size, *without, *others, *gain, *paper]

    def shown(self, best: float | None = None) -> Shown:
        """Return the cell as it is read, in bold if its mean is the best of its row."""
        mean = None if self.summary is None else self.summary.mean
        bold = mean is not None and best is not None and round(mean, 4) == best
        return Shown(self.lines(), bold, mean)

    def text(self) -> str:
        """Write the cell in one line."""
        return self.shown().text()

    def record(self) -> dict[str, object]:
        """Return the cell as a flat record, less what the paper has."""
        summary = self.summary
        return {
            "steps": self.steps,
            "shortened": self.shortened,
            "select": self.select.value,
            "mean": summary.mean if summary else None,
            "std": summary.std if summary else None,
            "n": summary.n if summary else 0,
            "combinations": self.combinations,
            "gain": self.gain,
            "mean_unseen": self.unseen.mean if self.unseen else None,
            "std_unseen": self.unseen.std if self.unseen else None,
            "dirty": self.dirty,
            "status": {status: self.counts.get(status, 0) for status in STATUSES},
            "runs": list(self.runs),
        }


def cell_of(
    runs: Sequence[Run], recipe: Recipe, select: Select, metric: Metric = Metric.accuracy
) -> Cell:
    """Make a cell.

    Args:
        runs: its runs, in any state, which share all but combination and seed; may be empty.
        recipe: their recipe.
        select: which accuracy is shown.
        metric: which metric is shown.
    """
    done = [run for run in runs if run.metrics is not None]
    status = Counter("finished" if run.metrics is not None else run.status for run in runs)
    shown = [run for run in done if value_of(run, metric, select) is not None]
    unseen = (run.metrics.accuracy_unseen for run in done if run.metrics is not None)
    return Cell(
        summary=summary_of(value_of(run, metric, select) for run in shown),
        combinations=len({run.spec.combination for run in shown if run.spec.combination}),
        counts=dict(status),
        select=select,
        gaps=Counter(gap for run in done if (gap := gap_of(run, select, metric))),
        shortened=any(run.spec.steps < recipe.steps_of(run.spec) for run in runs),
        unseen=summary_of(unseen) if metric is Metric.accuracy else None,
        runs=[run.id for run in shown],
        steps=runs[0].spec.steps if runs else None,
        dirty=sum(run.dirty is True for run in shown),
    )
