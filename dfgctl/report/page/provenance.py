"""What the results were made with: commits, versions, machines and devices."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from dfgctl.errors import NothingToShowError
from dfgctl.records import Attempt, Run
from dfgctl.report.page.pictures import SHORT
from dfgctl.report.table import Cell, Column, Table

TREES = {True: "changed", False: "clean", None: "unknown"}
"""What a checkout was like, by the provenance's ``dirty``."""

NAMED = 5
"""Runs of changed trees that are named, before the rest are counted."""

COLUMNS = (
    *(Column("Commit", "label"), Column("Tree"), Column("dfgctl"), Column("Python")),
    *(Column("Packages"), Column("Machine"), Column("Device"), Column("Runs")),
    *(Column("First"), Column("Last")),
)


def make(runs: Sequence[Run], makings: Mapping[str, Attempt]) -> Table:
    """Make the table of provenance: a row for all runs that were made alike.

    Args:
        runs: the runs, in any state.
        makings: the attempt that made a run's result, by the run's id.

    Raises:
        NothingToShowError: no run has finished.
    """
    groups: dict[Hashable, list[str]] = {}
    for run in runs:
        if run.id in makings:
            groups.setdefault(_alike(makings[run.id]), []).append(run.id)
    if not groups:
        raise NothingToShowError(
            "No run has finished yet, so nothing was made: dfgctl worker trains what is queued."
        )
    records = [_record(ids, makings) for ids in groups.values()]
    changed = sorted(i for record in records if record["dirty"] for i in record["runs"])
    notes = []
    if changed:
        named = ", ".join(i[:SHORT] for i in changed[:NAMED])
        more = f" and {len(changed) - NAMED:,} more" if len(changed) > NAMED else ""
        notes.append(f"From a tree with changes that no commit has: {named}{more}.")
    return Table(
        name="provenance",
        title="Provenance",
        columns=COLUMNS,
        rows=[_row(record) for record in records],
        caption="What made the results of the finished runs that are shown here, those made alike "
        "in one row. dfgctl runs show RUN says it of a single one.",
        notes=notes,
        records=records,
    )


def _alike(attempt: Attempt) -> Hashable:
    return (repr(sorted(attempt.provenance.items(), key=lambda item: item[0])), attempt.device)


def _record(ids: Sequence[str], makings: Mapping[str, Attempt]) -> dict[str, Any]:
    own = [makings[i] for i in ids]
    made = own[0].provenance
    return {
        "commit": made.get("commit"),
        "dirty": made.get("dirty"),
        "dfgctl": made.get("dfgctl"),
        "python": made.get("python"),
        "packages": {name: v for name, v in made.get("packages", {}).items() if v},
        "platform": made.get("platform"),
        "processor": made.get("processor"),
        "threads": made.get("threads"),
        "device": own[0].device,
        "runs": list(ids),
        "first": min(attempt.started_at for attempt in own),
        "last": max(attempt.ended_at or attempt.started_at for attempt in own),
    }


def _row(record: Mapping[str, Any]) -> list[Cell]:
    packages = [f"{name} {version}" for name, version in record["packages"].items()]
    machine = [str(record[key]) for key in ("platform", "processor") if record[key]]
    if record["threads"]:
        machine.append(f"threads: {record['threads']}")
    times = [record["first"], record["last"]]
    return [
        Cell([str(record["commit"] or "none")[:SHORT]]),
        Cell([TREES[record["dirty"]]]),
        Cell([str(record["dfgctl"] or "unknown")]),
        Cell([str(record["python"] or "unknown")]),
        Cell(packages),
        Cell(machine),
        Cell([record["device"]]),
        Cell([f"{len(record['runs']):,}"], order=len(record["runs"])),
        *(Cell([f"{time:%Y-%m-%d %H:%M}"], order=time.timestamp()) for time in times),
    ]
