"""The figures as parts of the page of ``dfgctl report``: a line for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfgctl.recipe import Recipe
    from dfgctl.records import Run
    from dfgctl.registry import Registry
    from dfgctl.report.choosing import Chosen
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
    """A figure.

    Attributes:
        title: its title.
        draw: draws it, or says why it cannot (``NothingToShowError``).
        selects: whether its command has ``--select``.
    """

    title: str
    draw: "Callable[[Look], Drawn]"
    selects: bool = False


def _sensitivity(key: str, look: Look) -> "Drawn":
    from dfgctl.report.sensitivity import sensitivity
    from dfgctl.report.sweep_figure import draw

    return draw(sensitivity(key, look.runs, look.recipe, look.select))


def _chosen(look: Look, *methods: str) -> "Chosen":
    from dfgctl.report.choosing import choose

    runs = [run for run in look.runs if run.spec.dataset == look.recipe.name]
    return choose(runs, {look.recipe.name: look.recipe}, methods)


def _curves(look: Look) -> "Drawn":
    from dfgctl.report.curves import draw

    found = _chosen(look)
    return draw(found, look.store.curves(run.id for run in found.runs))


def _confusion(look: Look) -> "Drawn":
    from dfgctl.report.confusion import draw

    found = _chosen(look, "dfg")
    return draw(found, look.store.runs((run.id for run in found.runs), whole=True), ())


def _combinations(look: Look) -> "Drawn":
    from dfgctl.report.combination_figure import draw

    return draw(_chosen(look, "dfg"), look.select)


def _frontier(look: Look) -> "Drawn":
    from dfgctl.report.frontier_figure import draw
    from dfgctl.report.view import View

    return draw(_chosen(look), View(look.runs, {look.recipe.name: look.recipe}, look.select))


def _weights(look: Look) -> "Drawn":
    from dfgctl.cli.plot.opened import Opened
    from dfgctl.cli.plot.weights import drawn

    return drawn(Opened(look.store, look.runs, {look.recipe.name: look.recipe}))


FIGURES: Mapping[str, Figure] = {
    "frontier": Figure("Accuracy against training cost", _frontier, selects=True),
    "rho": Figure("Accuracy over ρ (Fig. 6)", partial(_sensitivity, "rho"), selects=True),
    "delta": Figure("Accuracy over δ (Fig. 7)", partial(_sensitivity, "delta"), selects=True),
    "weights": Figure("Filter weights in training (Fig. 5)", _weights),
    "curves": Figure("Accuracy and losses over the steps", _curves),
    "confusion": Figure("What DFG confuses", _confusion),
    "combinations": Figure("DFG's accuracy for each combination", _combinations, selects=True),
}
"""Each by the name that ``dfgctl plot`` has for it; tsne, pca, cam and structure, which look
at single networks, are left out: they need pictures and take too long."""
