"""The main finding: what to use, and where a method's mean is the best, and how surely."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfgctl.errors import NothingToShowError
from dfgctl.records import Run
from dfgctl.report.advice import advice
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.groups import Row, rows
from dfgctl.report.pairing import Paired, pair
from dfgctl.report.remake import Pair
from dfgctl.report.selection import ACCURACIES, require_any, shown_of, value_of
from dfgctl.report.statistics import Interval, Summary, points, summarise
from dfgctl.report.view import View

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
        paired: ours minus theirs, on the pairs that both have.
        others: how many other methods there are.
    """

    name: str
    row: str
    axis: str
    ours: Summary
    other: str
    theirs: Summary
    paired: Paired
    others: int

    def lead(self) -> float:
        """Return the difference of the means as they are shown, in points."""
        return round(100 * self.ours.mean, 2) - round(100 * self.theirs.mean, 2)

    def interval(self) -> Interval | None:
        """Return the 95 % interval (t) of the mean difference.

        Returns:
            None for fewer than two of them, and where all differences are equal.
        """
        if self.paired.n < 2 or np.ptp(self.paired.values) == 0:
            return None
        return self.paired.interval()

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
        n, unit = self.paired.n, "combination" if self.paired.stepped else "seed"
        if not n:
            return "They have no repeat in common, so nothing can be paired."
        mean = f"{points(self.paired.mean)} points"
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
        low, high = map(points, found)
        says = (
            "which holds 0, so that these runs do not tell them apart"
            if not self.excludes()
            else "which excludes 0"
        )
        return (
            f"On the {n} {unit}s that both have the mean difference is {mean}, "
            f"95 % interval {low} to {high}, {says}."
        )


def finding(view: View) -> tuple[Sequence[str], Sequence[str]]:
    """Say what to use, and then what the runs say of ``view.against``, in no more words than they.

    Returns:
        The sentences that come first, and those of single rows.
    """
    found, (first, singles) = advice(view), _of_one(view)
    behind = ["\n".join(choice.details()) for choice in found.choices]
    return (*found.answers(), *found.mind(), *first), (*behind, *singles)


def _of_one(view: View) -> tuple[Sequence[str], Sequence[str]]:
    """Say what the runs say of ``view.against``."""
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
        try:
            require_any(view.runs, view.select)
        except NothingToShowError as error:
            return (str(error),), ()
        return (
            f"No row has finished runs of {title} beside another method yet, so nothing can be "
            "said of it: dfgctl run trains all of the paper's on the same pairs.",
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
    ), tuple(" ".join(c.sentences(title)) for c in found)


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
    if any(c.paired.stepped for c in intervals):
        said.append("combinations share classes, which makes an interval too narrow")
    return (f"Mind that {', and that '.join(said)}.",) if said else ()


def _comparison(row: Row, members: Sequence[Run], view: View) -> Comparison | None:
    """Compare within a row; None where the method or all others have no accuracy."""
    values: dict[str, dict[Pair, float]] = {}
    for run in members:
        accuracy = value_of(run, select=view.select)
        if accuracy is not None:
            spec = run.spec
            values.setdefault(spec.contender, {})[spec.combination, spec.seed] = accuracy
    if view.against not in values or len(values) < 2:
        return None
    summaries = {method: summarise(list(own.values())) for method, own in values.items()}
    best = max((m for m in values if m != view.against), key=lambda m: summaries[m].mean)
    first = members[0]
    titles = method_titles(members)
    source = f"source {row.source}" if row.source else ""
    name = f"{title_of(first)} ({row.ratio})"
    return Comparison(
        name=name,
        row=", ".join(filter(None, [name, source, *row.notes])),
        axis=ACCURACIES[shown_of(first, view.select)].removesuffix(" (%)"),
        ours=summaries[view.against],
        other=titles[best],
        theirs=summaries[best],
        paired=pair(
            values[view.against], values[best], len(first.class_counts), first.spec.majority > 0
        ),
        others=len(values) - 1,
    )
