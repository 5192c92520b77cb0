"""The ledger of readings as a table: where the paper and its released code differ."""

from collections import Counter
from collections.abc import Sequence

from dfgctl import ledger
from dfgctl.records import Run
from dfgctl.report.table import Cell, Column, Table


def make(runs: Sequence[Run]) -> Table:
    """Make the table of the ledger's rows, with how many finished runs took which reading.

    Args:
        runs: the runs, in any state.
    """
    finished = [run for run in runs if run.metrics is not None]
    # Repeats share all that their readings depend on: each kind is looked at once.
    kinds = Counter(
        (run.spec.method, run.spec.backbone, run.spec.protocol, id(run.spec.settings))
        for run in finished
    )
    specs = {
        (run.spec.method, run.spec.backbone, run.spec.protocol, id(run.spec.settings)): run.spec
        for run in finished
    }
    used: dict[str, Counter[str]] = {}
    for kind, spec in specs.items():
        for record in ledger.table(spec):
            if record["used"]:
                used.setdefault(str(record["id"]), Counter())[str(record["used"])] += kinds[kind]
    records = ledger.table()
    return Table(
        name="readings",
        title="The ledger of readings",
        columns=[Column("Id", "label"), *map(Column, ("What", "paper", "released", "Runs"))],
        rows=[
            [
                Cell([str(record["id"])]),
                Cell([str(record["what"])]),
                Cell([str(record["paper"])]),
                Cell([str(record["released"]) if record["switch"] else "the same"]),
                _count(used.get(str(record["id"]), Counter())),
            ]
            for record in records
        ],
        caption="Where the paper and its released code differ, and how many of the finished runs "
        "shown here took which reading; a row that does not touch any has none.",
        notes=["dfgctl ledger RUN says which readings a single run took."],
        records=[{**r, "runs": dict(used.get(str(r["id"]), {}))} for r in records],
    )


def _count(used: Counter[str]) -> Cell:
    lines = [f"{used[name]:,} {name}" for name in ("both", "paper", "released") if used[name]]
    return Cell(lines or ["none"], order=sum(used.values()))
