"""Accuracy over the values of one setting: rho (Fig. 6) and delta (Fig. 7)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dfgctl.errors import NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import title_of
from dfgctl.report.commands import command, data_of
from dfgctl.report.groups import Row, each_row, row_of
from dfgctl.report.selection import ACCURACIES, Select, require_any, shown_of, value_of
from dfgctl.report.smoothness import Pairs
from dfgctl.report.statistics import Summary, summarise

Repeat = tuple[tuple[int, ...], int]
"""A run's combination and seed."""


@dataclass(frozen=True)
class Sensitivity:
    """Accuracies over the values of one setting, all else equal.

    Attributes:
        key: ``rho`` or ``delta``.
        dataset: the data set's name.
        title: its title.
        ratio: the imbalance.
        notes: the source, and where else the runs depart from the recipe.
        default: the recipe's value.
        points: value to the accuracies (in [0, 1]) of its runs.
        select: which accuracies they are.
        left_out: how many other groups (source, imbalance, settings) have such runs.
        runs: value to the ids of its runs, in the order of ``points``.
        repeats: value to the combinations and seeds of its runs, likewise.
    """

    key: str
    dataset: str
    title: str
    ratio: str
    notes: tuple[str, ...]
    default: float
    points: dict[float, list[float]]
    select: Select = Select.last
    left_out: int = 0
    runs: dict[float, list[str]] = field(default_factory=dict)
    repeats: dict[float, list[Repeat]] = field(default_factory=dict)

    @property
    def axis(self) -> str:
        """What the accuracies are, in the words of the axis."""
        return ACCURACIES[self.select]

    def aside(self) -> list[str]:
        """Say what was left out."""
        if not self.left_out:
            return []
        what = "1 group of runs" if self.left_out == 1 else f"{self.left_out:,} groups of runs"
        return [f"Left out: {what} with another source, imbalance or settings."]

    def summaries(self) -> dict[float, Summary]:
        """Return mean and standard deviation at each value, in rising order."""
        return {value: summarise(self.points[value]) for value in sorted(self.points)}

    def pairs(self) -> dict[float, Pairs]:
        """Return the accuracies at each value by combination and seed."""
        return {
            value: dict(zip(self.repeats[value], self.points[value], strict=True))
            for value in sorted(self.repeats)
        }


def sensitivity(
    key: str, runs: Sequence[Run], recipe: Recipe, select: Select | None = None
) -> Sensitivity:
    """Collect a data set's finished ``dfg`` runs by the value of one setting.

    Of several groups that differ in something else, the recipe's own settings come first, then
    the group with most values.

    Args:
        key: ``rho`` or ``delta``.
        runs: the runs, in any state.
        recipe: the data set's recipe.
        select: which accuracy is shown; None for that of the runs' own reading (F14).

    Raises:
        NothingToShowError: fewer than two values have finished runs with such an accuracy.
    """
    groups: dict[Row, dict[float, list[tuple[Run, float]]]] = {}
    members = [r for r in runs if r.spec.method == "dfg" and r.spec.dataset == recipe.name]
    require_any(members, select)

    def make(run: Run) -> Row:
        row = row_of(run, recipe)
        others = tuple(n for n in row.notes if not n.startswith(f"dfg.{key}="))
        return replace(row, notes=others)

    for run, row in each_row(members, make):
        accuracy = value_of(run, select=select)
        if accuracy is None:
            continue
        value = float(run.spec.settings["dfg"][key])
        groups.setdefault(row, {}).setdefault(value, []).append((run, accuracy))

    def place(row: Row) -> tuple[Any, ...]:
        return (
            row.ratio != recipe.imbalance.ratio,
            row.source != recipe.sources[0],
            not row.is_recipe(),
            -len(groups[row]),
            -sum(map(len, groups[row].values())),
            str(row),
        )

    usable = [row for row, found in groups.items() if len(found) > 1]
    if not usable:
        nearest = groups[min(groups, key=place)] if groups else {}
        runs_of = [run for found in nearest.values() for run, _ in found]
        raise NothingToShowError(
            f"No finished runs of dfg on {recipe.name} with two values of {key}: train some with "
            f"{_sweep(key, recipe, select, runs_of)}"
        )
    row = min(usable, key=place)
    found = groups[row]
    default = float(recipe.section("dfg").values()[key])
    return Sensitivity(
        key=key,
        dataset=recipe.name,
        title=title_of(members[0]),
        ratio=row.ratio,
        notes=(f"source {row.source}", *row.notes),
        default=default,
        points={value: [accuracy for _, accuracy in own] for value, own in found.items()},
        select=shown_of(next(iter(found.values()))[0][0], select),
        left_out=len(usable) - 1,
        runs={value: [run.id for run, _ in own] for value, own in found.items()},
        repeats={
            value: [(run.spec.combination, run.spec.seed) for run, _ in own]
            for value, own in found.items()
        },
    )


def _sweep(key: str, recipe: Recipe, select: Select | None, runs: Sequence[Run]) -> str:
    """Return the command that trains some values, with all else as in runs that are there."""
    values = "0,0.25,0.5,0.75,1" if key == "rho" else "0,0.5,0.8,0.95,1,1.2,1.5"
    swept = f"--method dfg --set dfg.{key}={values}"
    if runs:
        return command(runs[0], swept, free=f"dfg.{key}")
    share = " --validation 0.1" if select is Select.val else ""
    return f"dfgctl run {data_of(recipe)} {swept}{share}"
