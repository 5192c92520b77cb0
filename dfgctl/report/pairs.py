"""One method against each other, on the same (combination, seed) pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl.contenders import METHODS
from dfgctl.data.imbalance import Ratio
from dfgctl.errors import NothingToShowError, UnknownNameError
from dfgctl.records import Run
from dfgctl.report.cards import method_titles
from dfgctl.report.commands import command, contenders_of
from dfgctl.report.footnotes import footnotes
from dfgctl.report.groups import Row, rows
from dfgctl.report.pairing import Paired, by_pair, holm, pair
from dfgctl.report.results import ResultsTable, results
from dfgctl.report.selection import BEST_MARK, Select, require_values, shown_of
from dfgctl.report.selection import caption as caption_of
from dfgctl.report.statistics import Interval, points
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES = frozenset({"metric", "select", "against"})
"""Options of ``dfgctl table`` that change this table."""


@dataclass(frozen=True)
class Test:
    """Wilcoxon's p of a comparison, whether it is exact, and Holm's."""

    p: float
    exact: bool
    holm: float


@dataclass(frozen=True)
class Line:
    """A comparison within a row.

    Attributes:
        row: what all its runs share.
        method: the other method.
        paired: the differences; None without any common pair.
        reason: why nothing, or not all, can be said; empty if all is.
        remedy: what to type for that.
    """

    row: Row
    method: str
    paired: Paired | None
    reason: str = ""
    remedy: str = ""


def make(view: View) -> Table:
    """Make the table.

    Raises:
        InputError: the metric is not kept for such a step.
        UnknownNameError: no method of the name of ``view.against`` has runs.
        NothingToShowError: one of the paper's has none, or no two methods have runs that can be
            compared.
    """
    require_values(view.runs, view.metric, view.select)
    known = sorted({run.spec.contender for run in view.runs})
    if view.against not in known:
        if view.against not in METHODS:
            raise UnknownNameError("method with runs", view.against, known)
        raise NothingToShowError(
            f"None of these runs is of {view.against}: train some, or name another method with "
            f"--against. There is: {', '.join(known)}."
        )
    titles = method_titles(view.runs)
    grouped = rows(view.runs, view.recipes)
    compared = {row: m for row, m in grouped.items() if _comparable(m, view.against)}
    if not compared:
        raise NothingToShowError(
            f"No runs of {view.against} and of another method differ in the method alone: train "
            f"some, e.g. {_example(view)}."
        )
    others = [m for m in titles if m != view.against]
    lines = [
        _line(row, members, method, view)
        for row, members in compared.items()
        for method in others
        if row.is_recipe() or any(run.spec.contender == method for run in members)
    ]
    return _table(view, lines, compared, len(grouped) - len(compared), titles)


def _example(view: View) -> str:
    """Return a command that trains the reference and another method."""
    first = next(run for run in view.runs if run.spec.contender == view.against)
    if view.against in METHODS:  # all of the paper's are trained unless others are asked for
        return command(first)
    # Original needs no source, which a rival's run may not name.
    names = contenders_of([first], [view.against, "original"], view.recipes[first.spec.dataset])
    return command(first, *names)


def _comparable(members: Sequence[Run], against: str) -> bool:
    methods = {run.spec.contender for run in members}
    return against in methods and len(methods) > 1


def _line(row: Row, members: Sequence[Run], method: str, view: View) -> Line:
    """Compare two methods within a row."""
    own = {
        name: by_pair([r for r in members if r.spec.contender == name], view.metric, view.select)
        for name in (view.against, method)
    }
    # Not all methods have a source, and the command must name it.
    first = next((run for run in members if run.spec.source is not None), members[0])
    for name in (view.against, method):
        if not own[name]:
            reason = _absence([run for run in members if run.spec.contender == name])
            reason = reason if name == method else f"{name}: {reason}"
            return Line(row, method, None, reason, _train(first, method, view))
    stepped = first.spec.majority > 0
    paired = pair(own[view.against], own[method], len(first.class_counts), stepped)
    remedy = _train(first, method, view)
    if not paired.n:
        return Line(row, method, None, "no common pairs", remedy)
    if paired.n == 1:
        unit = "combination" if stepped else "seed"
        return Line(row, method, paired, f"one {unit}", f"{remedy} --repeats 10")
    return Line(row, method, paired)


def _absence(runs: Sequence[Run]) -> str:
    """Say why a method has nothing to show."""
    if not runs:
        return "never planned"
    if any(run.metrics is not None for run in runs):
        return "no such value"
    counts = {s: sum(run.status == s for run in runs) for s in sorted({r.status for r in runs})}
    return ", ".join(f"{n} {status}" for status, n in counts.items())


def _train(run: Run, method: str, view: View) -> str:
    return command(
        run, *contenders_of(view.runs, [view.against, method], view.recipes[run.spec.dataset])
    )


def _table(
    view: View,
    lines: Sequence[Line],
    compared: Mapping[Row, Sequence[Run]],
    left_out: int,
    titles: Mapping[str, str],
) -> Table:
    tests = _tests(lines)
    # The names of rows are those of the table of results, so that they are found again there.
    runs = [run for members in compared.values() for run in members]
    base = results(replace(view, runs=runs, published=False))
    ours = titles[view.against]
    shown = {
        row: shown_of(members[0], view.select, view.metric) for row, members in compared.items()
    }
    shown_rows, records = [], []
    for line in lines:
        test = tests.get((line.row, line.method))
        label = base.label(line.row)
        if len(set(shown.values())) > 1 and BEST_MARK not in label:
            label += f" {BEST_MARK}" if shown[line.row] is Select.best else ""
        steps = base.shortened(line.row, view.against, line.method)
        where = [*base.settings(line.row), *(f"{titles[m]} {text}" for m, text in steps.items())]
        names = [Cell([titles[line.method]]), Cell([label, *where])]
        shown_rows.append([*names, *_cells(line, test)])
        records.append(_record(line, view, shown[line.row], test))
    value = caption_of(set(shown.values()), BEST_MARK, view.metric)
    many = f"{len(tests)} comparison{'s' * (len(tests) != 1)}"
    caption = (
        f"{value}: {ours} less the other method, in points, on the same (combination, seed) pairs; "
        f"above 0 {ours} is better. Seeds are averaged within a combination first; n counts "
        "combinations, or seeds where there are none. 95 % interval: Student's t. p: Wilcoxon "
        f"signed-rank, two-sided; then corrected for {many} (Holm)."
    )
    return Table(
        name="pairs",
        title=f"{ours} against each other method",
        columns=[
            *(Column("Against", "label"), Column("On", "detail")),
            *(Column("Difference"), Column("95 % interval"), Column("Jackknife")),
            *(Column("p"), Column("Wins, ties, losses"), Column("n")),
        ],
        rows=shown_rows,
        caption=caption,
        notes=_notes(view, lines, compared, left_out, base),
        records=records,
    )


def _tests(lines: Sequence[Line]) -> dict[tuple[Row, str], Test]:
    """Test each comparison of more than one unit, and correct for how many these are."""
    paired = {(line.row, line.method): line.paired for line in lines if line.paired is not None}
    found = {key: p.wilcoxon() for key, p in paired.items() if p.n > 1}
    corrected = holm([p for p, _ in found.values()])
    return {k: Test(*test, p) for (k, test), p in zip(found.items(), corrected, strict=True)}


def _cells(line: Line, test: Test | None) -> list[Cell]:
    paired = line.paired
    if paired is None:
        return [Cell([line.reason]), *[Cell([])] * 5]
    p = [line.reason]
    if test is not None:
        p = [f"{'' if test.exact else '≈'}{_p(test.p)}", f"Holm {_p(test.holm)}"]
    jackknife = _interval(paired.jackknife()) if paired.stepped else "–"
    more = [f"{paired.pairs} pairs"] if paired.pairs > paired.n else []
    wins, ties, losses = paired.tally
    return [
        Cell([points(paired.mean)], order=paired.mean),
        Cell([_interval(paired.interval())]),
        Cell([jackknife]),
        Cell(p, order=test.p if test else None),
        Cell([f"{wins}/{ties}/{losses}"], order=float(wins - losses)),
        Cell([str(paired.n), *more], order=float(paired.n)),
    ]


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"[{points(interval[0])}, {points(interval[1])}]"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _notes(
    view: View,
    lines: Sequence[Line],
    compared: Mapping[Row, Sequence[Run]],
    left_out: int,
    base: ResultsTable,
) -> list[str]:
    some = [line.paired for line in lines if line.paired is not None]
    notes = []
    if any(p.stepped for p in some):
        notes.append(
            "Combinations share classes and so are not independent: the t interval and p take them "
            "as if they were, and are too sure where single classes make the difference. The "
            "jackknife leaves out one class at a time with all combinations that contain it (as a "
            "minority class, where these are fewer); it errs on the wide side."
        )
    least = min((p.n for p in some if 1 < p.n < 6), default=None)
    if least is not None:
        notes.append(
            f"With {least} units p cannot be below {2 / 2**least:.3f}: 6 are needed for 0.05, and "
            "more after correction."
        )
    if any(p.n > 1 and not p.values.any() for p in some):
        notes.append("Where all differences are 0, p is 1.")
    if any(p.stepped and p.n > 1 and p.jackknife() is None for p in some):
        notes.append("No jackknife (–) where a class is in every combination.")
    if any(p.n > 1 and not p.wilcoxon()[1] for p in some):
        notes.append("≈: by the normal approximation, as there are many or equal differences.")
    notes += [
        f"{base.methods[line.method]} on {', '.join([base.label(line.row), *line.row.notes])}: "
        f"{line.reason}. "
        f"To have it: {line.remedy}"
        for line in lines
        if line.reason
    ]
    if left_out:
        notes.append(
            f"{left_out} more row{'s' * (left_out > 1)} of runs (dfgctl table) "
            f"{'have' if left_out > 1 else 'has'} nothing to be compared: runs are only where all "
            "but the method is alike."
        )
    runs = [run for members in compared.values() for run in members]
    short = any(r.spec.steps < view.recipes[r.spec.dataset].steps_of(r.spec) for r in runs)
    return [*notes, *footnotes(runs, view.recipes, short)]


def _record(line: Line, view: View, select: Select, test: Test | None) -> dict[str, object]:
    row, paired = line.row, line.paired
    interval = paired.interval() if paired else None
    jackknife = paired.jackknife() if paired else None
    wins, ties, losses = paired.tally if paired else (None, None, None)
    return {
        **row.record(),
        "against": view.against,
        "method": line.method,
        "metric": view.metric.value,
        "select": select.value,
        "difference": paired.mean if paired else None,
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
        "jackknife_low": jackknife[0] if jackknife else None,
        "jackknife_high": jackknife[1] if jackknife else None,
        "p": test.p if test else None,
        "p_exact": test.exact if test else None,
        "p_holm": test.holm if test else None,
        "wins": wins,
        "ties": ties,
        "losses": losses,
        "units": paired.n if paired else 0,
        "unit": "combination" if Ratio.parse(row.ratio).value > 1 else "seed",
        "pairs": paired.pairs if paired else 0,
        "reason": line.reason,
        "remedy": line.remedy,
    }
