"""How much of the variance comes from the combination, and how much from the seed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dfgctl.records import Run
from dfgctl.report.cards import method_titles
from dfgctl.report.commands import command, contenders_of
from dfgctl.report.footnotes import footnotes
from dfgctl.report.groups import Row, rows
from dfgctl.report.results import ResultsTable, results
from dfgctl.report.selection import BEST_MARK, Select, require_values, shown_of, value_of
from dfgctl.report.selection import caption as caption_of
from dfgctl.report.statistics import Interval
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.variance import Components
from dfgctl.report.view import View
from dfgctl.templates import recipe_of

USES = frozenset({"metric", "select"})
"""Options of ``dfgctl table`` that change this table."""

REMEDIES = 3
"""Commands that are written below the table, at the most."""


@dataclass(frozen=True)
class Line:
    """A method's runs in a row.

    Attributes:
        row: what all its runs share.
        method: the method.
        parts: its values by combination.
        stepped: whether there are combinations.
        select: at which step they are.
        remedy: what to type where it cannot be told; empty where it can.
    """

    row: Row
    method: str
    parts: Components
    stepped: bool
    select: Select
    remedy: str

    @property
    def reason(self) -> str:
        """Why the two cannot be told apart; empty where they can."""
        if not self.stepped:
            return "no combinations"
        if self.parts.k < 2:
            return "one combination"
        if self.parts.within is None:
            return "cannot tell: one seed"
        return "" if self.parts.share is not None else "nothing varies"


def make(view: View) -> Table:
    """Make the table.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no run has finished, or none of those has the metric.
    """
    require_values(view.runs, view.metric, view.select)
    lines = [
        line
        for row, members in rows(view.runs, view.recipes).items()
        for method in method_titles(view.runs)
        if (line := _line(row, [r for r in members if r.spec.contender == method], view))
    ]
    base = results(replace(view, published=False))
    shown = {line.select for line in lines}
    caption = (
        f"{caption_of(shown, BEST_MARK, view.metric)}: standard deviations in points, of what the "
        "combination of majority classes does and of what the seed does (the images that are kept, "
        "first weights, batches), and the combination's share of the variance in % with its 95 % "
        "interval, from one-way random effects by the method of moments. n: runs, combinations × "
        "seeds."
    )
    return Table(
        name="spread",
        title="What the combination does, and what the seed does",
        columns=[
            *(Column("Method", "label"), Column("On", "detail"), Column("Combination")),
            *(Column("Seed"), Column("Share, %"), Column("95 % interval"), Column("n")),
        ],
        rows=[_cells(line, base) for line in lines],
        caption=caption,
        notes=_notes(lines, base, view),
        records=[_record(line, view) for line in lines],
    )


def _line(row: Row, runs: Sequence[Run], view: View) -> Line | None:
    groups: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for run in runs:
        value = value_of(run, view.metric, view.select)
        if value is not None:
            groups[run.spec.combination].append(value)
    if not groups:
        return None
    first = runs[0]
    select = shown_of(first, view.select, view.metric)
    stepped = first.spec.majority > 0
    parts = Components({c: groups[c] for c in sorted(groups)})
    remedy = _train(first, parts) if stepped else ""
    return Line(row, first.spec.contender, parts, stepped, select, remedy)


def _train(run: Run, parts: Components) -> str:
    """Return the command that trains each combination with a second seed."""
    if parts.k > 1 and parts.within is not None:
        return ""
    contender = contenders_of([run], [run.spec.contender], recipe_of(run.spec, run.card))
    listed = ";".join(",".join(map(str, c)) for c in parts.groups)
    which = f"--repeats {max(parts.k, 2)}"
    if 1 < parts.k <= 10:
        which = f'--combinations "{listed}"'
    return command(run, *contender, which, "--seeds 2")


def _cells(line: Line, base: ResultsTable) -> list[Cell]:
    parts = line.parts
    steps = base.shortened(line.row, line.method).values()
    names = [
        Cell([base.methods[line.method]]),
        Cell([base.label(line.row), *base.settings(line.row), *steps]),
    ]
    combination = line.reason or _points(parts.combination)
    below = parts.moments is not None and parts.moments < 0 and not line.reason
    sizes = sorted({len(values) for values in parts.groups.values()})
    seeds = str(sizes[0]) if parts.balanced else f"{sizes[0]}–{sizes[-1]}"
    told = not line.reason
    interval = parts.share_interval() if told else None
    return [
        *names,
        Cell([combination, *(["<0"] if below else [])], order=parts.combination),
        Cell([_points(parts.seed)] if parts.seed is not None else [], order=parts.seed),
        Cell([f"{100 * (parts.share or 0):.0f}"] if told else [], order=parts.share),
        Cell([_range(interval)] if told else []),
        Cell([str(parts.N), *([f"{parts.k}×{seeds}"] if line.stepped else [])], order=parts.N),
    ]


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _range(interval: Interval | None) -> str:
    return "–" if interval is None else f"[{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"


def _notes(lines: Sequence[Line], base: ResultsTable, view: View) -> list[str]:
    told = [line for line in lines if not line.reason]
    notes = []
    if told:
        least = min(line.parts.k for line in told)
        notes.append(
            f"With few combinations (here as few as {least}) and seeds the two are known only "
            "roughly, as the intervals say. They take values as normal, and combinations as "
            "independent, which they are not as they share classes."
        )
    if any((line.parts.moments or 0) < 0 for line in told):
        notes.append(
            "<0: combinations differ less than their seeds lead one to expect, so that the "
            "estimate of their variance is negative; it is shown as 0."
        )
    if any(not line.parts.balanced for line in told):
        notes.append(
            "Where combinations have not all as many seeds, an average number stands for them and "
            "the interval is approximate."
        )
    if any(line.parts.share_interval() is None for line in told):
        notes.append("No interval (–) where seeds make no difference at all.")
    if any(not line.stepped for line in lines):
        notes.append("Without majority classes there are no combinations: all of it is the seed's.")
    remedies = _remedies(lines, base)
    notes += [
        f"{', '.join(names)}: one combination, or one seed each, does not tell the two apart. "
        f"To tell: {remedy}"
        for remedy, names in list(remedies.items())[:REMEDIES]
    ]
    if len(remedies) > REMEDIES:
        notes.append(
            f"{len(remedies) - REMEDIES} more rows likewise: --format json has a command for each."
        )
    short = any(r.spec.steps < view.recipes[r.spec.dataset].steps_of(r.spec) for r in view.runs)
    return [*notes, *footnotes(view.runs, view.recipes, short)]


def _remedies(lines: Sequence[Line], base: ResultsTable) -> dict[str, list[str]]:
    """Gather the commands, those that differ in the method alone in one."""
    found: dict[str, list[str]] = defaultdict(list)
    options: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if not line.remedy:
            continue
        before, _, rest = line.remedy.partition(" --method ")
        method, _, after = rest.partition(" ")
        key = f"{before}{{}} {after}"
        where = ", ".join([base.label(line.row), *line.row.notes])
        found[key].append(f"{base.methods[line.method]} on {where}")
        options[key].append(f" --method {method}")
    return {key.format("".join(options[key])): names for key, names in found.items()}


def _record(line: Line, view: View) -> dict[str, object]:
    row, parts = line.row, line.parts
    share, seed = parts.share_interval(), parts.seed_interval()
    return {
        **row.record(),
        "method": line.method,
        "metric": view.metric.value,
        "select": line.select.value,
        "std_combination": parts.combination if line.stepped else None,
        "variance_combination": parts.moments if line.stepped else None,
        "std_seed": parts.seed,
        "std_seed_low": seed[0] if seed else None,
        "std_seed_high": seed[1] if seed else None,
        "share": parts.share if line.stepped else None,
        "share_low": share[0] if share else None,
        "share_high": share[1] if share else None,
        "n": parts.N,
        "combinations": parts.k if line.stepped else 0,
        "balanced": parts.balanced,
        "reason": line.reason,
        "remedy": line.remedy,
    }
