"""Accuracy for each combination of majority classes, and why some have none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from dfgctl.errors import NothingToShowError
from dfgctl.records import AS_IS
from dfgctl.report.cards import classes_of
from dfgctl.report.choosing import Chosen
from dfgctl.report.commands import data_of
from dfgctl.report.selection import Select, require_any, shown_of, value_of
from dfgctl.report.statistics import summarise

if TYPE_CHECKING:
    import pandas as pd

Combination = tuple[int, ...]

REASONS = ("running", "queued", "failed", "cancelled", "never planned")
"""Why a combination has no accuracy; of several runs' the first one counts."""


@dataclass(frozen=True)
class Combinations:
    """Accuracies by combination.

    Attributes:
        means: mean accuracy over the seeds, in [0, 1], of each combination that has one.
        seeds: how many seeds each has.
        missing: why others that were planned have none.
        total: how many combinations there are.
        majority: majority classes of a combination.
        classes: the classes' names.
        select: which accuracies they are.
        table: a row for each run.
    """

    means: Mapping[Combination, float]
    seeds: Mapping[Combination, int]
    missing: Mapping[Combination, str]
    total: int
    majority: int
    classes: Sequence[str]
    select: Select
    table: "pd.DataFrame"


def combinations(chosen: Chosen, select: Select | None = None) -> Combinations:
    """Collect a method's accuracies by combination; seeds are averaged.

    Args:
        chosen: the runs of one row and one method.
        select: which accuracy; None for that of the runs' own reading (F14).

    Raises:
        NothingToShowError: the runs have no majority classes, or no such accuracy.
    """
    import pandas as pd

    first = chosen.runs[0]
    majority, classes = first.spec.majority, classes_of(first)
    require_any(chosen.runs, select)
    if not first.spec.combination:
        why = "is taken as it is" if first.spec.ratio == AS_IS else "is balanced"
        raise NothingToShowError(
            f"{chosen.title} {why} in these runs, so there are no majority classes to compare: "
            f"train with some, e.g. dfgctl run {data_of(chosen.recipe)} --imbalance 10:1 "
            f"--majority 2 --method {first.spec.method}"
        )
    found: dict[Combination, list[float]] = {}
    rows = []
    for run in chosen.runs:
        accuracy = value_of(run, select=select)
        if accuracy is None:
            continue
        found.setdefault(run.spec.combination, []).append(accuracy)
        names = " + ".join(classes[c] for c in run.spec.combination)
        written = " ".join(map(str, run.spec.combination))
        rows.append((written, names, run.spec.seed, accuracy, run.id))
    missing: dict[Combination, str] = {}
    for run in chosen.unfinished:
        known = missing.get(run.spec.combination)
        if run.spec.combination not in found and (
            known is None or REASONS.index(run.status) < REASONS.index(known)
        ):
            missing[run.spec.combination] = run.status
    columns = ["combination", "classes", "seed", "accuracy", "run"]
    return Combinations(
        means={c: summarise(accuracies).mean for c, accuracies in found.items()},
        seeds={c: len(accuracies) for c, accuracies in found.items()},
        missing=missing,
        total=comb(len(classes), majority),
        majority=majority,
        classes=classes,
        select=shown_of(first, select),
        table=pd.DataFrame(rows, columns=columns),
    )


def told(found: Combinations) -> list[str]:
    """Say how many combinations have runs, and which are the lowest and the highest."""
    seeds = sorted(set(found.seeds.values()))
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    many = "seed" if seeds == [1] else "seeds, averaged"
    said = [
        f"{len(found.means):,} of {found.total:,} combinations of {found.majority} majority "
        f"classes have finished runs, with {each} {many}."
    ]
    states = Counter(found.missing.values())
    if states:
        said[0] += f" Waiting or ended otherwise: {_counted(states)}."
    summary = summarise(list(found.means.values()))
    if summary.std == 0:
        said.append("All combinations have the same accuracy.")
    elif summary.n > 1:
        low = min(found.means, key=lambda c: (found.means[c], c))
        high = max(found.means, key=lambda c: (found.means[c], c))
        said.append(
            f"Over combinations {summary.text()} %; lowest {_named(low, found)}, highest "
            f"{_named(high, found)}."
        )
    if len(found.means) < found.total:
        said.append("--repeats with the number of combinations covers all.")
    return said


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{states[reason]} {reason}" for reason in REASONS if states.get(reason))


def words(combination: Combination, found: Combinations) -> str:
    """Write the majority classes' names, or those of the others where these are fewer."""
    fewer = 2 * found.majority > len(found.classes)
    shown = sorted(set(range(len(found.classes))) - set(combination)) if fewer else combination
    text = ", ".join(found.classes[c] for c in shown[:5]) + (", …" if len(shown) > 5 else "")
    return f"all but {text}" if fewer else text


def _named(combination: Combination, found: Combinations) -> str:
    return f"{words(combination, found)} ({100 * found.means[combination]:.2f} %)"
