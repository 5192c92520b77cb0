"""Options that several commands share, and how the registry is opened."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.output import at_end, note
from dfgctl.report.selection import Select

if TYPE_CHECKING:
    from dfgctl.registry import Registry

DEFAULT_REGISTRY = "results/registry.sqlite"
DEFAULT_DATA = Path("data")

RegistryOption = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar="DFGCTL_REGISTRY",
        help="The registry: path of an SQLite file, or an SQLAlchemy URL.",
    ),
]
DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="DFGCTL_DATA",
        help="The data directory, a torchvision root.",
    ),
]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="A method, or package.module:Class; paper, rivals or all for several. May be "
        "repeated. \\[default: paper]",
        autocompletion=complete.several_methods,
    ),
]
SelectOption = Annotated[
    Select | None,
    typer.Option(
        "--select",
        help="Test accuracy after the last step, the best of all evaluations (it looks at the test "
        "set), or at the step that the validation share chooses (val). \\[default: last; best "
        "for runs with F14 as released]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def open_registry(where: str, create: bool = False, optional: bool = False) -> "Registry | None":
    """Open a registry and return expired leases to the queue.

    Args:
        where: a path or a URL.
        create: whether one that is not there is made.
        optional: whether one that is not there is None; the default one always is.

    Raises:
        RegistryError: it cannot be opened.
    """
    from dfgctl.registry import Registry
    from dfgctl.registry.engine import registry_url, sqlite_path

    if optional or where == DEFAULT_REGISTRY:
        path = sqlite_path(registry_url(where))
        if path is not None and not path.exists() and not create:
            return None
    registry = Registry(where, create=create, tell=note)
    at_end.append(registry.close)
    if not registry.read_only:
        registry.expire()
    return registry
