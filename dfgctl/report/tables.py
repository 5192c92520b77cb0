"""The table of results: data sets down, methods across."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dfgctl.data.catalog import DATASETS
from dfgctl.errors import NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import METHODS, Run
from dfgctl.report.groups import Row, rows
from dfgctl.report.statistics import Summary, summarise


@dataclass(frozen=True)
class Cell:
    """A method's runs in a row: what finished, and what became of the others."""

    summary: Summary | None
    combinations: int
    counts: Mapping[str, int]
    shortened: bool = False

    def lines(self) -> list[str]:
        """Write the cell: mean ± standard deviation in %, n, and what has not finished.

        A cell without results says why: queued, running, failed, or never planned.
        """
        others = [f"{n} {status}" for status, n in self.counts.items() if status != "finished"]
        if self.summary is None:
            return others or ["not planned"]
        mean, std = 100 * self.summary.mean, self.summary.std
        value = f"{mean:.2f}" if std is None else f"{mean:.2f} ± {100 * std:.2f}"
        return [value, f"n = {self.summary.n}", *others]

    def text(self) -> str:
        """Write the cell in one line."""
        first, *rest = self.lines()
        return f"{first} ({', '.join(rest)})" if rest else first


@dataclass(frozen=True)
class ResultsTable:
    """The table: its lines, and what must be said below it."""

    lines: Sequence[tuple[Row, Mapping[str, Cell]]]
    methods: Sequence[str]
    caption: str
    footnotes: Sequence[str]

    def label(self, row: Row) -> str:
        """Name a row."""
        cells = dict(self.lines)[row].values()
        mark = " †" if any(cell.shortened for cell in cells) else ""
        return f"{DATASETS[row.dataset].title} ({row.ratio}){mark}"

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

    def frame(self) -> pd.DataFrame:
        """Return the table as it is read."""
        columns = ["Data set", "Settings", *(METHODS[m] for m in self.methods)]
        return pd.DataFrame(
            [
                [
                    self.label(row),
                    ", ".join(self.settings(row)),
                    *(cells[m].text() for m in self.methods),
                ]
                for row, cells in self.lines
            ],
            columns=columns,
        )

    def records(self) -> list[dict[str, object]]:
        """Return one plain record for each cell."""
        return [
            _cell_record(row, method, cells[method])
            for row, cells in self.lines
            for method in self.methods
        ]

    def render(self, kind: str) -> str:
        """Write the table as ``md``, ``latex``, ``csv`` or ``json``."""
        if kind == "json":
            return json.dumps(self.records(), indent=2)
        if kind == "csv":
            records = pd.DataFrame(self.records())
            records["settings"] = records["settings"].map("; ".join)
            counts = records.pop("status")
            for status in ("finished", "queued", "running", "failed", "cancelled"):
                records[status] = [c.get(status, 0) for c in counts]
            return str(records.to_csv(index=False))
        frame = self.frame()
        notes = [self.caption, *self.footnotes]
        if kind == "md":
            frame = frame.map(lambda text: text.replace("|", r"\|"))
            return frame.to_markdown(index=False) + "\n\n" + "\n\n".join(notes) + "\n"
        escaped = frame.map(_latex)
        escaped.columns = pd.Index([_latex(c) for c in frame.columns])
        return str(
            escaped.to_latex(
                index=False, caption=_latex(" ".join(notes)), label="tab:results", position="htb"
            )
        )


def results(runs: Sequence[Run], recipes: Mapping[str, Recipe]) -> ResultsTable:
    """Make the table of results.

    Args:
        runs: the runs, in any state.
        recipes: recipe of each data set, in the order of the table.

    Raises:
        NothingToShowError: there are no runs.
    """
    if not runs:
        raise NothingToShowError(
            "There are no runs to show yet: train some first, e.g. dfgctl run digits."
        )
    lines = []
    for row, members in rows(runs, recipes).items():
        recipe = recipes[row.dataset]
        cells = {m: _cell([r for r in members if r.spec.method == m], recipe) for m in METHODS}
        lines.append((row, cells))
    shortened = any(cell.shortened for _, cells in lines for cell in cells.values())
    return ResultsTable(
        lines=lines,
        methods=tuple(METHODS),
        caption="Test accuracy in % after the last step: mean ± standard deviation (n runs, each "
        "with its own combination of majority classes or seed).",
        footnotes=_footnotes(runs, recipes, shortened),
    )


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
        "mean": summary.mean if summary else None,
        "std": summary.std if summary else None,
        "n": summary.n if summary else 0,
        "combinations": cell.combinations,
        "status": dict(cell.counts),
    }


def _cell(runs: Sequence[Run], recipe: Recipe) -> Cell:
    done = [run for run in runs if run.metrics is not None]
    status = Counter("finished" if run.metrics is not None else run.status for run in runs)
    values = [run.metrics.accuracy_last for run in done if run.metrics is not None]
    return Cell(
        summary=summarise(values) if values else None,
        combinations=len({run.spec.combination for run in done}),
        counts=dict(status),
        shortened=any(run.spec.steps < recipe.steps(run.spec.method) for run in runs),
    )


def _footnotes(
    runs: Sequence[Run], recipes: Mapping[str, Recipe], shortened: bool
) -> tuple[str, ...]:
    notes = []
    if shortened:
        notes.append("† Shortened with --steps: not what the recipe trains.")
    for name in recipes:
        short: dict[int, int] = {}
        wanted = 0
        for run in (r for r in runs if r.spec.dataset == name):
            majority = run.spec.combination or range(len(run.class_counts))
            kept = {c: run.class_counts[c] for c in majority}
            short.update({c: n for c, n in kept.items() if n < run.spec.majority_count})
            wanted = max(wanted, run.spec.majority_count)
        if short:
            classes = DATASETS[name].classes
            listed = ", ".join(f"{classes[c]} ({n:,})" for c, n in sorted(short.items()))
            notes.append(
                f"{DATASETS[name].title}: majority classes with fewer than {wanted:,} images keep "
                f"all they have: {listed}."
            )
        tuning = recipes[name].tuning
        pairs = {(tuple(c), s) for c in tuning.combinations for s in tuning.seeds} if tuning else ()
        used = [r for r in runs if r.spec.dataset == name and not r.spec.validation]
        if any((r.spec.combination, r.spec.seed) in pairs for r in used):
            notes.append(
                f"{DATASETS[name].title}: some of these (combination, seed) pairs served to choose "
                "the recipe's settings."
            )
    return tuple(notes)


_LATEX = {
    **{character: f"\\{character}" for character in "%_&#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
