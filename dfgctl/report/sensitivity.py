"""Accuracy over the values of one setting: rho (Fig. 6) and delta (Fig. 7)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dfgctl.errors import NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import title_of
from dfgctl.report.chosen import target
from dfgctl.report.figures import BLUE, ORANGE, STYLE, Drawn
from dfgctl.report.groups import Row, each_row, row_of
from dfgctl.report.selection import ACCURACIES, Select, accuracy_of, require_any, shown_of
from dfgctl.report.statistics import Summary, summarise

SYMBOLS = {"rho": "ρ", "delta": "δ"}
AXES = {
    "rho": "ρ, share of the source's filter weights (Eq. 7)",
    "delta": "δ, threshold as a share of the mean filter weight",
}


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

    @property
    def axis(self) -> str:
        """What the accuracies are, in the words of the axis."""
        return ACCURACIES[self.select]

    def summaries(self) -> dict[float, Summary]:
        """Return mean and standard deviation at each value, in rising order."""
        return {value: summarise(self.points[value]) for value in sorted(self.points)}


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
    groups: dict[Row, dict[float, list[float]]] = {}
    ids: dict[Row, dict[float, list[str]]] = {}
    shown: dict[Row, Select] = {}
    members = [r for r in runs if r.spec.method == "dfg" and r.spec.dataset == recipe.name]
    require_any(members, select)

    def make(run: Run) -> Row:
        row = row_of(run, recipe)
        others = tuple(n for n in row.notes if not n.startswith(f"dfg.{key}="))
        return replace(row, notes=others)

    for run, row in each_row(members, make):
        accuracy = accuracy_of(run, select)
        if accuracy is None:
            continue
        value = float(run.spec.settings["dfg"][key])
        groups.setdefault(row, {}).setdefault(value, []).append(accuracy)
        ids.setdefault(row, {}).setdefault(value, []).append(run.id)
        shown[row] = shown_of(run, select)
    usable = {row: points for row, points in groups.items() if len(points) > 1}
    if not usable:
        values = "0,0.25,0.5,0.75,1" if key == "rho" else "0,0.5,0.8,0.95,1,1.2,1.5"
        share = " --validation 0.1" if select is Select.val else ""
        raise NothingToShowError(
            f"No finished runs of dfg on {recipe.name} with two values of {key}: train some with "
            f"dfgctl run {target(recipe)} --method dfg --set dfg.{key}={values}{share}"
        )
    row, points = min(
        usable.items(),
        key=lambda item: (
            item[0].ratio != recipe.imbalance.ratio,
            item[0].source != recipe.sources[0],
            not item[0].is_recipe(),
            -len(item[1]),
            -sum(map(len, item[1].values())),
            str(item[0]),
        ),
    )
    default = float(recipe.section("dfg").values()[key])
    notes = (f"source {row.source}", *row.notes)
    left_out = len(usable) - 1
    return Sensitivity(
        key=key,
        dataset=recipe.name,
        title=title_of(members[0]),
        ratio=row.ratio,
        notes=notes,
        default=default,
        points=points,
        select=shown[row],
        left_out=left_out,
        runs=ids[row],
    )


def draw(data: Sensitivity) -> Drawn:
    """Draw accuracy over a setting's values."""
    import matplotlib
    import pandas as pd
    from matplotlib.figure import Figure  # pyplot, which is for screens, takes long to import

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        summaries = data.summaries()
        xs = list(summaries)
        means = [100 * s.mean for s in summaries.values()]
        spread = [100 * (s.std or 0) for s in summaries.values()]
        axes.fill_between(
            xs,
            [m - s for m, s in zip(means, spread, strict=True)],
            [m + s for m, s in zip(means, spread, strict=True)],
            color=BLUE,
            alpha=0.15,
            linewidth=0,
            label="± 1 standard deviation",
        )
        for value, accuracies in data.points.items():
            axes.plot(
                [value] * len(accuracies),
                [100 * a for a in accuracies],
                "o",
                color=BLUE,
                alpha=0.35,
                markersize=4,
                markeredgewidth=0,
                label="one run" if value == xs[0] else None,
            )
        axes.plot(xs, means, "-o", color=BLUE, markersize=6, label="mean")
        axes.axvline(
            data.default,
            color=ORANGE,
            linestyle="--",
            linewidth=1,
            label=f"recipe's {SYMBOLS[data.key]} = {data.default:g}",
        )
        axes.set_xlabel(AXES[data.key])
        axes.set_ylabel(data.axis)
        axes.set_xticks(xs)
        axes.set_title(_title(data), loc="left")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    points = [
        (value, accuracy, run)
        for value in summaries
        for accuracy, run in zip(data.points[value], data.runs[value], strict=True)
    ]
    return Drawn(
        name=f"{data.key}-{data.dataset}",
        figure=figure,
        data=pd.DataFrame(points, columns=[data.key, "accuracy", "run"]),
        runs=[run for *_, run in points],
        said=[f"{data.key} {v:<5g} {s.text()} % (n={s.n})" for v, s in summaries.items()],
    )


def _title(data: Sensitivity) -> str:
    counts = {len(accuracies) for accuracies in data.points.values()}
    n = f"n = {counts.pop()}" if len(counts) == 1 else f"n = {min(counts)} to {max(counts)}"
    first = f"DFG on {data.title} ({data.ratio}), {n} runs a value"
    return "\n".join([first, ", ".join(data.notes)]) if data.notes else first
