"""Takes runs from one registry to another: what has ended goes out, what is missing comes in."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from dfgctl.registry import models
from dfgctl.registry.database import Database
from dfgctl.registry.intake import parts_of
from dfgctl.registry.lines import ENDED, Checked, Line, read, written
from dfgctl.registry.rows import spec_of

PART = 50
"""Runs that are read at a time, or imported in one transaction: workers have to write, too."""

ATTEMPT = ("worker", "device", "pack_size", "outcome", "error", "resumed_step")
RESULT = ("metrics", "confusion", "provenance")
EVALUATION = ("step", "accuracy", "loss", "val_accuracy", "losses", "seconds")
SOURCE = ("identity", "spec", "classes", "accuracy", "seconds", "provenance")
"""Columns that are exported as they are; a source network's path is another machine's."""


@dataclass
class Merged:
    """What an import did.

    Attributes:
        new: runs that were not here.
        more: runs that were here and lacked attempts.
        finished: those of ``more`` that had no result, and are finished now.
        same: runs that were here with all of their attempts.
        running: ids of runs that were left alone because they are being trained here.
    """

    new: int = 0
    more: int = 0
    finished: int = 0
    same: int = 0
    running: tuple[str, ...] = ()


class Transfer(Database):
    """The registry's export and import."""

    def export(self, ids: Sequence[str]) -> Generator[str]:
        """Write runs that have ended, and what they refer to, as the lines of an export.

        Runs come in the order of their creation, all of them as they were at one moment.

        Args:
            ids: which runs; those that have not ended, or are not there, are left out.
        """
        yield from written(self._lines(ids))

    def _lines(self, ids: Sequence[str]) -> Iterator[Line]:
        with self._reading() as session:
            if self._path is None:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                # Whoever reads what is written may pause.
                session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            runs: list[tuple[datetime, str]] = []
            cards: set[tuple[str, str]] = set()
            sources: set[str] = set()
            provenance: set[str] = set()
            run, attempt = models.Run, models.Attempt
            for part in parts_of(ids):
                query = select(run.id, run.created_at, run.dataset, run.spec)
                for row in session.execute(query.where(run.id.in_(part), run.status.in_(ENDED))):
                    runs.append((row.created_at, row.id))
                    cards.add((row.spec["data_digest"], row.dataset))
                    if row.spec["source_identity"] is not None:
                        sources.add(row.spec["source_identity"])
            order = [run_id for _, run_id in sorted(runs)]
            for part in parts_of(order):
                query_made = select(attempt.provenance).where(attempt.run_id.in_(part)).distinct()
                provenance |= set(session.scalars(query_made))
            found = [
                row
                for part in parts_of(sorted(sources))
                for row in session.scalars(
                    select(models.Source).where(models.Source.identity.in_(part))
                )
            ]
            provenance |= {row.provenance for row in found if row.provenance is not None}
            for key in sorted(provenance):
                content = session.get_one(models.Provenance, key).content
                yield "provenance", {"digest": key, "content": content}
            for card in sorted(cards):
                known = session.get(models.Dataset, card)
                if known is not None:
                    yield "dataset", {"digest": card[0], "name": card[1], "content": known.content}
            for source in found:
                yield "source", {name: getattr(source, name) for name in SOURCE}
            for start in range(0, len(order), PART):
                yield from _exported(session, order[start : start + PART])

    def merge(self, checked: Checked) -> Merged:
        """Import an export: nothing that is here is overwritten, and twice is as once.

        A run that is not here comes with everything. One that is here keeps its status and result
        and gets the attempts that it lacks, numbered after its own; if it has no result, the
        result of such an attempt becomes its own. Runs being trained here are left alone.

        Args:
            checked: the export, which was found whole.

        Raises:
            InputError: it was changed since.
        """
        merged = Merged()
        lines = read(checked.file)
        while part := list(islice(lines, PART)):
            with self._writing() as session:
                self._take_in(session, part, merged)
        return merged

    def _take_in(self, session: Session, part: Sequence[Line], merged: Merged) -> None:
        of = {kind: [data for k, data in part if k == kind] for kind in dict(part)}
        self._add_new(session, models.Provenance, of.get("provenance", ()))
        self._add_new(session, models.Dataset, of.get("dataset", ()))
        now = self._now(session)
        for source in of.get("source", ()):
            new = {"identity": source["identity"], "spec": source["spec"], "token": 0}
            self._add_new(session, models.Source, [{**new, "created_at": now}])
            untrained = (
                (models.Source.identity == source["identity"])
                & models.Source.classes.is_(None)
                & models.Source.lease_until.is_(None)
            )
            session.execute(update(models.Source).where(untrained).values(source))
        runs = of.get("run", ())
        ids = sorted({data["id"] for data in runs})
        known = set(session.scalars(select(models.Run.id).where(models.Run.id.in_(ids))))
        new_rows = {d["id"]: _row(d) for d in runs if d["id"] not in known}
        self._add_new(session, models.Run, list(new_rows.values()))
        held = select(models.Run).where(models.Run.id.in_(ids)).order_by(models.Run.id)
        rows = {row.id: row for row in session.scalars(held.with_for_update())}
        for data in runs:
            row = rows[data["id"]]
            if row.status == "running":
                merged.running += (row.id,)
            elif row.id in new_rows and not row.attempts and row.status == data["status"]:
                _add_attempts(session, row, data["attempts"])
                row.result_attempt = data["result_attempt"]
                merged.new += 1
            else:
                _add_missing(session, row, data, merged)


