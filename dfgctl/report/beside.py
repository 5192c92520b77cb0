"""The paper's numbers beside ours in the table of results (``--published``)."""

import math
from collections.abc import Iterable, Mapping, Sequence

from dfgctl.errors import InputError
from dfgctl.records import Run
from dfgctl.report import published
from dfgctl.report.cells import Cell
from dfgctl.report.groups import BALANCED, Row
from dfgctl.report.selection import Select, value_of
from dfgctl.report.statistics import Summary, points, summary_of
from dfgctl.report.verdicts import RELEASED, Judgement, assumed, judge, objections
from dfgctl.report.view import View

Lines = Sequence[tuple[Row, Mapping[str, Cell]]]


def judged(view: View) -> tuple[Select, ...]:
    """Return which accuracies are judged: the one asked for, else the last and the best."""
    return (view.select,) if view.select else (Select.last, Select.best)


def judgement(row: Row, method: str, runs: Sequence[Run], view: View) -> Judgement | None:
    """Set the paper's number beside a cell, and judge ours by it.

    Args:
        row: the cell's row.
        method: its method.
        runs: its runs, in any state.
        view: what is shown.

    Returns:
        None where the paper has no number, or where nothing is to be held against it: a cell
        without runs in a row of other settings than the recipe's.

    Raises:
        InputError: the margin is no number of points.
    """
    if not math.isfinite(view.margin):
        raise InputError(f"--margin {view.margin:g} is no number of points: take e.g. --margin 1.")
    number = published.accuracy(row.dataset, method, row.ratio)
    recipe = view.recipes[row.dataset]
    own = row.is_recipe() and row.source in (None, recipe.sources[0])
    if number is None or not (runs or own):
        return None
    majority = 0 if row.ratio == BALANCED else recipe.imbalance.majority
    paper_n = view.paper_n or published.repeats(majority)
    done = [run for run in runs if run.metrics is not None]
    found = objections(done, recipe) if done else ()
    verdicts = {}
    if not found or view.judge_all:
        paper = Summary(number.mean, number.std, paper_n)
        for select in judged(view):
            if ours := summary_of(value_of(run, select=select) for run in done):
                verdicts[select] = judge(ours, paper, view.margin)
    return Judgement(number, paper_n, verdicts, found)


def marked(row: Row, cells: Iterable[Cell]) -> bool:
    """Say whether a row has verdicts on the released code's reading."""
    return RELEASED in row.notes and any(c.judgement and c.judgement.verdicts for c in cells)


def gain_of(cell: Cell, row: Row) -> float | None:
    """Return the gain that section 5 states where a cell has the paper's number, in [0, 1]."""
    return published.gain(row.dataset) if cell.judgement else None


def caption(lines: Lines, view: View) -> list[str]:
    """Say how verdicts are reached; nothing where the paper's numbers are not shown."""
    shown = [j for _, cells in lines for j in _judgements(cells)]
    places = dict.fromkeys(j.number.place for j in shown)
    return [assumed(places, {j.paper_n for j in shown}, view.margin)] if shown else []


def notes(lines: Lines, titles: Mapping[str, str], mark: str) -> list[str]:
    """Say what holds for the paper's numbers that are shown, and where it has none.

    Args:
        lines: the table's rows, with a cell for each method.
        titles: the data sets' titles, by name.
        mark: what marks rows with verdicts on the released code's reading.
    """
    found: list[str] = []
    if any(marked(row, cells.values()) for row, cells in lines):
        found.append(
            f"{mark} Judged as the released code reads the paper, not as the paper does: see "
            "dfgctl ledger."
        )
    gains = {
        titles[row.dataset]: gain
        for row, cells in lines
        if cells["dfg"].judgement and (gain := published.gain(row.dataset)) is not None
    }
    if gains:
        listed = ", ".join(f"{title} {points(gain)}" for title, gain in gains.items())
        place = published.everything()["gains"]["place"]
        found.append(f"Gains of DFG over Original that the paper states ({place}): {listed}.")
    shown = [j.number for _, cells in lines for j in _judgements(cells)]
    found += dict.fromkeys(note for number in shown for note in number.footnotes)
    without = dict.fromkeys(
        f"{titles[row.dataset]} ({row.ratio})" for row, cells in lines if not _known(row, cells)
    )
    if without:
        found.append(f"The paper has no number for: {', '.join(without)}.")
    return found


def _judgements(cells: Mapping[str, Cell]) -> list[Judgement]:
    return [cell.judgement for cell in cells.values() if cell.judgement]


def _known(row: Row, methods: Iterable[str]) -> bool:
    return any(published.accuracy(row.dataset, m, row.ratio) for m in methods)
