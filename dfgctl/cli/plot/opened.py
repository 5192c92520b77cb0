"""What the figures of networks are made from: runs, their weights, their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import open_registry
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from dfgctl.analysis.trained import Trained
    from dfgctl.data.arrays import ImageArrays
    from dfgctl.recipe import Recipe
    from dfgctl.records import Run
    from dfgctl.registry import Registry

RunArgument = Annotated[
    str | None,
    typer.Argument(
        help="A finished run's id, or the start of it. \\[default: the newest by the recipe]",
        autocompletion=complete.finished_runs,
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of what is drawn at random.")]


@dataclass(frozen=True)
class Opened:
    """A registry, and what may be shown of it.

    Attributes:
        store: the registry; None where there is none yet.
        runs: its runs.
        recipes: recipe of each data set that may be shown.
    """

    store: "Registry | None"
    runs: "Sequence[Run]"
    recipes: "Mapping[str, Recipe]"

    def named(self, name: str) -> "Run":
        """Return a finished run by the start of its id.

        Raises:
            InputError: there is none, or it has not finished.
        """
        if self.store is None:
            raise InputError(f"There is no run '{name}': there is no registry yet.")
        run = self.store.find(name)
        if run.metrics is None:
            raise InputError(f"Run {name} is {run.status}, not finished: choose one that is.")
        if run.spec.dataset not in self.recipes:
            raise InputError(
                f"Run {name} is of {run.spec.dataset}: leave --dataset out, or name another run."
            )
        return run

    def weights(self, run: "Run") -> Path:
        """Return where a finished run's weights are."""
        folder = self.store.folder if self.store else Path("results")
        return folder / "weights" / f"{run.id}.{run.result_attempt}.safetensors"

    def kept(self, run: "Run") -> bool:
        """Say whether a finished run's weights are there."""
        return self.weights(run).is_file()

    def trained(self, run: "Run") -> "Trained":
        """Read a finished run's networks.

        Raises:
            InputError: its weights are not there, or broken.
        """
        from dfgctl.analysis.trained import trained
        from dfgctl.report.cards import classes_of

        return trained(run, self.weights(run), classes_of(run))

    def pictures(self, run: "Run", data_dir: Path) -> "ImageArrays":
        """Load the pictures that a run was trained and tested on.

        Raises:
            InputError: they are not there, are broken, or have changed.
        """
        from dfgctl.dispatch.pictures import Pictures

        assert self.store is not None
        loader = Pictures(self.store.folder, data_dir, lambda name, done, total: None)
        return loader.target(run.spec, run.card)


def opened(registry: str, dataset: str | None) -> Opened:
    """Open a registry, to show runs of one data set or of any.

    Raises:
        UnknownNameError: there is no such data set.
    """
    from dfgctl import templates

    store = open_registry(registry)
    runs = store.runs() if store else []
    return Opened(store, runs, templates.recipes_of(runs, [dataset] if dataset else ()))


def class_numbers(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Read classes, by number or by name: ``0,4`` or ``cat,dog``.

    Raises:
        InputError: one is none of the data set's.
    """
    found = []
    for part in filter(None, (word.strip() for word in text.split(","))):
        if part in names:
            found.append(names.index(part))
        elif part.isdecimal() and int(part) < len(names):
            found.append(int(part))
        else:
            raise InputError(
                f"There is no class '{part}': classes are 0 to {len(names) - 1}, or their names "
                f"({', '.join(names[:3])}, ...)."
            )
    if not found:
        raise InputError("--classes names no class: write numbers with commas, e.g. 0,4.")
    return tuple(dict.fromkeys(found))


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read numbers from 0 on: ``3,17``.

    Raises:
        InputError: they are none.
    """
    parts = [word.strip() for word in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{option} takes numbers from 0 on with commas, e.g. 3,17, not '{text}'.")
    return tuple(dict.fromkeys(map(int, parts)))
