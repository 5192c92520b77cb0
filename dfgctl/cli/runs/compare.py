"""``dfgctl runs compare``: what differs between runs, side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption
from dfgctl.cli.output import escape, out, print_json, reported
from dfgctl.cli.runs.choice import opened

if TYPE_CHECKING:
    from rich.console import Console

    from dfgctl.records import Run, Settings
    from dfgctl.registry import Registry

SHARES = (
    *("accuracy_last", "accuracy_best", "accuracy_val", "accuracy_unseen"),
    *("balanced_accuracy", "macro_f1", "gmean", "majority_recall", "minority_recall"),
)
"""Metrics in [0, 1], which are shown in percent."""

RECALLS = 12
"""Classes whose recalls are shown where not all is asked for."""

CELL, NAME = 12, 28
"""Columns that a value and a name need at the least to stand side by side."""


@dataclass(frozen=True)
class Row:
    """One setting or result of all the runs.

    Attributes:
        section: ``settings`` or ``results``.
        name: what it is.
        values: one for each run; None where a run has none.
    """

    section: str
    name: str
    values: tuple[Any, ...]

    @property
    def equal(self) -> bool:
        """Whether it is the same for all."""
        return all(value == self.values[0] for value in self.values)

    @property
    def difference(self) -> float | None:
        """The second number less the first, where there are two that differ."""
        if len(self.values) != 2 or self.equal:
            return None
        a, b = self.values
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values)
        return b - a if numbers else None


@reported
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Ids of runs, or the start of them.",
            autocompletion=complete.runs,
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="Show what is equal, too.")] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """Compare runs: the settings and results that differ, side by side."""
    from dfgctl.errors import InputError

    store = opened(registry, runs[0])
    found = [store.find(run) for run in runs]
    if len({run.id for run in found}) < 2:
        raise InputError("It takes two runs to compare: name another, e.g. from dfgctl runs list.")
    found = list({run.id: run for run in found}.values())
    rows = _rows(store, found)
    if json:
        print_json(_json(found, rows, every))
        return
    _print(found, rows, every)


def _rows(store: "Registry", runs: "list[Run]") -> list[Row]:
    rows = []
    for section, values in (
        ("settings", [_settings(run) for run in runs]),
        ("results", [_results(store, run) for run in runs]),
    ):
        names = dict.fromkeys(name for of_run in values for name in of_run)
        rows += [Row(section, n, tuple(v.get(n) for v in values)) for n in names]
    return rows


def _settings(run: "Run") -> dict[str, Any]:
    """Return what a run's identity is computed from, flat."""
    spec = dict(vars(run.spec))
    del spec["settings"]
    spec["combination"] = list(run.spec.combination)
    spec["precision"] = run.spec.precision
    for section, values in _sections(run).items():
        spec |= {f"{section}.{key}": value for key, value in values.items()}
    return spec


def _sections(run: "Run") -> "Settings":
    """Return a run's settings less its precision, which each run has."""
    from dfgctl.fragments import TUNED

    found = {n: dict(values) for n, values in run.spec.settings.items() if n != "numerics"}
    if search := found.get(
        TUNED
    ):  # its values and pairs stand in the fragment, and the settings beside
        found[TUNED] = {name: search[name] for name in ("trials", "found")}
    return found


def _results(store: "Registry", run: "Run") -> dict[str, Any]:
    """Return how a run went, flat, and what it ran on."""
    from dfgctl.cli.names import status

    found: dict[str, Any] = {"status": status(run), "attempts": run.attempts}
    if run.metrics is not None:
        metrics = dict(vars(run.metrics))
        del metrics["confusion"]
        recalls = metrics.pop("recalls")
        found |= metrics
        found |= {f"recall.{c}": recall for c, recall in enumerate(recalls)}
    number = run.result_attempt or run.attempts
    for attempt in store.attempts(run.id):
        if attempt.number == number:
            made = attempt.provenance
            found |= {"device": attempt.device, "pack_size": attempt.pack_size}
            found["peak_bytes"] = attempt.peak_bytes
            found |= {"commit": made.get("commit"), "torch": made.get("packages", {}).get("torch")}
    return found


