"""The main finding in a sentence or two: where a method's mean is the best, and how surely."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfgctl.records import Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.groups import Row, rows
from dfgctl.report.selection import ACCURACIES, accuracy_of, shown_of
from dfgctl.report.statistics import Summary, summarise
from dfgctl.report.view import View

Values = Mapping[tuple[tuple[int, ...], int], Sequence[float]]
"""Accuracies, in [0, 1], at each pair of a combination and a seed."""

ROUNDING = 1e-9
"""Points by which equal differences may come out unequal."""

NAMED = 4
"""Rows that are named at the most."""


@dataclass(frozen=True)
class Comparison:
    """A method beside the best of the others in one row.

    Attributes:
        name: the row's data set and imbalance.
        row: the row, in words, with its source and settings.
        axis: which accuracies they are.
        ours: the method's.
        other: the best other's title.
        theirs: its accuracies.
        differences: ours minus theirs in points, on the combinations that both have (seeds
            averaged), or the seeds where there are none.
        others: how many other methods there are.
        shared: whether these are combinations, which share classes.
    """

    name: str
    row: str
    axis: str
    ours: Summary
    other: str
    theirs: Summary
    differences: Sequence[float]
    others: int
    shared: bool

    def lead(self) -> float:
        """Return the difference of the means as they are shown, in points."""
        return round(100 * self.ours.mean, 2) - round(100 * self.theirs.mean, 2)

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval (t) of the mean difference, in points.

        Returns:
            None for fewer than two of them, and where all differences are equal.
        """
        from scipy import stats

        if len(self.differences) < 2 or np.ptp(self.differences) < ROUNDING:
            return None
        found = stats.ttest_1samp(self.differences, 0).confidence_interval(0.95)
        return float(found.low), float(found.high)

    def excludes(self) -> int:
        """Return 1 or -1 if the interval lies above or below 0, and 0 if it holds 0 or is none."""
        low, high = self.interval() or (0.0, 0.0)
        return 1 if low > 0 else -1 if high < 0 else 0

    def sentences(self, title: str) -> tuple[str, str]:
        """Write what the means are, and what the pairs say."""
        means = f"{self.ours.text()} % (n = {self.ours.n})"
        others = f"{self.theirs.text()} % (n = {self.theirs.n})"
        lead = self.lead()
        if lead > 0:
            place = f"the highest mean of its row; the next is {self.other}, {others}"
        elif lead < 0:
            place = f"below the highest mean of its row, that of {self.other}, {others}"
        else:
            place = f"as high as {self.other}, {others}, the highest of the other methods"
        return f"{self.row}: {title} {means}, {self.axis}, is {place}.", self._paired()

    def _paired(self) -> str:
        n, unit = len(self.differences), "combination" if self.shared else "seed"
        if not n:
            return "They have no repeat in common, so nothing can be paired."
        mean = f"{np.mean(self.differences):+.2f} points"
        if n == 1:
            return (
                f"On the one {unit} that both have the difference is {mean}, which says nothing of "
                "chance."
            )
        found = self.interval()
        if found is None:
            return (
                f"On each of the {n} {unit}s that both have the difference is {mean}, without any "
                "spread."
            )
        low, high = found
        says = (
            "which holds 0, so that these runs do not tell them apart"
            if not self.excludes()
            else "which excludes 0"
        )
        return (
            f"On the {n} {unit}s that both have the mean difference is {mean}, "
            f"95 % interval {low:+.2f} to {high:+.2f}, {says}."
        )


def finding(view: View) -> tuple[Sequence[str], Sequence[str]]:
    """Say what the runs say of ``view.against``, in never more words than they do.

    Returns:
        The sentences that come first, and those of single rows.
    """
    titles = method_titles(view.runs)
    title = titles.get(view.against, view.against)
    grouped = rows(view.runs, view.recipes)
    every = [(row, _comparison(row, members, view)) for row, members in grouped.items()]
    usual = [found for row, found in every if found and row.is_recipe()]
    found = usual or [found for _, found in every if found]
    which = (
        " of the recipes' own settings" if len(found) < sum(map(bool, dict(every).values())) else ""
    )
    if not found:
        return (
            f"No row has finished runs of {title} beside another method yet, so nothing can be "
            "said of it: dfgctl run trains all methods on the same pairs.",
        ), ()
    if len(found) == 1:
        return (*found[0].sentences(title), *_caution(found)), ()
    ahead = [c for c in found if c.lead() > 0]
    above, below, neither = ([c for c in found if c.excludes() == sign] for sign in (1, -1, 0))
    return (
        f"{title} has the highest mean of its row in {_named(ahead, found)} of the {len(found)} "
        f"rows{which} that have it beside another method.",
        "The 95 % interval of its paired difference to the best other method lies above 0 in "
        f"{_named(above, found)}, below 0 in {_named(below, found)}, and does neither in "
        f"{_named(neither, found)}.",
        *_caution(found),
    ), [" ".join(c.sentences(title)) for c in found]


def _named(some: Sequence[Comparison], found: Sequence[Comparison]) -> str:
    """Write how many rows, and which where they are few."""
    if not some or len(some) > NAMED:
        return str(len(some) or "none")
    names = Counter(c.name for c in found)
    return f"{len(some)} ({'; '.join(c.name if names[c.name] == 1 else c.row for c in some)})"


def _caution(found: Sequence[Comparison]) -> tuple[str, ...]:
    """Say what makes the intervals less sure than they look."""
    intervals = [c for c in found if c.interval()]
    said = []
    if any(c.others > 1 for c in intervals):
        said.append("the best other method was chosen by these very runs, which flatters it")
    if any(c.shared for c in intervals):
        said.append("combinations share classes, which makes an interval too narrow")
    return (f"Mind that {', and that '.join(said)}.",) if said else ()


def _comparison(row: Row, members: Sequence[Run], view: View) -> Comparison | None:
    """Compare within a row; None where the method or all others have no accuracy."""
    shown = shown_of(members[0], view.select)
    values: dict[str, dict[tuple[tuple[int, ...], int], list[float]]] = {}
    for run in members:
        accuracy = accuracy_of(run, shown)
        if accuracy is not None:
            spec = run.spec
            pairs = values.setdefault(spec.method, {})
            pairs.setdefault((spec.combination, spec.seed), []).append(accuracy)
    if view.against not in values or len(values) < 2:
        return None
    summaries = {m: summarise([a for own in v.values() for a in own]) for m, v in values.items()}
    best = max((m for m in values if m != view.against), key=lambda m: summaries[m].mean)
    titles = method_titles(members)
    source = f"source {row.source}" if row.source else ""
    name = f"{title_of(members[0])} ({row.ratio})"
    return Comparison(
        name=name,
        row=", ".join(filter(None, [name, source, *row.notes])),
        axis=ACCURACIES[shown].removesuffix(" (%)"),
        ours=summaries[view.against],
        other=titles[best],
        theirs=summaries[best],
        differences=_differences(values[view.against], values[best]),
        others=len(values) - 1,
        shared=bool(members[0].spec.combination),
    )


def _differences(ours: Values, theirs: Values) -> list[float]:
    """Return the differences on common pairs in points, the seeds of a combination averaged."""
    found: dict[tuple[int, ...], list[float]] = {}
    for pair in ours.keys() & theirs.keys():
        combination, seed = pair
        unit = combination or (seed,)  # without majority classes, seeds are the repeats
        found.setdefault(unit, []).append(100 * float(np.mean(ours[pair]) - np.mean(theirs[pair])))
    return [float(np.mean(found[unit])) for unit in sorted(found)]
