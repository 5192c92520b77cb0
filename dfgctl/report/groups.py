"""Which runs belong together in a table's row: never those that differ in what matters."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from dfgctl import RESULTS_VERSION
from dfgctl.contenders import RIVALS
from dfgctl.data.imbalance import Ratio
from dfgctl.departures import departures, exact
from dfgctl.fragments import search_of
from dfgctl.recipe import Recipe
from dfgctl.records import AS_IS, Run, RunSpec
from dfgctl.report.selection import Settings
from dfgctl.templates import recipe_of

BALANCED = "1:1"
MAJORITY = re.compile(r"\d+ majority class(es)?")
"""The note that says how many majority classes a row has."""

TASK = re.compile(MAJORITY.pattern + r"|protocol \S+|network \S+")
"""The notes that say what is trained, rather than with which settings."""

TUNED = re.compile(r"tuned \([\d,]+ trials?\)|found \w+")
"""The notes of runs whose settings a search has found."""


@dataclass(frozen=True)
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

    def is_tuned(self) -> bool:
        """Say whether a search found the runs' settings."""
        return any(TUNED.fullmatch(note) for note in self.notes)

    def settings_from(self) -> Settings | None:
        """Return where the runs' settings come from; None if any was set by hand."""
        notes = [note for note in self.notes if not TASK.fullmatch(note)]
        if not notes:
            return Settings.recipe
        return Settings.tuned if all(TUNED.fullmatch(note) for note in notes) else None

    def settings(self, others: Sequence["Row"]) -> list[str]:
        """Say which source it has, where it departs from its recipe, and what else tells it apart.

        Args:
            others: the rows that are shown beside it.
        """
        parts = [f"source {self.source}"] if self.source else []
        alike = [r for r in others if r != self and r.named() == self.named()]
        if self.source_identity and any(r.source_identity != self.source_identity for r in alike):
            parts.append(f"source network {self.source_identity[:7]}")
        if any(r.data_digest != self.data_digest for r in alike):
            parts.append(f"data {self.data_digest[:7]}")
        return [*parts, *self.notes]

    def named(self) -> tuple[Hashable, ...]:
        """Return what a row is called by."""
        return self.dataset, self.ratio, self.notes, self.source

    def record(self) -> dict[str, object]:
        """Return it as a flat record."""
        return {
            "dataset": self.dataset,
            "ratio": self.ratio,
            "source": self.source,
            "source_identity": self.source_identity,
            "data_digest": self.data_digest,
            "settings": list(self.notes),
        }

    def reference(self) -> "Row":
        """Return the row of its balanced reference: the same in all but the imbalance."""
        notes = tuple(note for note in self.notes if not MAJORITY.fullmatch(note))
        return replace(self, ratio=BALANCED, notes=notes)


def tuned(trials: int) -> str:
    """Say in a row's notes that its settings are those of ``run --tuned``."""
    return f"tuned ({trials:,} trials)"


def row_of(run: Run, recipe: Recipe) -> Row:
    """Return the row that a run belongs to."""
    spec = run.spec
    notes = []
    if spec.backbone != recipe.backbone:  # pictures of one's own, on several networks
        notes.append(f"network {spec.backbone}")
        recipe = recipe_of(spec, run.card)
    if spec.majority not in (0, recipe.imbalance.majority):
        notes.append(f"{spec.majority} majority class{'es' if spec.majority > 1 else ''}")
    if spec.ratio != AS_IS and spec.majority_count != recipe.imbalance.majority_count:
        notes.append(f"{spec.majority_count:,} images a majority class")
    steps = recipe.steps_of(spec)
    if spec.steps > steps or (spec.steps < steps and not search_of(spec)):
        notes.append(f"{spec.steps:,} steps")  # fewer were a search's, too: its cells are marked
    if spec.eval_every != recipe.run.eval_every:
        notes.append(f"eval every {spec.eval_every:,}")
    if spec.validation:
        notes.append(f"{exact(spec.validation)} held out")
    if spec.protocol != "paper":
        notes.append(f"protocol {spec.protocol}")
    if spec.results_version != RESULTS_VERSION:
        notes.append(f"results version {spec.results_version}")
    if search := search_of(spec):
        notes.append(tuned(search["trials"]))
    notes += [d for d in departures(recipe, spec.settings) if not _is_start(d)]
    return Row(
        dataset=spec.dataset,
        ratio=spec.ratio,
        notes=tuple(notes),
        source=spec.source,
        source_identity=spec.source_identity,
        data_digest=spec.data_digest,
    )