def _exported(session: Session, ids: Sequence[str]) -> Iterator[Line]:
    run, attempt, evaluation = models.Run, models.Attempt, models.Evaluation
    attempts: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in ids}
    numbers: dict[str, dict[int, int]] = {run_id: {} for run_id in ids}
    query = select(attempt).where(attempt.run_id.in_(ids)).order_by(attempt.run_id, attempt.number)
    for row in session.scalars(query):
        values = {name: getattr(row, name) for name in (*ATTEMPT, *RESULT)}
        if row.peak_bytes is not None:  # what was exported before it was kept stays as it was
            values["peak_bytes"] = row.peak_bytes
        values["started_at"] = row.started_at.isoformat()
        values["ended_at"] = row.ended_at.isoformat() if row.ended_at else None
        values["evaluations"] = []
        attempts[row.run_id].append(values)
        numbers[row.run_id][row.number] = len(attempts[row.run_id])
    measured = (
        select(evaluation.run_id, evaluation.attempt, *(getattr(evaluation, n) for n in EVALUATION))
        .where(evaluation.run_id.in_(ids))
        .order_by(evaluation.run_id, evaluation.attempt, evaluation.step)
    )
    for run_id, number, *shown in session.execute(measured):
        of_attempt = attempts[run_id][numbers[run_id][number] - 1]["evaluations"]
        of_attempt.append(dict(zip(EVALUATION, shown, strict=True)))
    rows = {row.id: row for row in session.scalars(select(run).where(run.id.in_(ids)))}
    for run_id in ids:
        found = rows[run_id]
        result = found.result_attempt
        yield (
            "run",
            {
                "id": run_id,
                "spec": found.spec,
                "class_counts": found.class_counts,
                "status": found.status,
                "created_at": found.created_at.isoformat(),
                "result_attempt": None if result is None else numbers[run_id][result],
                "attempts": attempts[run_id],
            },
        )
    session.expunge_all()


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    spec = spec_of(data["spec"])
    created = datetime.fromisoformat(data["created_at"])
    return {
        "id": data["id"],
        "dataset": spec.dataset,
        "method": spec.method,
        "group": spec.group(),
        "spec": data["spec"],
        "class_counts": data["class_counts"],
        "status": data["status"],
        "created_at": created,
        "queued_at": created,
    }


def _add_missing(
    session: Session, row: models.Run, data: Mapping[str, Any], merged: Merged
) -> None:
    """Give a run that is here the attempts that it lacks."""
    attempt = models.Attempt
    here = session.execute(
        select(attempt.number, attempt.worker, attempt.started_at, attempt.outcome)
        .where(attempt.run_id == row.id)
        .order_by(attempt.number)
    ).all()
    known = {(a.worker, a.started_at) for a in here}
    missing = [
        made
        for made in data["attempts"]
        if (made["worker"], datetime.fromisoformat(made["started_at"])) not in known
    ]
    if not missing:
        merged.same += 1
        return
    merged.more += 1
    result = data["result_attempt"]
    won = data["attempts"][result - 1] if result is not None else None
    if row.result_attempt is None and won in missing:
        row.result_attempt = row.attempts + 1 + missing.index(won)
        row.status, row.checkpoint_step, row.losses = "finished", 0, 0
        merged.finished += 1
    elif row.status == "failed" and here and here[-1].outcome == "diverged":
        # A run is not trained again if its last attempt diverged, so this one stays the last. It
        # has no files that go by its number.
        _renumber(session, row.id, row.attempts, row.attempts + len(missing))
        row.attempts -= 1
        _add_attempts(session, row, missing)
        row.attempts += 1
        return
    _add_attempts(session, row, missing)


def _renumber(session: Session, run_id: str, old: int, new: int) -> None:
    session.execute(
        update(models.Attempt)
        .where(models.Attempt.run_id == run_id, models.Attempt.number == old)
        .values(number=new)
    )
    session.execute(
        update(models.Evaluation)
        .where(models.Evaluation.run_id == run_id, models.Evaluation.attempt == old)
        .values(attempt=new)
    )


def _add_attempts(session: Session, row: models.Run, made: Sequence[Mapping[str, Any]]) -> None:
    """Add attempts after a run's own."""
    evaluations: list[dict[str, Any]] = []
    for number, values in enumerate(made, row.attempts + 1):
        ended = values["ended_at"]
        attempt = models.Attempt(
            run_id=row.id,
            number=number,
            token=0,
            started_at=datetime.fromisoformat(values["started_at"]),
            ended_at=datetime.fromisoformat(ended) if ended else None,
            provenance=values["provenance"],
            peak_bytes=values.get("peak_bytes"),
            **{name: values[name] for name in ATTEMPT},
        )
        if values["metrics"] is not None:
            attempt.metrics, attempt.confusion = values["metrics"], values["confusion"]
        session.add(attempt)
        for evaluation in values["evaluations"]:
            evaluations.append({**evaluation, "run_id": row.id, "attempt": number})
    row.attempts += len(made)
    if evaluations:
        session.execute(insert(models.Evaluation), evaluations)
