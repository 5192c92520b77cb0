"""What users do to the queue: runs are put in, cancelled, put back, and removed."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dfgctl.errors import InputError
from dfgctl.records import DatasetCard, PlannedRun, digest, has_ended
from dfgctl.registry import models
from dfgctl.registry.database import MANY, Database, lasting

ANEW = {"pack_limit": None, "losses": 0, "lease_until": None}
"""What a run starts with when a user puts it into the queue."""


class Intake(Database):
    """The registry's users' side."""

    @lasting
    def keep_card(self, card: DatasetCard) -> None:
        """Store what a data set is called and where it lies, anew if it has moved."""
        content = {k: v for k, v in asdict(card).items() if k not in ("digest", "name")}
        with self._writing() as session:
            row = {"digest": card.digest, "name": card.name, "content": content}
            self._add_new(session, models.Dataset, [row])
            session.get_one(models.Dataset, (card.digest, card.name)).content = content

    @lasting
    def enqueue(self, runs: Sequence[PlannedRun], force: bool = False) -> str:
        """Put those runs of a plan into the queue that are not finished.

        A finished run stays as it is, unless ``force`` queues it for another attempt, from step 0
        on; so does one that diverged. One that failed otherwise, or was cancelled, is queued again,
        and goes on from its newest checkpoint.

        Returns:
            The plan's id, by which workers claim these runs and no others.
        """
        unique = {run.id: run for run in runs}
        with self._writing() as session:
            now = self._now(session)
            known = self._statuses(session, list(unique))
            outcomes = self._last_outcomes(session, list(known))
            new: list[dict[str, Any]] = []
            again: list[tuple[str, datetime, bool]] = []
            # A microsecond apart, so that lists and the queue keep the order of the plan.
            for position, run in enumerate(unique.values()):
                at = now + timedelta(microseconds=position)
                if run.id not in known:
                    new.append(
                        {
                            "id": run.id,
                            "dataset": run.spec.dataset,
                            "method": run.spec.method,
                            "group": run.spec.group(),
                            "spec": asdict(run.spec),
                            "class_counts": list(run.class_counts),
                            "status": "queued",
                            "created_at": at,
                            "queued_at": at,
                            # A claim of a run that was removed must not fit one put in anew.
                            "token": secrets.randbelow(2**30),
                        }
                    )
                    continue
                idle = known[run.id] not in ("queued", "running")
                ended = has_ended(known[run.id], outcomes.get(run.id))
                if idle and (force or not ended):
                    again.append((run.id, at, ended))
            # By id, so that two commands never wait for each other.
            self._add_new(session, models.Run, sorted(new, key=lambda row: row["id"]))
            for run_id, at, ended in sorted(again):
                values: dict[str, Any] = {**ANEW, "status": "queued", "queued_at": at}
                if ended:
                    values["checkpoint_step"] = 0
                # Another process may have claimed it since it was looked at.
                idle_still = models.Run.status.not_in(("queued", "running"))
                session.execute(
                    update(models.Run).where(models.Run.id == run_id, idle_still).values(values)
                )
            return self._keep_plan(session, list(unique))

    @lasting
    def keep_plan(self, ids: Sequence[str]) -> str:
        """Store which runs of the registry a command wants; return the plan's id."""
        with self._writing() as session:
            return self._keep_plan(session, ids)

    @staticmethod
    def _statuses(session: Session, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in parts_of(ids):
            query = select(models.Run.id, models.Run.status).where(models.Run.id.in_(part))
            found.update({row.id: row.status for row in session.execute(query)})
        return found

    def _keep_plan(self, session: Session, ids: Sequence[str]) -> str:
        plan = digest(sorted(ids))[:16]
        row = {"id": plan, "created_at": self._now(session)}
        self._add_new(session, models.Plan, [row])
        # Held, so that nobody clears it as done; who just did made it necessary again.
        if session.get(models.Plan, plan, with_for_update=True) is None:
            self._add_new(session, models.Plan, [row])
        # Of a plan that is known already, runs may have been removed.
        rows = [{"plan": plan, "run_id": run_id} for run_id in sorted(ids)]
        self._add_new(session, models.PlanRun, rows)
        return plan

    @staticmethod
    def _last_outcomes(session: Session, ids: Sequence[str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for part in parts_of(ids):
            last = (
                select(models.Attempt.run_id, models.Attempt.outcome)
                .join(
                    models.Run,
                    (models.Run.id == models.Attempt.run_id)
                    & (models.Run.attempts == models.Attempt.number),
                )
                .where(models.Run.id.in_(part))
            )
            found.update({row.run_id: row.outcome for row in session.execute(last)})
        return found

    @lasting
    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Take runs out of the queue, also those being trained; their workers notice at a beat.

        Returns:
            The ids of those that were queued or running.
        """
        cancelled: list[str] = []
        with self._writing() as session:
            now = self._now(session)
            for row in _rows(session, ids):
                if row.status not in ("queued", "running"):
                    continue
                if row.status == "running":
                    attempt = session.get_one(models.Attempt, (row.id, row.attempts))
                    attempt.outcome, attempt.ended_at = "cancelled", now
                row.status, row.lease_until = "cancelled", None
                cancelled.append(row.id)
        return cancelled

    @lasting
    def retry(self, ids: Sequence[str]) -> list[str]:
        """Put runs that failed or were cancelled back into the queue, at its end.

        They go on from their newest checkpoint, but those that diverged start anew.

        Returns:
            The ids of those that were put back.
        """
        queued: list[str] = []
        with self._writing() as session:
            now = self._now(session)
            outcomes = self._last_outcomes(session, ids)
            for row in _rows(session, ids):
                if row.status not in ("failed", "cancelled"):
                    continue
                row.status, row.queued_at = "queued", now + timedelta(microseconds=len(queued))
                for name, value in ANEW.items():
                    setattr(row, name, value)
                if outcomes.get(row.id) == "diverged":
                    row.checkpoint_step = 0
                queued.append(row.id)
        return queued

    @lasting
    def remove(self, ids: Sequence[str]) -> None:
        """Delete runs with their attempts and evaluations, all of them or none.

        Raises:
            InputError: one of them is being trained.
        """
        with self._writing() as session:
            running = [row.id for row in _rows(session, ids) if row.status == "running"]
            if running:
                raise InputError(
                    f"Run {running[0][:10]} is being trained: dfgctl runs cancel it first."
                )
            for part in parts_of(ids):
                session.execute(delete(models.Run).where(models.Run.id.in_(part)))


def parts_of(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide ids into as many as a statement may hold."""
    for start in range(0, len(ids), MANY):
        yield ids[start : start + MANY]


def _rows(session: Session, ids: Sequence[str]) -> Iterator[models.Run]:
    """Return runs by id, held until the transaction ends."""
    for part in parts_of(ids):
        query = select(models.Run).where(models.Run.id.in_(part)).order_by(models.Run.id)
        yield from session.scalars(query.with_for_update()).all()
