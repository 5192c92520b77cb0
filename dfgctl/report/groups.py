"""Which runs belong together in a table's row: never those that differ in what matters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl import RESULTS_VERSION
from dfgctl.data.imbalance import Ratio
from dfgctl.recipe import Recipe, departures, exact
from dfgctl.records import Run, RunSpec, digest


@dataclass(frozen=True, order=True)
class Row:
    """What all runs of a row share.

    Attributes:
        dataset: the data set.
        ratio: the imbalance.
        source: the source; None while only methods without one have runs.
        notes: where the runs depart from the recipe, in words; empty for its own settings.
        source_identity: the source network.
        data_digest: the data.
    """

    dataset: str
    ratio: str
    notes: tuple[str, ...]
    source: str | None
    source_identity: str | None
    data_digest: str

    def is_recipe(self) -> bool:
        """Say whether the runs have the recipe's own settings."""
        return not self.notes


def recipe_steps(recipe: Recipe, spec: RunSpec) -> int:
    """Return the recipe's steps of a run's method; of one that it does not know, the run's own."""
    return recipe.steps(spec.method) if spec.method in Recipe.model_fields else spec.steps


def row_of(run: Run, recipe: Recipe, usual: RunSpec | None = None) -> Row:
    """Return the row that a run belongs to.

    Args:
        run: the run.
        recipe: its data set's recipe.
        usual: what stands in for the recipe where it does not know the run's method.
    """
    spec = run.spec
    notes = []
    if spec.backbone != recipe.backbone:
        notes.append(f"network {spec.backbone}")
    if spec.majority not in (0, recipe.imbalance.majority):
        notes.append(f"{spec.majority} majority classes")
    if spec.majority_count != recipe.imbalance.majority_count:
        notes.append(f"{spec.majority_count:,} images a majority class")
    if spec.steps != recipe_steps(recipe, usual or spec):
        notes.append(f"{spec.steps:,} steps")
    if spec.eval_every != recipe.run.eval_every:
        notes.append(f"eval every {spec.eval_every:,}")
    if spec.validation:
        notes.append(f"{exact(spec.validation)} held out")
    if spec.protocol != "paper":
        notes.append(f"protocol {spec.protocol}")
    if spec.results_version != RESULTS_VERSION:
        notes.append(f"results version {spec.results_version}")
    known = {n: s for n, s in spec.settings.items() if n in Recipe.model_fields}
    notes += departures(recipe, known)
    for section in (name for name in spec.settings if name not in known):
        notes += _departures(section, spec, usual or spec)
    return Row(
        dataset=spec.dataset,
        ratio=spec.ratio,
        notes=tuple(notes),
        source=spec.source,
        source_identity=spec.source_identity,
        data_digest=spec.data_digest,
    )


def rows(runs: Sequence[Run], recipes: Mapping[str, Recipe]) -> dict[Row, list[Run]]:
    """Sort runs into rows: by data set, imbalance, and the recipe's own settings first.

    A method without a source joins every row that it agrees with in all else.
    """
    found: dict[Row, list[Run]] = {}
    free: list[tuple[Row, Run]] = []
    usual = _usual(runs, recipes)
    for run in runs:
        spec = run.spec
        row = row_of(run, recipes[spec.dataset], usual.get((spec.dataset, spec.method)))
        if row.source is None:
            free.append((row, run))
        else:
            found.setdefault(row, []).append(run)
    for row, run in free:
        joined = [other for other in found if _without_source(other) == row]
        for other in joined or [row]:
            found.setdefault(other, []).append(run)
    order = {name: i for i, name in enumerate(recipes)}
    return dict(
        sorted(
            found.items(),
            key=lambda item: (
                order[item[0].dataset],
                Ratio.parse(item[0].ratio).value,
                bool(item[0].notes),
                item[0].source or "",
                item[0].notes,
            ),
        )
    )


def _departures(section: str, spec: RunSpec, usual: RunSpec) -> list[str]:
    """Return where a section that no recipe has departs: switches from the run's protocol."""
    others = usual.settings.get(section, {})
    return [
        f"{section}.{name}={value if isinstance(value, str) else exact(value)}"
        for name, value in spec.settings[section].items()
        if (section, name) != ("code", "title")
        and value != (spec.protocol if section == "fidelity" else others.get(name))
    ]


def _usual(runs: Sequence[Run], recipes: Mapping[str, Recipe]) -> dict[tuple[str, str], RunSpec]:
    """Return the commonest settings, by data set, of each method that the recipes do not know.

    A number of steps to which other methods' runs were shortened is not taken for usual.
    """
    found: dict[tuple[str, str], list[RunSpec]] = {}
    trials = set()
    for spec in (run.spec for run in runs):
        if spec.method not in Recipe.model_fields:
            found.setdefault((spec.dataset, spec.method), []).append(spec)
        elif spec.steps != recipe_steps(recipes[spec.dataset], spec):
            trials.add((spec.dataset, spec.steps))
    usual = {}
    for key, specs in found.items():
        whole = [spec for spec in specs if (spec.dataset, spec.steps) not in trials]
        # Where all are trials, no number of steps is usual.
        specs = whole or [replace(spec, steps=0) for spec in specs]
        keys = [digest([spec.steps, spec.settings]) for spec in specs]
        usual[key] = specs[keys.index(Counter(keys).most_common(1)[0][0])]
    return usual


def _without_source(row: Row) -> Row:
    """Return the row in which a run would be that differs only in having no source."""
    notes = tuple(note for note in row.notes if not note.startswith("source."))
    return replace(row, notes=notes, source=None, source_identity=None)
