"""What the commands of ``dfgctl plot`` share: options, and how a figure is kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.output import err, escape, write_file

if TYPE_CHECKING:
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


def check_output(output: Path | None) -> None:
    """Check, before anything is computed, that a picture can be saved under a name.

    Raises:
        InputError: it cannot.
    """
    from dfgctl.report.figures import check_file

    if output is not None:
        check_file(output)


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
        write_file(data, drawn.data.to_csv(index=False))
    for line in drawn.said:
        err().print(escape(line))
    typer.echo(str(file))
