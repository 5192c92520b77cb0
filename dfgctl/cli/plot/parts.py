"""The figures as parts of the page of ``dfgctl report``: a line for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfgctl.recipe import Recipe
    from dfgctl.records import Run
    from dfgctl.registry import Registry
    from dfgctl.report.figures import Drawn
    from dfgctl.report.selection import Select


@dataclass(frozen=True)
class Look:
    """What a figure of one data set is drawn from.

    Attributes:
        store: the registry, for what runs do not carry.
        runs: the runs that the page shows, of any data set.
        recipe: the data set's recipe.
        select: which accuracy is shown; None for that of the runs' own reading.
    """

    store: "Registry"
    runs: "Sequence[Run]"
    recipe: "Recipe"
    select: "Select | None"


@dataclass(frozen=True)
class Figure:
    """A figure: its title, and what draws it or says why it cannot (``NothingToShowError``)."""

    title: str
    draw: "Callable[[Look], Drawn]"


def _sensitivity(key: str, look: Look) -> "Drawn":
    from dfgctl.report.sensitivity import draw, sensitivity

    return draw(sensitivity(key, look.runs, look.recipe, look.select))


FIGURES: Mapping[str, Figure] = {
    "rho": Figure("Accuracy over ρ (Fig. 6)", partial(_sensitivity, "rho")),
    "delta": Figure("Accuracy over δ (Fig. 7)", partial(_sensitivity, "delta")),
}
"""Each by the name that ``dfgctl plot`` has for it."""
