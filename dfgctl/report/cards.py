"""What data sets and methods are called where runs are reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfgctl.contenders import CONTENDERS, METHODS
from dfgctl.data.catalog import DATASETS
from dfgctl.records import Run


@dataclass(frozen=True)
class Card:
    """What a data set is called, and its classes."""

    title: str
    classes: tuple[str, ...]


def card_of(run: Run) -> Card:
    """Return the card of a run's data set: the registry's, else the catalog's, else its name."""
    if run.card is not None and run.card.classes:
        return Card(run.card.title, run.card.classes)
    info = DATASETS.get(run.spec.dataset)
    numbers = tuple(map(str, range(len(run.class_counts))))
    return Card(info.title, info.classes or numbers) if info else Card(run.spec.dataset, numbers)


def title_of(run: Run) -> str:
    """Return the title of a run's data set."""
    return card_of(run).title


def classes_of(run: Run) -> tuple[str, ...]:
    """Return the names of the classes of a run's data set."""
    return card_of(run).classes


def method_titles(runs: Sequence[Run]) -> dict[str, str]:
    """Return the titles of contenders: the paper's methods, then those others that runs have.

    A rival is told apart by what it starts from (``CONTENDERS``).
    """
    others = {
        run.spec.contender: str(run.spec.settings.get("code", {}).get("title", run.spec.method))
        for run in runs
        if run.spec.contender not in METHODS
    }
    rivals = {name: title for name, title in CONTENDERS.items() if name in others}
    return {**METHODS, **rivals, **{k: v for k, v in others.items() if k not in rivals}}
