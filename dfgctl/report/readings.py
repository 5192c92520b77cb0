"""Compares readings of the ledger: the paper's against others, on the same pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl.data.imbalance import Ratio
from dfgctl.ledger import PAPER, RELEASED, readings_of
from dfgctl.recipe import Recipe
from dfgctl.records import Run, canonical
from dfgctl.report.cards import method_titles
from dfgctl.report.groups import Row, row_of
from dfgctl.report.pairing import Paired, by_pair, pair
from dfgctl.report.selection import Select, reading_of, value_of
from dfgctl.report.statistics import Summary, summary_of

Selects = tuple[Select, Select]
"""Which accuracy is shown of the paper's reading and of the other."""


@dataclass(frozen=True)
class Reading:
    """How runs read the ledger: a protocol, and single switches that depart from it."""

    protocol: str
    single: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """Name it in a line."""
        named = [f"{switch}={reading}" for switch, reading in self.single]
        return ", ".join([f"protocol {self.protocol}", *named] if self.protocol != PAPER else named)


@dataclass(frozen=True)
class Comparison:
    """A method's runs by the paper's reading and by another, all else equal.

    Attributes:
        row: what they share; its notes are departures from the recipe but for the readings.
        shortened: whether they have fewer steps than the recipe.
        paper: the runs of the paper's reading.
        other: those of the other.
        reading: the other reading.
        selects: which accuracies they are.
        means: their summaries; None where no run has such an accuracy.
        difference: the other's accuracies less the paper's; None without common pairs.
    """

    row: Row
    shortened: bool
    paper: Sequence[Run]
    other: Sequence[Run]
    reading: Reading
    selects: Selects
    means: tuple[Summary | None, Summary | None]
    difference: Paired | None


def comparisons(
    runs: Sequence[Run], recipes: Mapping[str, Recipe], select: Select | None = None
) -> list[Comparison]:
    """Compare finished runs whose specs differ in nothing but readings, combination and seed.

    Where two readings report other accuracies (F14), they are compared by their own and, once more,
    by their last. Runs whose source network the reading changes (F09, F27) are compared, too.

    Args:
        runs: the runs, in any state.
        recipes: recipe of each data set, in the order in which they are shown.
        select: which accuracy is compared; None for those of the readings.
    """
    alike: dict[str, dict[tuple[Reading, str | None], list[Run]]] = {}
    for run in runs:
        if run.metrics is not None:
            key = reading(run), run.spec.source_identity
            alike.setdefault(_but_reading(run), {}).setdefault(key, []).append(run)
    found = []
    for readings in alike.values():
        papers = {network: own for (kind, network), own in readings.items() if not kind.text()}
        if not papers:
            continue
        for (kind, network), other in readings.items():
            if kind.text():
                paper = papers.get(network) or max(papers.values(), key=len)
                found += _compared(paper, other, kind, recipes, select)
    datasets, methods = list(recipes), list(method_titles(runs))
    return sorted(
        found,
        key=lambda c: (
            datasets.index(c.row.dataset),
            Ratio.parse(c.row.ratio).value,
            c.row.notes,
            c.row.source or "",
            methods.index(c.paper[0].spec.contender),
            c.reading.protocol != RELEASED,
            c.reading.single,
        ),
    )


def reading(run: Run) -> Reading:
    """Return how a run reads the ledger, as far as that touches it."""
    if not readings_of(run.spec).released:
        return Reading(PAPER, ())
    single = run.spec.settings.get("fidelity", {})
    return Reading(run.spec.protocol, tuple(sorted(single.items())))


def _but_reading(run: Run) -> str:
    """Return what runs share that differ in nothing but reading, combination and seed."""
    settings = {n: v for n, v in run.spec.settings.items() if n != "fidelity"}
    free = {"protocol": PAPER, "source_identity": None, "combination": (), "seed": 0}
    return canonical(vars(replace(run.spec, settings=settings, **free)))  # type: ignore[arg-type]


def _compared(
    paper: Sequence[Run],
    other: Sequence[Run],
    kind: Reading,
    recipes: Mapping[str, Recipe],
    select: Select | None,
) -> list[Comparison]:
    own = reading_of(paper[0]), reading_of(other[0])
    chosen = [own] if select is None else [(select, select)]
    if select is None and own[0] is not own[1]:
        chosen.append((Select.last, Select.last))
    spec = paper[0].spec
    recipe = recipes[spec.dataset]
    row = row_of(paper[0], recipe)
    return [
        Comparison(
            row=row,
            shortened=spec.steps < recipe.steps_of(spec),
            paper=paper,
            other=other,
            reading=kind,
            selects=selects,
            means=(_mean(paper, selects[0]), _mean(other, selects[1])),
            difference=_difference(paper, other, selects),
        )
        for selects in chosen
    ]


def _mean(runs: Sequence[Run], select: Select) -> Summary | None:
    return summary_of(value_of(run, select=select) for run in runs)


def _difference(paper: Sequence[Run], other: Sequence[Run], selects: Selects) -> Paired | None:
    """Subtract the paper's accuracies from the other's on common pairs; None without any."""
    first = paper[0]
    paired = pair(
        by_pair(other, select=selects[1]),
        by_pair(paper, select=selects[0]),
        classes=len(first.class_counts),
        stepped=first.spec.majority > 0,
    )
    return paired if paired.n else None
