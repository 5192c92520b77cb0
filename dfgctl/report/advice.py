"""What to use: which contenders runs do not tell from the best, and which of those is cheapest."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfgctl.records import Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.groups import TUNED, Row, rows
from dfgctl.report.names import listed, seconds_text
from dfgctl.report.pairing import Paired, holm, pair
from dfgctl.report.remake import Pair
from dfgctl.report.selection import Metric, Select, shown_of, value_of
from dfgctl.report.statistics import Summary, points, summarise
from dfgctl.report.view import View

LEVEL = 0.05
"""Probability of error at which contenders are told apart."""

ENOUGH = 10
"""Repeats that are asked for where fewer tell nothing apart."""

ACCURACIES = {
    Select.last: "test accuracy after the last step",
    Select.best: "best test accuracy of all evaluations, which looks at the test set",
    Select.val: "test accuracy at the step that validation chose",
}
WHAT = {
    Metric.balanced: "balanced test accuracy",
    Metric.f1: "macro F1",
    Metric.gmean: "G-mean",
    Metric.minority: "recall of the minority classes",
    Metric.majority: "recall of the majority classes",
}
"""What is compared, in the middle of a sentence."""


@dataclass(frozen=True)
class Rival:
    """A contender beside the best of its row.

    Attributes:
        title: what tables call it.
        summary: what its runs reached, in [0, 1].
        paired: its differences from the best, on the pairs that both have.
        p: of the paired t test, corrected for all comparisons of the row (Holm); None without two
            different differences.
    """

    title: str
    summary: Summary
    paired: Paired
    p: float | None

    @property
    def apart(self) -> bool:
        """Whether its runs tell it from the best: on the pairs of both it is below.

        Where not all have the same repeats, one whose own mean is lower can be above.
        """
        return self.p is not None and self.p < LEVEL and self.paired.mean < 0


@dataclass(frozen=True)
class Choice:
    """What the runs of a row say of what to use.

    Attributes:
        name: the row in words.
        what: what is compared.
        best: the title of the contender with the highest mean.
        summary: what it reached.
        rivals: all others, the highest mean first.
        seconds: training seconds of a run on one device that has trained all that are not told from
            the best, by title; empty without such a device.
        device: that device.
        stepped: whether repeats are combinations.
    """

    name: str
    what: str
    best: str
    summary: Summary
    rivals: Sequence[Rival]
    seconds: Mapping[str, Summary]
    device: str
    stepped: bool

    @property
    def near(self) -> list[Rival]:
        """Those that the runs do not tell from the best."""
        return [rival for rival in self.rivals if not rival.apart]

    def cheapest(self) -> str:
        """Return the title of the cheapest of the best and those near; empty if not known."""
        if not self.seconds:
            return ""
        near = [self.best, *(rival.title for rival in self.near)]
        return min(near, key=lambda title: self.seconds[title].mean)

    def answer(self) -> str:
        """Say in a sentence what to use."""
        count, near = len(self.rivals) + 1, self.near
        if not near:
            others = "the other method" if count == 2 else f"all {count - 1} other methods"
            return (
                f"{self.name}: use {self.best}, which these runs tell from {others} at 95 % "
                f"({self.what} {self.summary.text()} %, n = {self.summary.n})."
            )
        units = [rival.paired.n for rival in near]
        least, most = min(units), max(units)
        if len(near) == count - 1 and least < ENOUGH:
            repeats = f"{least} to {most}" if least < most else str(most)
            repeats += " repeat tells" if least == most == 1 else " repeats tell"
            group = f"{self.name}: {repeats} nothing apart among {count} methods"
        else:
            names = listed([rival.title for rival in near])
            group = f"{self.name}: {self.best} is the best; not told from it at 95 %: {names}"
        more = f" To tell more: --repeats {ENOUGH}." if least < ENOUGH else ""
        chosen = self.cheapest()
        if not chosen:
            return (
                f"{group}; which of them is the cheapest is not known, as no device has trained "
                f"all of them.{more}"
            )
        summaries = {self.best: self.summary} | {r.title: r.summary for r in near}
        took, reached = self.seconds[chosen], summaries[chosen]
        return (
            f"{group}; the cheapest of them is {chosen}, {_seconds(took)} a run on {self.device}, "
            f"with {reached.text()} % (n = {reached.n}).{more}"
        )

    def details(self) -> list[str]:
        """Say by how much each other one is below the best, and what it takes: a line each."""
        took = self.seconds.get(self.best)
        time = f", {_seconds(took)} a run" if took else ""
        lines = [
            f"{self.name}, {self.what}: {self.best} {self.summary.text()} % "
            f"(n = {self.summary.n}{time}) is the highest mean."
        ]
        for apart, start in ((False, "Not told from it"), (True, "Told from it")):
            some = [self._beside(rival) for rival in self.rivals if rival.apart is apart]
            lines += [f"{start}:", *(f"  {line}" for line in some)] if some else []
        return lines

    def _beside(self, rival: Rival) -> str:
        if not rival.paired.n:
            return f"{rival.title}: {rival.summary.text()} %, no repeat in common"
        parts = [f"{points(rival.paired.mean)} points"]
        interval = rival.paired.interval()
        if interval and rival.p is not None:
            low, high = map(points, interval)
            parts = [f"{parts[0]} [{low}, {high}]", f"p {_p(rival.p)}"]
        parts.append(f"n = {rival.paired.n}")
        if took := self.seconds.get(rival.title):
            parts.append(f"{_seconds(took)} a run")
        return f"{rival.title}: {', '.join(parts)}"


@dataclass(frozen=True)
class Advice:
    """What the runs of each row say of what to use; empty where no row has two contenders."""

    choices: Sequence[Choice]

    def answers(self) -> list[str]:
        """Return a sentence for each row."""
        return [choice.answer() for choice in self.choices]

    def details(self) -> list[str]:
        """Return the numbers behind each, a line for each contender."""
        return [line for choice in self.choices for line in choice.details()]

    def mind(self) -> list[str]:
        """Say what makes the answers less sure than they look."""
        if not self.choices:
            return []
        shown = any(rival.p is not None for choice in self.choices for rival in choice.rivals)
        said = (
            "Told apart: by t tests of the differences to the best on the (combination, seed) "
            "pairs that both have, corrected for all comparisons of a row (Holm"
            f"{'; the 95 % intervals are not' if shown else ''}). The best was chosen by these "
            "very runs, which flatters it"
        )
        if any(choice.stepped for choice in self.choices):
            said += ", and combinations share classes, which makes tests too sure"
        return [f"{said}."]

    def sentences(self) -> list[str]:
        """Return all of it, the answers first."""
        return [*self.answers(), *self.details(), *self.mind()]


def advice(view: View) -> Advice:
    """Find what the runs say of what to use, in each row of a recipe's own or of tuned settings.

    Where no such row has finished runs of two contenders, other rows are taken. Rows with the
    recipe's own imbalance come first.
    """
    every = {
        row: found
        for row, members in rows(view.runs, view.recipes).items()
        if (found := _choice(row, members, view))
    }
    usual = {row: found for row, found in every.items() if _is_usual(row)} or every
    first = sorted(usual, key=lambda r: r.ratio != view.recipes[r.dataset].imbalance.ratio)
    return Advice([usual[row] for row in first])


def _is_usual(row: Row) -> bool:
    return all(TUNED.fullmatch(note) for note in row.notes)


def _choice(row: Row, members: Sequence[Run], view: View) -> Choice | None:
    """Compare the contenders of a row with the best; None where fewer than two have values."""
    values: dict[str, dict[Pair, float]] = defaultdict(dict)
    for run in members:
        value = value_of(run, view.metric, _select(view))
        if value is not None:
            values[run.spec.contender][run.spec.combination, run.spec.seed] = value
    if len(values) < 2:
        return None
    first, titles = members[0], method_titles(members)
    summaries = {name: summarise(list(own.values())) for name, own in values.items()}
    order = sorted(values, key=lambda name: -summaries[name].mean)
    best, *others = order
    stepped = first.spec.majority > 0
    pairs = {m: pair(values[m], values[best], len(first.class_counts), stepped) for m in others}
    tests = {m: p for m, own in pairs.items() if (p := own.t_test()) is not None}
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
    rivals = [Rival(titles[m], summaries[m], pairs[m], corrected.get(m)) for m in others]
    near = [best, *(m for m, rival in zip(others, rivals, strict=True) if not rival.apart)]
    device, seconds = _on_one_device(members, near)
    what = WHAT.get(view.metric) or ACCURACIES[shown_of(first, view.select)]
    source = f"source {row.source}" if row.source else ""
    return Choice(
        name=", ".join(filter(None, [f"{title_of(first)} ({row.ratio})", source, *row.notes])),
        what=what,
        best=titles[best],
        summary=summaries[best],
        rivals=rivals,
        seconds={titles[m]: took for m, took in seconds.items()},
        device=device,
        stepped=stepped,
    )


def _select(view: View) -> Select | None:
    return view.select if view.metric is Metric.accuracy else None


def _on_one_device(members: Sequence[Run], names: Sequence[str]) -> tuple[str, dict[str, Summary]]:
    """Return the device that has trained all of some contenders, and the seconds of a run of each.

    Of several devices that with most runs; without one, nothing. A run takes less time in a larger
    pack: those of all sizes are taken together only where no single size has all contenders.
    """
    taken: dict[tuple[str, int | None], dict[str, list[float]]] = {}
    for run in members:
        if run.metrics is not None:
            device, seconds = str(run.result_device), run.metrics.train_seconds
            for place in ((device, run.pack_size or 0), (device, None)):
                own = taken.setdefault(place, {})
                own.setdefault(run.spec.contender, []).append(seconds)
    whole = {place: own for place, own in taken.items() if own.keys() >= set(names)}
    if not whole:
        return "", {}
    alike = {place: own for place, own in whole.items() if place[1] is not None}
    device, pack = max(alike or whole, key=lambda place: sum(map(len, whole[place].values())))
    seconds_of = {name: summarise(own) for name, own in whole[device, pack].items()}
    return device if alike else f"{device} (packs of several sizes)", seconds_of


def _seconds(took: Summary) -> str:
    return seconds_text(took.mean)


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
