"""The tables by name: where each is made, and which options it uses."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType

from dfgctl import recipe
from dfgctl.errors import InputError, UnknownNameError
from dfgctl.report.table import Table
from dfgctl.report.view import View

TABLES: Mapping[str, str] = {
    "results": "each method on each data set (Table 2)",
    "balanced": "each imbalanced result beside its 1:1 reference",
    "pairs": "a method against each other on the same pairs",
    "spread": "what of the variance is the combination's, what the seed's",
    "datasets": "the data sets (Table 1)",
    "blocks": "dfg split after each block of ResNet-50 (Table 3)",
    "cost": "parameters, memory and times of each method (Table 4)",
    "frontier": "accuracy against training cost, and who is on the Pareto front",
    "ledger": "the paper's reading against the released code's, in pairs",
}
"""What each table shows. Each has a module of its name, whose ``make`` makes it; ``USES`` there
names those of ``OPTIONS`` that it uses."""

OPTIONS = frozenset({"metric", "select", "published", "margin", "paper-n", "judge-all", "against"})
"""Options that not every table uses."""

JUDGING = ("margin", "paper-n", "judge-all")
"""Options that say how the paper's numbers are judged, and so need ``published``."""

WITH_REFERENCES = frozenset({"balanced"})
"""Tables that need balanced runs, however many majority classes are asked for."""


def check(name: str, given: Collection[str]) -> None:
    """Check that there is a table, and that it uses the options that the user gave.

    Args:
        name: the table's name.
        given: those of ``OPTIONS`` that the user gave.

    Raises:
        UnknownNameError: there is no such table.
        InputError: it is a data set's name, the table does not use an option, or one says how to
            judge what is not shown.
    """
    if name in recipe.names():
        raise InputError(
            f"'{name}' is a data set, not a table: dfgctl table --dataset {name} shows its runs."
        )
    if name not in TABLES:
        raise UnknownNameError("table", name, TABLES)
    used = uses(name)
    if unused := [f"--{option}" for option in sorted(given) if option not in used]:
        it = "them" if len(unused) > 1 else "it"
        raise InputError(f"The table {name} does not use {' or '.join(unused)}: leave {it} out.")
    early = [f"--{option}" for option in JUDGING if option in given]
    if early and "published" not in given:
        verb = "say" if len(early) > 1 else "says"
        raise InputError(
            f"{' and '.join(early)} {verb} how the paper's numbers are judged: add --published."
        )


def uses(name: str) -> frozenset[str]:
    """Return those of ``OPTIONS`` that a table, one of ``TABLES``, uses."""
    used: frozenset[str] = _module(name).USES
    return used


def needs_runs(name: str) -> bool:
    """Say whether a table, one of ``TABLES``, is made of runs alone."""
    return bool(getattr(import_module(f"dfgctl.report.{name}"), "NEEDS_RUNS", True))


WHOLE = frozenset({"cost"})
"""Tables that need the runs' confusion matrices."""

WITH_FLOP = frozenset({"frontier"})
"""Tables that show the FLOP of runs (``View.flop``)."""


def make(name: str, view: View) -> Table:
    """Make a table.

    Args:
        name: one of ``TABLES``.
        view: what it is to show.

    Raises:
        InputError: what is asked for cannot be shown.
        NothingToShowError: no run can be shown in it.
    """
    made: Callable[[View], Table] = _module(name).make
    return made(view)


def _module(name: str) -> ModuleType:
    return import_module(f"dfgctl.report.{name}")
