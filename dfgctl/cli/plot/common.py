"""What the commands of ``dfgctl plot`` share: options, and how a figure is kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.output import err, escape, whole_file
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dfgctl.records import Run
    from dfgctl.registry import Registry
    from dfgctl.report.figures import Drawn

DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="The data set. \\[default: the one with such runs]", autocompletion=complete.datasets
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="The picture: .png, .svg or .pdf. \\[default: beside the registry]"
    ),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Write the numbers behind it to this CSV file.")
]


def check_output(output: Path | None, data: Path | None) -> None:
    """Check, before anything is computed, that a picture and its numbers can be saved.

    Raises:
        InputError: they cannot.
    """
    from dfgctl.report.figures import check_file, check_place

    if output is not None:
        check_file(output)
    if data is not None:
        check_place(data, "--data")
        if output is not None and data.resolve() == output.resolve():
            raise InputError(f"-o and --data both name {data}: give them a file each.")


def check_methods(methods: "Sequence[str]", runs: "Sequence[Run]", groups: bool = False) -> None:
    """Check that methods are contenders, or of one's own with runs.

    Args:
        methods: the methods.
        runs: the runs there are.
        groups: whether they may be groups of methods, too.

    Raises:
        UnknownNameError: one is neither.
    """
    from dfgctl.contenders import CONTENDERS, GROUPS
    from dfgctl.errors import UnknownNameError

    known = {*CONTENDERS, *(GROUPS if groups else ()), *(run.spec.contender for run in runs)}
    for method in methods:
        if method not in known:
            raise UnknownNameError("method", method, known)


def keep(drawn: "Drawn", output: Path | None, data: Path | None, store: "Registry | None") -> None:
    """Save a figure and the numbers behind it, and say what it says.

    Args:
        drawn: the figure.
        output: its file; None for one beside the registry.
        data: the numbers' file; None for none.
        store: the registry.

    Raises:
        InputError: a file cannot be written.
    """
    from dfgctl.report.figures import save

    folder = store.folder if store else Path("results")
    file = output or folder / "plots" / f"{drawn.name}.png"
    save(drawn.figure, file, drawn.runs)
    if data is not None:
        with whole_file(data, "name another with --data") as opened:
            drawn.data.to_csv(opened, index=False, lineterminator="\n")
        err().print(f"Wrote {escape(str(data))}")
    for line in drawn.said:
        err().print(escape(line))
    typer.echo(str(file))