def _json(runs: "list[Run]", rows: list[Row], every: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"runs": [run.id for run in runs]}
    for section in ("settings", "results"):
        of_section = [row for row in rows if row.section == section]
        found[section] = {}
        for row in of_section:
            if every or not row.equal:
                entry: dict[str, Any] = {"values": list(row.values)}
                if row.difference is not None:
                    entry["difference"] = row.difference
                found[section][row.name] = entry
        found[f"equal_{section}"] = sum(row.equal for row in of_section)
    return found


def _print(runs: "list[Run]", rows: list[Row], every: bool) -> None:
    from dfgctl.cli.names import counted

    console = out(wide=True)
    shown = [row for row in rows if every or not row.equal]
    recalls = [row for row in shown if row.name.startswith("recall.")]
    notes: list[str] = []
    if len(recalls) > RECALLS and not every:
        shown = [row for row in shown if row not in recalls]
        notes.append(f"The recalls of {len(recalls)} classes differ, too: --all shows them.")
    if not every:
        shown, lines = _without_others(runs, shown)
        notes += lines
    if console.width < NAME + CELL * len(runs):
        _print_stacked(console, runs, shown)
    else:
        _print_table(console, runs, shown)
    equal = {s: sum(r.equal for r in rows if r.section == s) for s in ("settings", "results")}
    parts = [counted(count, name[:-1]) for name, count in equal.items() if count]
    if parts and not every:
        verb = "is" if sum(equal.values()) == 1 else "are"
        notes.append(f"{' and '.join(parts)} {verb} equal: --all shows them.")
    for note in notes:
        console.print(note, style="dim")


def _without_others(runs: "list[Run]", rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Leave out the settings that not all methods read; say of each run which those are."""
    from dfgctl.cli.names import counted, short

    sections = [_sections(run) for run in runs]
    common = set(sections[0]).intersection(*sections)
    lines = []
    for run in runs:
        own = {name: values for name, values in _sections(run).items() if name not in common}
        if own:
            count = counted(sum(map(len, own.values())), "setting")
            names = ", ".join(own)
            lines.append(f"{short(run.id)} reads {names}, not all do ({count}): --all shows them.")
    every = {name for of_run in sections for name in of_run}
    hidden = tuple(f"{name}." for name in every - common)
    kept = [r for r in rows if r.section != "settings" or not r.name.startswith(hidden)]
    return kept, lines


def _print_table(console: "Console", runs: "list[Run]", rows: list[Row]) -> None:
    from rich.table import Table

    from dfgctl.cli.names import short

    differences = any(row.difference is not None for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max((len(_label(row.name)) for row in rows), default=0)
    table.add_column("", overflow="fold", min_width=min(longest, NAME - 2))
    for run in runs:
        table.add_column(short(run.id), justify="right", overflow="fold")
    if differences:
        table.add_column("Difference", justify="right", no_wrap=True)
    section = ""
    for row in rows:
        if row.section != section:
            if section:
                table.add_row()
            section = row.section
            table.add_row(f"[bold]{section.capitalize()}[/bold]")
        cells = [escape(written(row.name, value)) for value in row.values]
        if differences:
            cells.append(_difference(row))
        table.add_row(escape(_label(row.name)), *cells)
    console.print(table)


def _print_stacked(console: "Console", runs: "list[Run]", rows: list[Row]) -> None:
    """Print each value in a line of its own: there are too many runs for the terminal."""
    from dfgctl.cli.names import short

    for row in rows:
        console.print(_label(row.name), style="bold", markup=False)
        for run, value in zip(runs, row.values, strict=True):
            console.print(f"  {short(run.id)}  {written(row.name, value)}", markup=False)


def _label(name: str) -> str:
    return f"{name} %" if _is_share(name) else name


def _is_share(name: str) -> bool:
    return name in SHARES or name.startswith("recall.")


def written(name: str, value: Any) -> str:
    """Write a value of a setting or result; a share in percent, a digest short."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.2f}" if _is_share(name) else f"{value:g}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if name.endswith(("step", "steps")) else str(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    return text[:10] if name.endswith(("digest", "identity", "commit")) else text


def _difference(row: Row) -> str:
    value = row.difference
    if value is None:
        return ""
    if _is_share(row.name):
        return f"{100 * value:+.2f}"
    return f"{value:+,}" if isinstance(value, int) else f"{value:+.4g}"
