"""The table of balanced references: what imbalance costs."""

from collections.abc import Iterable, Mapping, Sequence

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.cells import Cell, cell_of
from dfgctl.report.commands import data_of, references_of
from dfgctl.report.footnotes import footnotes
from dfgctl.report.groups import Row, in_order, rows
from dfgctl.report.selection import (
    BEST_MARK,
    Metric,
    Select,
    caption,
    require_any,
    require_kept,
    shown_of,
)
from dfgctl.report.statistics import Interval, Summary, points, welch
from dfgctl.report.table import Cell as Shown
from dfgctl.report.table import Column, Table
from dfgctl.report.view import View

USES = frozenset({"metric", "select"})

LEVEL = 0.95


class Pair:
    """A method's imbalanced runs and their balanced references.

    Attributes:
        row: the row of the imbalanced ones.
        method: the method.
        runs: the imbalanced ones, in any state.
        imbalanced: what they came to.
        reference: what the balanced ones came to.
    """

    def __init__(self, row: Row, runs: Sequence[Run], references: Sequence[Run], view: View):
        recipe, shown = view.recipes[row.dataset], shown_of(runs[0], view.select, view.metric)
        self.row = row
        self.method = runs[0].spec.contender
        self.runs = runs
        self.imbalanced = cell_of(runs, recipe, shown, view.metric)
        self.reference = cell_of(references, recipe, shown, view.metric)

    @property
    def both(self) -> tuple[Summary, Summary] | None:
        """The two summaries, the reference's first; None where one is missing."""
        ours, other = self.imbalanced.summary, self.reference.summary
        return None if ours is None or other is None else (other, ours)

    @property
    def cost(self) -> float | None:
        """The reference's mean less the imbalanced one, in [-1, 1]."""
        return self.both[0].mean - self.both[1].mean if self.both else None

    @property
    def interval(self) -> Interval | None:
        """The Welch interval of the cost; None where one of the two has a single run."""
        return welch(*self.both, LEVEL) if self.both else None

    def cells(self) -> list[Shown]:
        """Return both numbers and what imbalance costs, in points."""
        return [self.imbalanced.shown(), self.reference.shown(), self._cost()]

    def _cost(self) -> Shown:
        if self.cost is None:
            return Shown(["no result" if self.imbalanced.summary is None else "no reference"])
        first = points(self.cost)
        if self.interval is None:
            return Shown([first, "no interval, n = 1"], order=self.cost)
        low, high = self.interval
        return Shown([first, f"[{points(low)}, {points(high)}]"], order=self.cost)

    def record(self, metric: Metric) -> dict[str, object]:
        """Return all of it as a flat record."""
        row, spec = self.row, self.runs[0].spec
        low, high = self.interval or (None, None)
        return {
            **row.record(),
            "majority": spec.majority,
            "protocol": spec.protocol,
            "steps": spec.steps,
            "method": self.method,
            "metric": metric.value,
            "select": self.imbalanced.select.value,
            **_numbers(self.imbalanced, ""),
            **_numbers(self.reference, "_reference"),
            "cost": self.cost,
            "low_95": low,
            "high_95": high,
        }


def _numbers(cell: Cell, end: str) -> dict[str, object]:
    of = cell.record()
    return {f"{key}{end}": of[key] for key in ("mean", "std", "n", "combinations", "runs")}


def make(view: View) -> Table:
    """Make the table of balanced references.

    Raises:
        InputError: the metric is not kept for the step that is asked for, or has no meaning at 1:1.
        NothingToShowError: there are no imbalanced runs, or none that finished has such a number.
    """
    require_kept(view.metric, view.select)
    if view.metric in (Metric.minority, Metric.majority):
        raise InputError(
            "Balanced runs have neither minority nor majority classes: leave --metric "
            f"{view.metric} out, or take balanced, f1 or gmean."
        )
    pairs = _pairs(view)
    if not pairs:
        recipe = view.recipes[view.runs[0].spec.dataset]
        raise NothingToShowError(
            "There are no runs with majority classes, whose references these could be: train some, "
            f"e.g. dfgctl run {data_of(recipe)} --imbalance 10:1."
        )
    runs = [run for pair in pairs for run in pair.runs]
    require_any(runs, view.select, view.metric)
    methods = method_titles(runs)
    titles = {run.spec.dataset: title_of(run) for run in runs}
    every = list(dict.fromkeys(pair.row for pair in pairs))
    shown = {pair.imbalanced.select for pair in pairs}
    lines = []
    for pair in pairs:
        row = pair.row
        mark = " †" if pair.imbalanced.shortened else ""
        if len(shown) > 1 and pair.imbalanced.select is Select.best:
            mark += f" {BEST_MARK}"
        label = Shown([f"{titles[row.dataset]} ({row.ratio}){mark}"])
        names = [label, Shown(row.settings(every)), Shown([methods[pair.method]])]
        lines.append([*names, *pair.cells()])
    says = caption(shown, BEST_MARK, view.metric)
    short = any(pair.imbalanced.shortened for pair in pairs)
    return Table(
        name="balanced",
        title="What imbalance costs",
        columns=[
            Column("Data set", "label"),
            Column("Settings", "detail"),
            Column("Method", "label"),
            *map(Column, ("Imbalanced", "Balanced", "Cost")),
        ],
        rows=lines,
        caption=f"{says}: mean ± standard deviation (n runs, c combinations of majority classes). "
        "Balanced: the same data set, method, source and settings at 1:1. Cost: balanced less "
        "imbalanced, in points, with its 95 % Welch interval; runs are taken as independent, "
        "although combinations share classes.",
        notes=[*footnotes(runs, view.recipes, short), *_commands(pairs)],
        records=[pair.record(view.metric) for pair in pairs],
    )


def _pairs(view: View) -> list[Pair]:
    """Return each imbalanced row of each method with the balanced one that it agrees with."""
    found = []
    for method in method_titles(view.runs):
        own: Mapping[Row, list[Run]] = rows(
            [run for run in view.runs if run.spec.contender == method], view.recipes
        )
        for row, runs in own.items():
            if runs[0].spec.majority:
                found.append(Pair(row, runs, own.get(row.reference(), []), view))
    order = in_order(view.recipes)
    return sorted(found, key=lambda pair: order(pair.row))  # stable: methods stay in order


def _commands(pairs: Iterable[Pair]) -> list[str]:
    """Return the commands that train the references that are missing."""
    missing = [pair.runs[0] for pair in pairs if pair.reference.summary is None]
    return [f"Train missing references: {command}" for command in references_of(missing)]
