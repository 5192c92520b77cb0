"""The table of results: data sets down, methods across; of many methods the other way round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run
from dfgctl.report import beside
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.cells import Cell, cell_of
from dfgctl.report.footnotes import footnotes, without_source
from dfgctl.report.groups import Row, rows
from dfgctl.report.pairing import by_pair, pair
from dfgctl.report.selection import (
    BEST_MARK,
    Metric,
    Select,
    caption,
    require_any,
    require_kept,
    shown_of,
)
from dfgctl.report.statistics import Summary
from dfgctl.report.table import Cell as Shown
from dfgctl.report.table import Column, Table
from dfgctl.report.verdicts import judgement_record
from dfgctl.report.view import View

USES = frozenset({"metric", "select", "published", "margin", "paper-n", "judge-all"})

RELEASED_MARK = "§"
"""Marks rows whose verdicts are those of another reading of the paper."""

ACROSS = 6
"""Contenders with runs that stand across; more would not fit into a terminal, and stand down."""

GAINING, REFERENCE = "dfg", "original"
"""The method whose gain section 5 gives, and over which."""


@dataclass(frozen=True)
class ResultsTable:
    """The table: its lines, and what must be said below it.

    Attributes:
        lines: the rows, with a cell for each method.
        facts: what the runs of a row share and its name does not say, for scripts.
        titles: the data sets' titles, by name.
        methods: the methods' titles, by id.
        caption: what the numbers are.
        footnotes: what holds for some of them.
        metric: which metric is shown.
        judged: which accuracies are judged by the paper's; None if the paper's are not shown.
    """

    lines: Sequence[tuple[Row, Mapping[str, Cell]]]
    facts: Mapping[Row, Mapping[str, object]]
    titles: Mapping[str, str]
    methods: Mapping[str, str]
    caption: str
    footnotes: Sequence[str]
    metric: Metric = Metric.accuracy
    judged: Sequence[Select] | None = None

    def label(self, row: Row) -> str:
        """Name a row."""
        cells = dict(self.lines)[row].values()
        shown = {cell.select for _, others in self.lines for cell in others.values()}
        mark = " †" if self._is_shortened(row) else ""
        if len(shown) > 1 and any(cell.select is Select.best for cell in cells):
            mark += f" {BEST_MARK}"
        if beside.marked(row, cells):
            mark += f" {RELEASED_MARK}"
        return f"{self.titles[row.dataset]} ({row.ratio}){mark}"

    def settings(self, row: Row) -> list[str]:
        """Say which source a row has, and where it departs from its recipe."""
        return row.settings([other for other, _ in self.lines])

    def _is_shortened(self, row: Row) -> bool:
        """Say whether all that a row has is shortened to what its settings say."""
        cells = [cell for cell in dict(self.lines)[row].values() if cell.counts]
        return all(cell.shortened for cell in cells) and not row.is_tuned()

    def shortened(self, row: Row, *methods: str) -> dict[str, str]:
        """Return the steps of those of some methods that are shortened, where the row says none.

        In a row of tuned runs each method is at what its search found, also with fewer steps.
        """
        cells = {} if self._is_shortened(row) else dict(self.lines)[row]
        return {m: f"{c.steps:,} steps †" for m in methods if (c := cells.get(m)) and c.shortened}

    def table(self) -> Table:
        """Return the table as it is read: where many methods have runs, these stand down."""
        across = len(self._with_runs()) <= ACROSS
        return Table(
            name="results",
            title="Results",
            columns=self._columns() if across else self._turned_columns(),
            rows=[self._row(*line) for line in self.lines] if across else self._turned_rows(),
            caption=self.caption,
            notes=self.footnotes,
            records=self.records(),
        )

    def _with_runs(self) -> set[str]:
        """Return the contenders that have runs, in any state."""
        return {m for _, cells in self.lines for m, cell in cells.items() if cell.counts}

    def _columns(self) -> list[Column]:
        names = [Column("Data set", "label"), Column("Settings", "detail")]
        return [*names, *map(Column, self.methods.values())]

    def _row(self, row: Row, cells: Mapping[str, Cell]) -> list[Shown]:
        names = [Shown([self.label(row)]), Shown(self.settings(row))]
        return [*names, *self._shown(row, cells)]

    def _turned_columns(self) -> list[Column]:
        titles = [", ".join([self.label(row), *self.settings(row)]) for row, _ in self.lines]
        return [Column("Method", "label"), *map(Column, titles)]

    def _turned_rows(self) -> list[list[Shown]]:
        shown = [self._shown(*line) for line in self.lines]
        titles = self.methods.values()
        return [[Shown([title]), *cells] for title, *cells in zip(titles, *shown, strict=True)]

    def _shown(self, row: Row, cells: Mapping[str, Cell]) -> list[Shown]:
        """Return the cells of the methods in a row, the best in bold."""
        means = [round(c.summary.mean, 4) for c in cells.values() if c.summary is not None]
        best = max(means) if len(means) > 1 else None
        steps = self.shortened(row, *self.methods)
        shown = {m: cells[m].shown(best) for m in self.methods}
        return [
            replace(cell, lines=[*cell.lines, steps[m]]) if m in steps else cell
            for m, cell in shown.items()
        ]

    def records(self) -> list[dict[str, object]]:
        """Return one plain record for each cell."""
        return [
            self._record(row, method, cells[method])
            for row, cells in self.lines
            for method in self.methods
        ]

    def _record(self, row: Row, method: str, cell: Cell) -> dict[str, object]:
        record = {
            **row.record(),
            **self.facts[row],
            "method": method,
            "metric": self.metric.value,
            **cell.record(),
        }
        if self.judged is not None:
            record |= judgement_record(cell.judgement, self.judged)
            record["paper_gain"] = beside.gain_of(cell, row) if method == GAINING else None
        return record


def make(view: View) -> Table:
    """Make the table of results.

    Raises:
        InputError: the metric is not kept for the step that is asked for, the paper has none of
            it, or the margin is no number of points.
        NothingToShowError: there are no runs, or none that finished has such a number.
    """
    return results(view).table()


def results(view: View) -> ResultsTable:
    """Make the table of results, not yet as it is read.

    Raises:
        InputError: see ``make``.
        NothingToShowError: likewise.
    """
    runs, recipes, select, metric = view.runs, view.recipes, view.select, view.metric
    if not runs:
        raise NothingToShowError(
            "There are no runs to show yet: train some first, e.g. dfgctl run digits."
        )
    require_kept(metric, select)
    if view.published and metric is not Metric.accuracy:
        raise InputError(
            f"The paper gives accuracies only: leave --metric {metric} or --published out."
        )
    require_any(runs, select, metric)
    methods = method_titles(runs)
    last = {run.spec.dataset: run for run in runs}
    titles = {dataset: title_of(run) for dataset, run in last.items()}
    lines, facts = [], {}
    for row, members in rows(runs, recipes).items():
        shown = shown_of(members[0], select, metric)
        own: dict[str, list[Run]] = {method: [] for method in methods}
        for run in members:
            own[run.spec.contender].append(run)
        cells = {m: cell_of(own[m], recipes[row.dataset], shown, metric) for m in methods}
        cells[GAINING] = replace(cells[GAINING], gain=_gain(own, shown, metric))
        if view.published:
            cells = {
                m: replace(c, judgement=beside.judgement(row, m, own[m], view))
                for m, c in cells.items()
            }
        lines.append((row, cells))
        facts[row] = _facts(members[0])
    every = [cell for _, cells in lines for cell in cells.values()]
    says = (
        f"{caption({cell.select for cell in every}, BEST_MARK, metric)}: mean ± standard deviation "
        "(n runs, each with its own combination of majority classes or seed; c combinations)."
    )
    if any(cell.gain is not None for cell in every):
        says += (
            f" Gain: of {methods[GAINING]} over {methods[REFERENCE]} in the same row, in points, "
            "on the combinations and seeds that both have."
        )
    made = ResultsTable(
        lines=lines,
        facts=facts,
        titles=titles,
        methods=methods,
        caption=says,
        footnotes=footnotes(runs, recipes, any(cell.shortened for cell in every)),
        metric=metric,
        judged=beside.judged(view) if view.published else None,
    )
    unseen = [without_source(titles[d], _unseen(made, d)) for d in recipes if d in titles]
    made = replace(made, footnotes=(*made.footnotes, *(note for note in unseen if note)))
    if not view.published:
        return made
    below = beside.notes(lines, titles, RELEASED_MARK)
    return replace(
        made,
        caption=" ".join((made.caption, *beside.caption(lines, view))),
        footnotes=(*made.footnotes, *below),
    )


def _gain(own: Mapping[str, Sequence[Run]], select: Select, metric: Metric) -> float | None:
    """Return the mean gain on what both methods have, as the table of pairs subtracts."""
    ours, base = (by_pair(own[method], metric, select) for method in (GAINING, REFERENCE))
    if not ours.keys() & base.keys():
        return None
    first = own[GAINING][0]
    return pair(ours, base, len(first.class_counts), first.spec.majority > 0).mean


def _facts(run: Run) -> dict[str, object]:
    spec = run.spec
    return {
        "protocol": spec.protocol,
        "majority": spec.majority,
        "majority_count": spec.majority_count,
        "network": spec.backbone,
        "precision": spec.precision,
        "validation": spec.validation,
        "results_version": spec.results_version,
    }


def _unseen(table: ResultsTable, dataset: str) -> dict[str, dict[str, Summary]]:
    """Return the accuracies without the source's images: a data set's rows, then its methods."""
    return {
        ", ".join([row.ratio, *table.settings(row)]): {
            table.methods[m]: cell.unseen for m, cell in cells.items() if cell.unseen is not None
        }
        for row, cells in table.lines
        if row.dataset == dataset
    }
