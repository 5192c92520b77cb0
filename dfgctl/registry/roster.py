"""The workers: where they are, when they were last seen, what they do."""

from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import delete, or_, select

from dfgctl.records import WorkerState
from dfgctl.registry import models
from dfgctl.registry.database import LEASE, Database, lasting

REMEMBERED = timedelta(days=7)
"""How long a worker that is gone stays in the list."""


class Roster(Database):
    """The registry's workers."""

    @lasting
    def sign_on(self, worker: WorkerState) -> None:
        """Note that a worker has started; its times are the database's."""
        with self._writing() as session:
            now = self._now(session)
            old = or_(models.Worker.seen_at < now - REMEMBERED, models.Worker.name == worker.name)
            session.execute(delete(models.Worker).where(old))
            values = {**asdict(worker), "started_at": now, "seen_at": now, "ended_at": None}
            session.add(models.Worker(**values))

    def sign(self, worker: WorkerState) -> None:
        """Note what a worker does now, and that it lives."""
        with self._writing() as session:
            row = session.get(models.Worker, worker.name)
            if row is not None:
                row.seen_at, row.doing = self._now(session), dict(worker.doing)

    def sign_off(self, worker: WorkerState) -> None:
        """Note that a worker has ended in order."""
        with self._writing() as session:
            row = session.get(models.Worker, worker.name)
            if row is not None:
                row.ended_at = row.seen_at = self._now(session)
                row.doing = {}

    @lasting
    def workers(self, gone: bool = False) -> list[WorkerState]:
        """Return the workers that live, the first one first; ``gone`` adds all that are known."""
        query = select(models.Worker).order_by(models.Worker.started_at, models.Worker.name)
        with self._reading() as session:
            if not gone:
                alive = models.Worker.seen_at > self._now(session) - LEASE
                query = query.where(alive, models.Worker.ended_at.is_(None))
            return [
                WorkerState(
                    name=row.name,
                    host=row.host,
                    pid=row.pid,
                    device=row.device,
                    launcher=row.launcher,
                    started_at=row.started_at,
                    seen_at=row.seen_at,
                    ended_at=row.ended_at,
                    doing=row.doing,
                    log=row.log,
                )
                for row in session.scalars(query)
            ]
