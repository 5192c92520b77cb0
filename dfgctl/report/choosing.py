"""Which runs a figure of one row shows: those that differ in method and repeat alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dfgctl.contenders import GROUPS
from dfgctl.data.imbalance import Ratio
from dfgctl.errors import InputError, NothingToShowError, UnknownNameError
from dfgctl.ledger import PROTOCOLS
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import title_of
from dfgctl.report.commands import command_for
from dfgctl.report.groups import Row, rows


@dataclass(frozen=True)
class Chosen:
    """The runs of one row.

    Attributes:
        row: what they share.
        title: their data set's title.
        recipe: its recipe.
        runs: the finished ones of the methods that are shown, at least one.
        unfinished: the others of these methods.
        left_out: finished runs of these methods and this data set that are in other rows.
    """

    row: Row
    title: str
    recipe: Recipe
    runs: Sequence[Run]
    unfinished: Sequence[Run]
    left_out: int

    def heading(self) -> str:
        """Return what the runs share, in the words of a title."""
        details = [f"source {self.row.source}"] if self.row.source else []
        return "\n".join(
            [f"{self.title} ({self.row.ratio})", ", ".join([*details, *self.row.notes])]
        ).rstrip()

    def aside(self) -> list[str]:
        """Say what was left out."""
        if not self.left_out:
            return []
        what = "1 finished run" if self.left_out == 1 else f"{self.left_out:,} finished runs"
        return [f"Left out: {what} with another source, imbalance or settings."]


def choose(
    runs: Sequence[Run],
    recipes: Mapping[str, Recipe],
    methods: Collection[str] = (),
    ratio: str | None = None,
    majority: int | None = None,
    protocol: str | None = None,
) -> Chosen:
    """Choose the runs of one row.

    Rows with the recipe's imbalance, its own source and its settings come first, then those with
    most finished runs.

    Args:
        runs: runs in any state.
        recipes: recipe of each data set that is looked at.
        methods: only runs of these contenders or groups of methods; of all if empty.
        ratio: only runs with this imbalance.
        majority: only runs with so many majority classes; 0 at 1:1.
        protocol: only runs of this protocol.

    Raises:
        UnknownNameError: there is no such protocol.
        InputError: several data sets have finished runs, or none can have such ones.
        NothingToShowError: none has.
    """
    if protocol not in (None, *PROTOCOLS):
        raise UnknownNameError("protocol", str(protocol), PROTOCOLS)
    wanted = str(Ratio.parse(ratio)) if ratio is not None else None
    grouped = {method for name in methods for method in GROUPS.get(name, ())}
    members = [
        run
        for run in runs
        if run.spec.dataset in recipes
        and (not methods or run.spec.contender in methods or run.spec.method in grouped)
        and wanted in (None, run.spec.ratio)
        and majority in (None, run.spec.majority)
        and protocol in (None, run.spec.protocol)
    ]
    done = {run.spec.dataset for run in members if run.metrics is not None}
    if not done:
        raise NothingToShowError(_nothing(members, recipes, methods, wanted, majority, protocol))
    if len(done) > 1:
        raise InputError(
            f"There are such runs of {' and '.join(sorted(done))}: choose one with --dataset."
        )
    (name,) = done
    members = [run for run in members if run.spec.dataset == name]
    recipe = recipes[name]
    groups = rows(members, {name: recipe})
    row = min(
        (row for row, own in groups.items() if any(run.metrics for run in own)),
        key=lambda row: (
            row.ratio != recipe.imbalance.ratio,
            row.source not in (None, recipe.sources[0]),
            not row.is_recipe(),
            -sum(run.metrics is not None for run in groups[row]),
            str(row),
        ),
    )
    shown = {run.id for run in groups[row]}
    finished = [run for run in members if run.metrics is not None]
    return Chosen(
        row=row,
        title=title_of(groups[row][0]),
        recipe=recipe,
        runs=[run for run in finished if run.id in shown],
        unfinished=[run for run in groups[row] if run.metrics is None],
        left_out=sum(run.id not in shown for run in finished),
    )


def _nothing(
    members: Sequence[Run],
    recipes: Mapping[str, Recipe],
    methods: Collection[str],
    ratio: str | None,
    majority: int | None,
    protocol: str | None,
) -> str:
    """Say that there are no finished runs, and what to run."""
    recipe = recipes.get("digits", next(iter(recipes.values())))
    train = command_for(recipe, methods, ratio, majority, protocol)
    which = f" of {' or '.join(methods)}" if methods else ""
    where = f" on {recipe.name}" if len(recipes) == 1 else ""
    pending = sum(run.status in ("queued", "running") for run in members)
    waits = f" ({pending:,} wait or are under way)" if pending else ""
    parts = [f"the imbalance {ratio}"] if ratio is not None else []
    if majority is not None:
        parts.append(f"{majority or 'no'} majority class{'es' * (majority != 1)}")
    parts += [f"the protocol {protocol}"] if protocol is not None else []
    more = f" with {' and '.join(parts)}" if parts else ""
    return f"There are no finished runs{which}{where}{more}{waits}: train some with {train}"