def _is_start(departure: str) -> bool:
    """Say whether a departure is what a rival starts from, which tells contenders apart."""
    section, _, setting = departure.partition(".")
    return section in RIVALS and setting.startswith("init=")


SHARED = attrgetter(
    *(f.name for f in fields(RunSpec) if f.name not in ("combination", "seed", "settings"))
)
"""What runs that are repeats of each other have in common, beside their settings."""


def each_row(runs: Sequence[Run], make: Callable[[Run], Row]) -> Iterator[tuple[Run, Row]]:
    """Return each run with its row, which is made once for runs that are repeats of each other.

    Settings are told apart as objects, which is quick: the registry hands out one for all repeats.
    Where equal settings are two objects, equal rows are made twice.
    """
    made: dict[Hashable, Row] = {}
    for run in runs:
        key = (SHARED(run.spec), id(run.spec.settings), id(run.card))
        row = made.get(key)
        if row is None:
            row = made[key] = make(run)
        yield run, row


def rows(runs: Sequence[Run], recipes: Mapping[str, Recipe]) -> dict[Row, list[Run]]:
    """Sort runs into rows: by data set, imbalance, and the recipe's own settings first.

    A method without a source joins every row that it agrees with in all else.
    """
    found: dict[Row, list[Run]] = {}
    free: list[tuple[Row, Run]] = []
    codes: dict[str, set[str]] = {}
    searches: dict[Hashable, set[str]] = {}
    for spec in (run.spec for run in runs):
        if "code" in spec.settings:
            codes.setdefault(spec.method, set()).add(spec.settings["code"]["sha256"])
        if search := search_of(spec):
            searches.setdefault(_search(spec), set()).add(search["found"])

    def make(run: Run) -> Row:
        row = _with_code(row_of(run, recipes[run.spec.dataset]), run, codes)
        if len(searches.get(_search(run.spec), ())) < 2:
            return row
        return replace(row, notes=(*row.notes, f"found {search_of(run.spec)['found'][:7]}"))

    for run, row in each_row(runs, make):
        if row.source is None:
            free.append((row, run))
        else:
            found.setdefault(row, []).append(run)
    for row, run in free:
        joined = [other for other in found if _without_source(other) == row]
        for other in joined or [row]:
            found.setdefault(other, []).append(run)
    order = in_order(recipes)
    return dict(sorted(found.items(), key=lambda item: order(item[0])))


def in_order(recipes: Iterable[str]) -> Callable[[Row], tuple[Any, ...]]:
    """Return the key that sorts rows: by data set, imbalance, the recipe's own settings first."""
    places = {name: i for i, name in enumerate(recipes)}

    def key(row: Row) -> tuple[Any, ...]:
        ratio = Ratio.parse(row.ratio).value
        return places[row.dataset], ratio, bool(row.notes), row.source or "", row.notes

    return key


def _search(spec: RunSpec) -> Hashable:
    """Return what tuned runs share that only the search can tell apart."""
    return spec.dataset, spec.ratio, spec.contender, search_of(spec).get("trials")


def _with_code(row: Row, run: Run, codes: Mapping[str, set[str]]) -> Row:
    """Tell runs of one's own method apart whose code was another."""
    if len(codes.get(run.spec.method, ())) < 2:
        return row
    return replace(row, notes=(*row.notes, f"code {run.spec.settings['code']['sha256'][:7]}"))


def _without_source(row: Row) -> Row:
    """Return the row in which a run would be that differs only in having no source."""
    notes = tuple(note for note in row.notes if not note.startswith("source."))
    return replace(row, notes=notes, source=None, source_identity=None)
