"""The tables by name: where each is made."""

from collections.abc import Callable, Mapping
from importlib import import_module

from dfgctl.report.table import Table
from dfgctl.report.view import View

TABLES: Mapping[str, str] = {
    "results": "data sets down, methods across (Table 2)",
}
"""What each table shows. Each has a module of its name, whose ``make`` makes it."""


def make(name: str, view: View) -> Table:
    """Make a table.

    Args:
        name: one of ``TABLES``.
        view: what it is to show.

    Raises:
        NothingToShowError: no run can be shown in it.
    """
    made: Callable[[View], Table] = import_module(f"dfgctl.report.{name}").make
    return made(view)
