"""``dfgctl ledger``: where the paper and its released code differ, and which reading is used."""

from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from dfgctl.cli.output import escape, out, reported, write_file


class Format(StrEnum):
    """How the ledger is written."""

    rich = "rich"
    md = "md"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ledger", epilog="Examples:  dfgctl ledger   |   dfgctl ledger 3f9a --json")(ledger)


@reported
def ledger(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run's id, or the start of it: shows what it used.",
            autocompletion=complete.runs,
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.rich,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file.")
    ] = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """List where the paper and its released code differ: both readings, the default, what is used.

    run --protocol released takes the right-hand reading of all switches, run --set
    fidelity.F05=released that of one.
    """
    from dfgctl.errors import InputError
    from dfgctl.ledger import table

    spec = None
    if run is not None:
        store = open_registry(registry)
        if store is None:
            raise InputError(f"There is no run '{run}': there is no registry at {registry} yet.")
        spec = store.find(run).spec
    records = table(spec)
    if not json and format is Format.rich and output is None:
        _print(records)
        return
    if json or format is Format.json:
        text = dumps(records, indent=2, ensure_ascii=False) + "\n"
    else:
        text = _markdown(records)
    if output is not None:
        write_file(output, text)
    else:
        typer.echo(text.rstrip("\n"))


def _markdown(records: list[dict[str, Any]]) -> str:
    used = "used" in records[0]
    titles = ["id", "what", "paper", "released", "default", *(["used"] if used else [])]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for record in records:
        cells = [record[t] if record[t] is not None else "" for t in titles]
        if not record["switch"]:
            cells[3] = "the same"
        lines.append("| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def _print(records: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    used = "used" in records[0]
    view = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    view.add_column("Id", style="bold", no_wrap=True)
    view.add_column("What", ratio=2)
    view.add_column("paper", ratio=3)
    view.add_column("released", ratio=3)
    if used:
        view.add_column("Used", no_wrap=True)
    for record in records:
        cells = [escape(str(record[key])) for key in ("id", "what", "paper", "released")]
        if not record["switch"]:
            cells[3] = "the same"
        view.add_row(*cells, *([record["used"] or ""] if used else []))
    console = out()
    console.print(view)
    console.print(
        "The default is paper: run --protocol released takes the other side of all switches, "
        "run --set fidelity.F05=released that of one. README says more.",
        style="dim",
    )
