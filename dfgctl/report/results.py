"""The table of results: data sets down, methods across."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl.errors import NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import STATUSES, Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.footnotes import footnotes, without_source
from dfgctl.report.groups import Row, rows
from dfgctl.report.selection import Select, accuracy_of, caption, gap_of, require_any, shown_of
from dfgctl.report.statistics import Summary, summarise
from dfgctl.report.table import Cell as Shown
from dfgctl.report.table import Column, Table
from dfgctl.report.view import View

BEST_MARK = "‡"
"""Marks rows that show the best accuracy where others do not."""


@dataclass(frozen=True)
class Cell:
    """A method's runs in a row: what finished, and what became of the others.

    Attributes:
        summary: the accuracies that are shown; None without any.
        combinations: how many combinations have finished runs.
        counts: how many runs are in each state.
        select: which accuracy is shown.
        gaps: how many finished runs have none to show, by the reason.
        shortened: whether runs have fewer steps than the recipe.
        unseen: the last accuracies without the test images that the source was trained on.
    """

    summary: Summary | None
    combinations: int
    counts: Mapping[str, int]
    select: Select
    gaps: Mapping[str, int]
    shortened: bool
    unseen: Summary | None

    def lines(self) -> list[str]:
        """Write the cell: mean ± standard deviation in %, n, and what has not finished.

        A cell without results says why: queued, running, failed, or never planned.
        """
        others = [f"{n} {status}" for status, n in self.counts.items() if status != "finished"]
        if self.summary is None:
            return [*self.gaps, *others] or ["not planned"]
        without = [f"{n} {reason}" for reason, n in self.gaps.items()]
        return [self.summary.text(), f"n = {self.summary.n}", *without, *others]

    def shown(self, best: float | None = None) -> Shown:
        """Return the cell as it is read, in bold if its mean is the best of its row."""
        mean = None if self.summary is None else self.summary.mean
        bold = mean is not None and best is not None and round(mean, 4) == best
        return Shown(self.lines(), bold, mean)

    def text(self) -> str:
        """Write the cell in one line."""
        return self.shown().text()


@dataclass(frozen=True)
class ResultsTable:
    """The table: its lines, and what must be said below it.

    Attributes:
        lines: the rows, with a cell for each method.
        titles: the data sets' titles, by name.
        methods: the methods' titles, by id.
        caption: what the numbers are.
        footnotes: what holds for some of them.
    """

    lines: Sequence[tuple[Row, Mapping[str, Cell]]]
    titles: Mapping[str, str]
    methods: Mapping[str, str]
    caption: str
    footnotes: Sequence[str]

    def label(self, row: Row) -> str:
        """Name a row."""
        cells = dict(self.lines)[row].values()
        shown = {cell.select for _, others in self.lines for cell in others.values()}
        mark = " †" if any(cell.shortened for cell in cells) else ""
        if len(shown) > 1 and any(cell.select is Select.best for cell in cells):
            mark += f" {BEST_MARK}"
        return f"{self.titles[row.dataset]} ({row.ratio}){mark}"

    def settings(self, row: Row) -> list[str]:
        """Say which source a row has, and where it departs from its recipe."""
        parts = [f"source {row.source}"] if row.source else []
        shared = (row.dataset, row.ratio, row.notes, row.source)
        others = [
            r
            for r, _ in self.lines
            if r != row and (r.dataset, r.ratio, r.notes, r.source) == shared
        ]
        if any(r.source_identity != row.source_identity for r in others) and row.source_identity:
            parts.append(f"source network {row.source_identity[:7]}")
        if any(r.data_digest != row.data_digest for r in others):
            parts.append(f"data {row.data_digest[:7]}")
        return [*parts, *row.notes]

    def table(self) -> Table:
        """Return the table as it is read."""
        columns = [Column("Data set", "label"), Column("Settings", "detail")]
        return Table(
            name="results",
            title="Results",
            columns=[*columns, *map(Column, self.methods.values())],
            rows=[self._row(row, cells) for row, cells in self.lines],
            caption=self.caption,
            notes=self.footnotes,
            records=self.records(),
        )

    def _row(self, row: Row, cells: Mapping[str, Cell]) -> list[Shown]:
        means = [round(c.summary.mean, 4) for c in cells.values() if c.summary is not None]
        best = max(means) if len(means) > 1 else None
        names = [Shown([self.label(row)]), Shown(self.settings(row))]
        return [*names, *(cells[m].shown(best) for m in self.methods)]

    def records(self) -> list[dict[str, object]]:
        """Return one plain record for each cell."""
        return [
            _cell_record(row, method, cells[method])
            for row, cells in self.lines
            for method in self.methods
        ]


def make(view: View) -> Table:
    """Make the table of results.

    Raises:
        NothingToShowError: there are no runs, or none that finished has such an accuracy.
    """
    return results(view.runs, view.recipes, view.select).table()


def results(
    runs: Sequence[Run], recipes: Mapping[str, Recipe], select: Select | None = None
) -> ResultsTable:
    """Make the table of results.

    Args:
        runs: the runs, in any state.
        recipes: recipe of each data set, in the order of the table.
        select: which accuracy is shown; None for that of each run's own reading (F14).

    Raises:
        NothingToShowError: there are no runs, or none that finished has such an accuracy.
    """
    if not runs:
        raise NothingToShowError(
            "There are no runs to show yet: train some first, e.g. dfgctl run digits."
        )
    require_any(runs, select)
    methods = method_titles(runs)
    last = {run.spec.dataset: run for run in runs}
    titles = {dataset: title_of(run) for dataset, run in last.items()}
    lines = []
    for row, members in rows(runs, recipes).items():
        shown = shown_of(members[0], select)
        own: dict[str, list[Run]] = {method: [] for method in methods}
        for run in members:
            own[run.spec.method].append(run)
        cells = {m: _cell(own[m], recipes[row.dataset], shown) for m in methods}
        lines.append((row, cells))
    every = [cell for _, cells in lines for cell in cells.values()]
    made = ResultsTable(
        lines=lines,
        titles=titles,
        methods=methods,
        caption=f"{caption({cell.select for cell in every}, BEST_MARK)}: mean ± standard deviation "
        "(n runs, each with its own combination of majority classes or seed).",
        footnotes=footnotes(runs, recipes, any(cell.shortened for cell in every)),
    )
    unseen = [without_source(titles[d], _unseen(made, d)) for d in recipes if d in titles]
    return replace(made, footnotes=(*made.footnotes, *(note for note in unseen if note)))


def _unseen(table: ResultsTable, dataset: str) -> dict[str, dict[str, Summary]]:
    """Return the accuracies without the source's images: a data set's rows, then its methods."""
    return {
        ", ".join([row.ratio, *table.settings(row)]): {
            table.methods[m]: cell.unseen for m, cell in cells.items() if cell.unseen is not None
        }
        for row, cells in table.lines
        if row.dataset == dataset
    }


def _cell_record(row: Row, method: str, cell: Cell) -> dict[str, object]:
    summary = cell.summary
    return {
        "dataset": row.dataset,
        "ratio": row.ratio,
        "source": row.source,
        "source_identity": row.source_identity,
        "data_digest": row.data_digest,
        "settings": list(row.notes),
        "shortened": cell.shortened,
        "method": method,
        "metric": "accuracy",
        "select": cell.select.value,
        "mean": summary.mean if summary else None,
        "std": summary.std if summary else None,
        "n": summary.n if summary else 0,
        "mean_unseen": cell.unseen.mean if cell.unseen else None,
        "std_unseen": cell.unseen.std if cell.unseen else None,
        "combinations": cell.combinations,
        "status": {status: cell.counts.get(status, 0) for status in STATUSES},
    }


def _cell(runs: Sequence[Run], recipe: Recipe, select: Select) -> Cell:
    done = [run for run in runs if run.metrics is not None]
    status = Counter("finished" if run.metrics is not None else run.status for run in runs)
    return Cell(
        summary=_summary(accuracy_of(run, select) for run in done),
        combinations=len({run.spec.combination for run in done}),
        counts=dict(status),
        select=select,
        gaps=Counter(gap for run in done if (gap := gap_of(run, select))),
        shortened=any(run.spec.steps < recipe.steps_of(run.spec) for run in runs),
        unseen=_summary(run.metrics.accuracy_unseen for run in done if run.metrics is not None),
    )


def _summary(values: Iterable[float | None]) -> Summary | None:
    """Summarise those that are known; None without any."""
    known = [value for value in values if value is not None]
    return summarise(known) if known else None
