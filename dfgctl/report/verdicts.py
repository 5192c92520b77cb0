"""Verdicts: whether what was measured is what the paper prints.

A verdict rests on Welch intervals of ours minus the paper's, both as means, standard deviations
and numbers of runs. Its two tests are those of equivalence (two one-sided tests at 5 %, which is a
90 % interval within the margin: Schuirmann, J. Pharmacokinet. Biopharm. 1987) and of a difference
larger than the margin (a 95 % interval outside it).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.groups import row_of
from dfgctl.report.published import Number
from dfgctl.report.selection import Select
from dfgctl.report.statistics import Interval, Summary, points, welch

FEWEST = 5
"""Runs of ours below which there is no verdict."""

RELEASED = "protocol released"
"""The one departure from a recipe that is judged: as a reading of its own, and marked."""


class Word(StrEnum):
    """What a verdict says."""

    reproduced = "reproduced"
    differs = "differs"
    unclear = "unclear"
    too_few = "too few runs"


@dataclass(frozen=True)
class Verdict:
    """How a mean of ours stands to the paper's.

    Attributes:
        word: what is said.
        ours: what was measured.
        difference: ours minus the paper's, in [-1, 1].
        within: its 90 % Welch interval; None for one run of ours.
        outside: its 95 % Welch interval; likewise.
    """

    word: Word
    ours: Summary
    difference: float
    within: Interval | None
    outside: Interval | None

    def text(self) -> str:
        """Write the difference in points and the word, or the word alone for too few runs."""
        if self.word is Word.too_few:
            return self.word.value
        return f"{points(self.difference)} {self.word.value}"


def judge(ours: Summary, paper: Summary, margin: float) -> Verdict:
    """Judge a mean of ours by the paper's.

    Args:
        ours: mean and standard deviation of ours, in [0, 1].
        paper: the paper's, with the number of runs that is assumed behind it.
        margin: by how much two means may differ and count as equal, in points.
    """
    m = margin / 100
    difference = ours.mean - paper.mean
    within, outside = welch(ours, paper, 0.90), welch(ours, paper, 0.95)
    if ours.n < FEWEST or within is None or outside is None:
        word = Word.too_few
    elif -m <= within[0] and within[1] <= m:
        word = Word.reproduced
    elif outside[0] > m or outside[1] < -m:
        word = Word.differs
    else:
        word = Word.unclear
    return Verdict(word, ours, difference, within, outside)


def objections(runs: Sequence[Run], recipe: Recipe) -> tuple[str, ...]:
    """Say why finished runs are not what the paper describes; empty where they are.

    Args:
        runs: a cell's finished runs, at least one, which share all but combination and seed.
        recipe: their recipe; its first source is the one that the paper used.
    """
    row = row_of(runs[0], recipe)
    found = [f"source {row.source}"] if row.source not in (None, recipe.sources[0]) else []
    found += [note for note in row.notes if note != RELEASED]
    if dirty := sum(run.dirty is True for run in runs):
        found.append(f"{dirty} of {len(runs)} runs from a dirty tree")
    return tuple(found)


@dataclass(frozen=True)
class Judgement:
    """The paper's number beside a cell, and what is said of it.

    Attributes:
        number: what the paper prints.
        paper_n: how many runs are assumed behind it.
        verdicts: the verdicts, by which accuracy of ours is judged; empty where none is given.
        objections: what makes our runs others than the paper's.
    """

    number: Number
    paper_n: int
    verdicts: Mapping[Select, Verdict]
    objections: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Write the paper's number, the verdicts, and why there are none."""
        paper = Summary(self.number.mean, self.number.std, self.paper_n)
        lines = [f"paper {paper.text()}"]
        texts = {select: verdict.text() for select, verdict in self.verdicts.items()}
        if len(set(texts.values())) == 1 and (
            len(texts) == 1 or Word.too_few.value in texts.values()
        ):
            lines += set(texts.values())
        else:
            lines += [f"{select.value}: {text}" for select, text in texts.items()]
        if self.objections:
            word = "despite" if texts else "no verdict"
            lines.append(f"{word}: {', '.join(self.objections)}")
        return lines


def judgement_record(found: Judgement | None, selects: Sequence[Select]) -> dict[str, object]:
    """Return the paper's number and the verdicts as a flat record, the same keys for every cell."""
    number = found.number if found else None
    record: dict[str, object] = {
        "paper_mean": number.mean if number else None,
        "paper_std": number.std if number else None,
        "paper_n": found.paper_n if found else None,
        "paper_place": number.place if number else None,
        "objections": list(found.objections) if found else [],
    }
    for select in selects:
        verdict = found.verdicts.get(select) if found else None
        low, high = (verdict and verdict.within) or (None, None)
        lower, higher = (verdict and verdict.outside) or (None, None)
        own = {
            "verdict": verdict.word.value if verdict else None,
            "ours": verdict.ours.mean if verdict else None,
            "ours_std": verdict.ours.std if verdict else None,
            "difference": verdict.difference if verdict else None,
            "low_90": low,
            "high_90": high,
            "low_95": lower,
            "high_95": higher,
        }
        record |= {f"{key}_{select.value}": value for key, value in own.items()}
    return record


def assumed(places: Collection[str], behind: Collection[int], margin: float) -> str:
    """Say where the paper's numbers stand, how verdicts are reached, and what is assumed.

    Args:
        places: where they stand.
        behind: how many runs are assumed behind the paper's numbers that are shown.
        margin: the margin in points.
    """
    runs = " or ".join(str(n) for n in sorted(set(behind), reverse=True))
    return (
        f"Paper: its number ({', '.join(places)}). Below it ours minus the paper's in points, and "
        "a verdict from Welch intervals of that difference: reproduced where the 90 % interval "
        f"lies within ±{margin:g} (two one-sided tests), differs where the 95 % interval lies "
        f"wholly outside ±{margin:g}, unclear otherwise, too few runs below {FEWEST}. Assumed: the "
        f"paper's ± is a standard deviation over {runs} runs, and runs are independent, although "
        "combinations share classes. The paper does not say whether it reports the last step or "
        "the best (F14)."
    )
