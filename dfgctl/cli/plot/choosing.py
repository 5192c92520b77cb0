"""Options of figures that show the runs of one row, and how these runs are read."""

from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import open_registry
from dfgctl.cli.plot.common import check_methods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dfgctl.registry import Registry
    from dfgctl.report.choosing import Chosen

MethodOption = Annotated[
    str, typer.Option("--method", help="The method.", autocompletion=complete.methods)
]
ManyMethodsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="A method, or paper, rivals, all; may be repeated. \\[default: all that have runs]",
        autocompletion=complete.several_methods,
    ),
]
ImbalanceOption = Annotated[
    str | None,
    typer.Option(
        "--imbalance", help="Only runs with this imbalance, e.g. 10:1. \\[default: the recipe's]"
    ),
]
MajorityOption = Annotated[
    int | None, typer.Option(min=0, help="Only runs with so many majority classes; 0 at 1:1.")
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="Only runs of this protocol.",
        autocompletion=complete.protocols,
    ),
]


def chosen(
    where: str,
    dataset: str | None,
    methods: "Sequence[str]",
    ratio: str | None,
    majority: int | None,
    protocol: str | None,
    groups: bool = False,
) -> "tuple[Chosen, Registry | None]":
    """Read a registry and choose the runs of one row.

    Args:
        where: the registry.
        dataset: the data set; None for the one that has such runs.
        methods: the methods; all if empty.
        ratio: the imbalance; None for the recipe's, where it has runs.
        majority: how many majority classes.
        protocol: the protocol.
        groups: whether methods may be groups of methods, too.

    Returns:
        The runs, and the registry.

    Raises:
        InputError: there are none, or of several data sets.
    """
    from dfgctl import templates
    from dfgctl.report.choosing import choose

    store = open_registry(where)
    runs = store.runs() if store else []
    check_methods(methods, runs, groups)
    trained = sorted({run.spec.dataset for run in runs})
    recipes = templates.recipes_of(runs, [dataset] if dataset else trained or ["digits"])
    return choose(runs, recipes, methods, ratio, majority, protocol), store
