"""``dfgctl runs list``: the runs, a line each."""

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dfgctl.cli.options import (
    DEFAULT_REGISTRY,
    JsonOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import err, escape, out, print_json_list, reported
from dfgctl.cli.runs.choice import (
    DatasetFilter,
    MethodFilter,
    SinceFilter,
    StatusFilter,
    Wanted,
    wanted,
)

if TYPE_CHECKING:
    from dfgctl.records import Run
    from dfgctl.registry import Registry
    from dfgctl.report.selection import Select

NARROW, FEW = 100, 3
"""Columns up to which a terminal is narrow, and how many majority classes of a run it shows."""

SHOWN = 50
"""Runs that a list for reading shows, if not told otherwise."""

NUMBERS = ("Ratio", "Seed", "Steps")
GAP = 2
"""Columns between those of the table."""

SPARE = ("Steps", "Majority", "Ratio", "Seed", "Data set")
"""Columns that a narrow terminal does without, the first one first."""


class Sort(StrEnum):
    """How a list is sorted."""

    created = "created"
    accuracy = "accuracy"
    dataset = "dataset"
    method = "method"
    status = "status"


@reported
def list_runs(
    dataset: DatasetFilter = None,
    method: MethodFilter = None,
    status: StatusFilter = None,
    since: SinceFilter = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Only the newest N, or with --sort accuracy the best; 0 is all. \\[default: "
            f"{SHOWN}; all with --json]",
        ),
    ] = None,
    sort: Annotated[
        Sort, typer.Option(help="What the list goes up by; runs that are equal, by age.")
    ] = Sort.created,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """List runs, the newest last."""
    store = open_registry(registry)
    filters = wanted(store, dataset, method, status, since)
    if limit is None:
        limit = 0 if json else SHOWN
    runs = _sorted(store, filters, sort, select, limit) if store else []
    if json:
        print_json_list(record(r, select) for r in runs)
        return
    if not runs:
        if store is not None and store.counts():
            err().print("No such runs: dfgctl runs list shows all.")
        else:
            err().print("No runs yet: train some, e.g. dfgctl run digits.")
        return
    # Only a list that is full may have left some out.
    cut = store is not None and len(runs) == limit
    total = len(store.matching(**filters.filters)) if store and cut else len(runs)
    _print_list(runs, select, total)


def _sorted(
    store: "Registry", filters: Wanted, sort: Sort, select: "Select | None", limit: int
) -> "list[Run]":
    from dfgctl.report.selection import accuracy_of

    if sort is not Sort.accuracy:
        runs = store.runs(**filters.filters, newest=limit or None)
        if sort is Sort.created:
            return runs
        names = {Sort.dataset: "spec.dataset", Sort.method: "spec.method", Sort.status: "status"}
        return sorted(runs, key=attrgetter(names[sort]))

    def height(run: "Run") -> float:
        accuracy = accuracy_of(run, select)
        return -1.0 if accuracy is None else accuracy

    return sorted(store.runs(**filters.filters), key=height)[-limit:]


def record(run: "Run", select: "Select | None" = None) -> dict[str, Any]:
    """Return a run as a plain object, its keys named as the records' fields.

    Args:
        run: the run.
        select: which of its accuracies is ``accuracy``; None for that of its own reading (F14).
    """
    from dataclasses import asdict

    from dfgctl.ledger import PAPER, RELEASED, readings_of, touching
    from dfgctl.report.selection import accuracy_of, shown_of

    used = readings_of(run.spec)
    switches = touching(run.spec.method, run.spec.backbone)
    spec = asdict(run.spec)
    metrics = asdict(run.metrics) if run.metrics else None
    return {
        "id": run.id,
        **spec,
        "precision": run.spec.precision,
        "readings": {i: RELEASED if i in used else PAPER for i in switches},
        "status": run.status,
        "outcome": run.outcome,
        "error": run.error,
        "class_counts": list(run.class_counts),
        "created_at": run.created_at.isoformat(),
        "attempts": run.attempts,
        "device": run.device,
        "worker": run.worker,
        "checkpoint_step": run.checkpoint_step,
        "pack_size": run.pack_size,
        "peak_bytes": run.peak_bytes,
        "dirty": run.dirty,
        "select": shown_of(run, select).value,
        "accuracy": accuracy_of(run, select),
        "metrics": metrics,
    }


def _print_list(runs: "list[Run]", select: "Select | None", total: int) -> None:
    from rich.table import Table

    from dfgctl.cli.names import counted
    from dfgctl.report.selection import CAPTIONS, Select, shown_of

    shown = {shown_of(run, select) for run in runs}
    console = out(wide=True)
    accuracy = f"{next(iter(shown)).capitalize()} %" if len(shown) == 1 else "Acc. %"
    rows = [
        {**_cells(run, console.width), accuracy: _accuracy(run, select, named=len(shown) > 1)}
        for run in runs
    ]
    # An outcome after a status may fold, and so may a reason in place of a number.
    folding = ("Status", accuracy)
    widths = {
        name: max(_width(row[name], name in folding) for row in [{name: name}, *rows])
        for name in rows[0]
    }
    left_out = []
    for name in SPARE:
        if sum(widths.values()) + GAP * (len(widths) - 1) > console.width:
            del widths[name]
            left_out.append(name)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    widths[accuracy] -= GAP  # rich adds it to the last column's width, too, but does not print it
    for name, width in widths.items():
        justify: Literal["left", "right"] = "right" if name in (*NUMBERS, accuracy) else "left"
        table.add_column(name, justify=justify, min_width=width, no_wrap=name not in folding)
    for row in rows:
        table.add_row(*(escape(row[name]) for name in widths))
    console.print(table)
    notes = console if console.is_terminal else err()
    if len(runs) < total:
        notes.print(
            f"{len(runs):,} of {total:,} runs: --limit 0 shows all.", style="dim", soft_wrap=True
        )
    elif console.is_terminal:
        console.print(counted(len(runs), "run"), style="dim")
    if left_out:
        names = ", ".join(name.lower() for name in left_out)
        console.print(f"Left out here: {names}; a wider terminal shows all.", style="dim")
    for one in (s for s in Select if s in shown and s is not Select.last):
        err().print(f"{CAPTIONS[one]}.", style="dim", soft_wrap=True)


def _cells(run: "Run", width: int) -> dict[str, str]:
    from dfgctl.cli.names import combination, short
    from dfgctl.cli.names import status as status_of
    from dfgctl.records import PRECISIONS

    spec = run.spec
    precision = "" if spec.precision == PRECISIONS[0] else f" {spec.precision}"
    return {
        "Run": short(run.id),
        "Data set": spec.dataset,
        "Method": spec.method + precision,
        "Ratio": spec.ratio,
        "Majority": combination(spec, None if width > NARROW else FEW),
        "Seed": str(spec.seed),
        "Steps": f"{spec.steps:,}",
        "Status": status_of(run),
    }


def _width(text: str, folds: bool) -> int:
    """Return the columns that a cell needs at the least."""
    from rich.cells import cell_len

    return max((cell_len(word) for word in (text.split() if folds else [text])), default=0)


def _accuracy(run: "Run", select: "Select | None", named: bool) -> str:
    """Write the accuracy of a run that is shown, and which it is where the list has several."""
    from dfgctl.report.selection import accuracy_of, gap_of, shown_of

    accuracy = accuracy_of(run, select)
    if accuracy is None:
        return gap_of(run, select) or ""
    value = f"{100 * accuracy:.2f}"
    return f"{value} {shown_of(run, select)}" if named else value
