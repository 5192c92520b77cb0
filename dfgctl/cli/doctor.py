"""``dfgctl doctor``: what is wrong here, and what to do about it."""

from typing import TYPE_CHECKING

import typer

from dfgctl.cli.names import counted
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    JsonOption,
    RegistryOption,
)
from dfgctl.cli.output import escape, out, print_json, reported

if TYPE_CHECKING:
    from dfgctl.records import Finding

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example:  dfgctl doctor --data-dir ~/data")(doctor)


@reported
def doctor(
    registry: RegistryOption = DEFAULT_REGISTRY,
    data_dir: DataDirOption = DEFAULT_DATA,
    json: JsonOption = False,
) -> None:
    """Check versions, devices, memory, disks, data sets and the registry's health.

    Each line says ok, note or problem, and what to do about it. Exits 1 if there is a problem.
    """
    from dataclasses import asdict

    from dfgctl.doctor import examine

    found = []
    for finding in examine(registry, data_dir):
        found.append(finding)
        if not json:
            _print(finding, first=len(found) == 1 or found[-2].topic != finding.topic)
    problems = sum(finding.level == "problem" for finding in found)
    notes = sum(finding.level == "note" for finding in found)
    if json:
        print_json({"well": not problems, "findings": [asdict(finding) for finding in found]})
    else:
        said = counted(problems, "problem") if problems else "No problem"
        out().print(f"\n{said}, {counted(notes, 'note')}.")
    if problems:
        raise typer.Exit(1)


def _print(finding: "Finding", first: bool) -> None:
    from rich.table import Table

    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=8, no_wrap=True)
    line.add_column(width=9, no_wrap=True)
    line.add_column(overflow="fold")
    text = escape(finding.text)
    if finding.remedy:
        text += f"\n[bold]→ {escape(finding.remedy)}[/bold]"
    style = STYLES[finding.level]
    topic = finding.topic if first else ""
    line.add_row(f"[{style}]{finding.level}[/{style}]", topic, text)
    out().print(line)
