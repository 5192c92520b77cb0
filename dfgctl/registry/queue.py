"""The registry as the queue: runs are claimed under a lease, which is renewed or ends."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, true, update
from sqlalchemy.orm import Session

from dfgctl import RESULTS_VERSION
from dfgctl.errors import LeaseLostError
from dfgctl.records import PRECISIONS, Claim, Run
from dfgctl.registry import models
from dfgctl.registry.database import LEASE, lasting
from dfgctl.registry.outcomes import Outcomes
from dfgctl.registry.reading import Reader
from dfgctl.registry.rows import spec_of

MAX_LOSSES = 3
"""Workers that may vanish with a run, without a checkpoint in between, before it fails."""

_kinds: dict[str, tuple[int, str]] = {}
"""Results version and precision of each group that was met; a group never changes."""


class Queue(Outcomes, Reader):
    """The registry's side for workers that look for work."""

    @lasting
    def expire(self) -> int:
        """Return runs whose lease has ended to the queue; return how many there were.

        A run whose workers vanished ``MAX_LOSSES`` times fails. After an outage of the registry
        nothing expires for a while: those who hold leases could not renew them.
        """
        if time.monotonic() < self._trouble_at + LEASE.total_seconds():
            return 0
        with self._reading() as session:
            late = select(models.Run.id).where(self._late(session)).limit(1)
            if session.scalar(late) is None:
                return 0
        with self._writing() as session:
            late_rows = session.scalars(
                select(models.Run)
                .where(self._late(session))
                .order_by(models.Run.id)
                .with_for_update(skip_locked=True)
            ).all()
            for row in late_rows:
                self._lose(session, row, f"No sign of life since {row.lease_until:%H:%M:%S} UTC.")
            return len(late_rows)

    @lasting
    def lose(self, worker: str, error: str, outcome: str = "lost") -> int:
        """Return the runs of a worker to the queue that is known to be dead.

        Args:
            worker: its name.
            error: how it ended.
            outcome: ``lost``, or ``interrupted`` where the user ended it.

        Returns:
            How many runs it had.
        """
        with self._writing() as session:
            held = (
                select(models.Run)
                .join(
                    models.Attempt,
                    (models.Attempt.run_id == models.Run.id)
                    & (models.Attempt.number == models.Run.attempts),
                )
                .where(models.Run.status == "running", models.Attempt.worker == worker)
                .order_by(models.Run.id)
                .with_for_update(of=models.Run)
            )
            rows = session.scalars(held).all()
            for row in rows:
                self._lose(session, row, error, outcome)
            return len(rows)

    def _lose(self, session: Session, row: models.Run, error: str, outcome: str = "lost") -> None:
        attempt = self._end_attempt(session, row.id, row.attempts, outcome, error)
        row.status, row.lease_until = "queued", None
        if outcome != "lost":
            return
        row.losses += 1
        if row.losses >= MAX_LOSSES:
            row.status = "failed"
        elif row.losses > 1:
            # One member may be what ends the worker: the others must not go along.
            row.pack_limit = max(1, attempt.pack_size // 2)

    def _late(self, session: Session) -> ColumnElement[bool]:
        """Say which runs' lease has ended; one far ahead was written by a clock that was wrong."""
        now, until = self._now(session), models.Run.lease_until
        ended = or_(until < now, until > now + 4 * LEASE)
        return (models.Run.status == "running") & ended

    @lasting
    def next_queued(
        self, plan: str | None, precisions: Collection[str] = PRECISIONS
    ) -> tuple[Run, int] | None:
        """Look at the first queued run, and leave it there.

        Args:
            plan: the plan whose runs are wanted; None for any.
            precisions: in which the worker can train.

        Returns:
            The run, and how many queued runs might share its pack, itself among them; None when
            nothing that is wanted is queued.
        """
        with self._reading() as session:
            wanted = self._wanted(session, plan, precisions)
            first = session.scalar(select(models.Run).where(wanted).order_by(*ORDER).limit(1))
            if first is None:
                return None
            alike = select(func.count()).select_from(models.Run).where(wanted, _alike(first))
            count = session.scalar(alike) or 1
            run_id, limit = first.id, first.pack_limit
        found = self.runs([run_id])
        return (found[0], min(count, limit or count)) if found else None

    def claim(
        self,
        plan: str | None,
        pack: int | Mapping[str, int],
        worker: str,
        device: str,
        provenance: Mapping[str, Any],
        precisions: Collection[str] = PRECISIONS,
    ) -> Claim | None:
        """Take the first queued run, and others that may share its pack.

        Those have its group, and their newest checkpoint at the same step. One transaction writes
        the lease, the token and the attempts. On PostgreSQL, runs that another claim is just taking
        are passed by.

        Args:
            plan: the plan whose runs are wanted; None for any.
            pack: runs of a pack at the most; or that of each group whose runs are wanted.
            worker: who claims.
            device: where it will train.
            provenance: what it will run on.
            precisions: those that the device can compute in; runs of others are passed by.

        Returns:
            The claim, or None when nothing that is wanted is queued.
        """
        taken = self._take(plan, pack, worker, device, provenance, precisions)
        if taken is None:
            return None
        numbers, token, step = taken
        known = {run.id: run for run in self._read(numbers)}
        ids = [i for i in numbers if i in known]  # but those that were removed in between
        if not ids:
            return None
        return Claim(tuple(known[i] for i in ids), token, tuple(numbers[i] for i in ids), step)

    @lasting
    def _read(self, ids: Iterable[str]) -> list[Run]:
        return self.runs(ids)

    @lasting
    def _take(
        self,
        plan: str | None,
        pack: int | Mapping[str, int],
        worker: str,
        device: str,
        provenance: Mapping[str, Any],
        precisions: Collection[str],
    ) -> tuple[dict[str, int], int, int] | None:
        """Claim a pack; return the attempt of each run by its id, the token and the step."""
        with self._writing() as session:
            wanted = self._wanted(session, plan, precisions)
            if not isinstance(pack, int):
                wanted &= models.Run.group.in_(list(pack))
            free = select(models.Run).where(wanted).order_by(*ORDER)
            free = free.with_for_update(skip_locked=True, of=models.Run)
            first = session.scalars(free.limit(1)).first()
            if first is None:
                return None
            most = pack if isinstance(pack, int) else pack[first.group]
            most = min(most, first.pack_limit or most)
            rows = session.scalars(free.where(_alike(first)).limit(most)).all()
            now = self._now(session)
            content = self._provenance(session, provenance)
            token = max(row.token for row in rows) + 1
            for row in rows:
                row.status, row.token, row.lease_until = "running", token, now + LEASE
                row.attempts += 1
            session.execute(
                insert(models.Attempt),
                [
                    {
                        "run_id": row.id,
                        "number": row.attempts,
                        "token": token,
                        "worker": worker,
                        "device": device,
                        "pack_size": len(rows),
                        "started_at": now,
                        "provenance": content,
                    }
                    for row in rows
                ],
            )
            return {row.id: row.attempts for row in rows}, token, rows[0].checkpoint_step

    @lasting
    def passed_by(self, plan: str | None, precisions: Collection[str]) -> dict[str, int]:
        """Count the queued runs whose precision is none of those, by precision."""
        found: Counter[str] = Counter()
        for (version, precision), count in self._queued_kinds(plan).items():
            if version == RESULTS_VERSION and precision not in precisions:
                found[precision] += count
        return dict(found)

    @lasting
    def of_other_versions(self, plan: str | None) -> dict[int, int]:
        """Count the queued runs that this code would give other results, by their version."""
        found: Counter[int] = Counter()
        for (version, _), count in self._queued_kinds(plan).items():
            if version != RESULTS_VERSION:
                found[version] += count
        return dict(found)

    def _queued_kinds(self, plan: str | None) -> Counter[tuple[int, str]]:
        """Count the queued runs by results version and precision."""
        group = models.Run.group
        kinds: Counter[tuple[int, str]] = Counter()
        with self._reading() as session:
            counted = select(group, func.count()).where(_queued(plan)).group_by(group)
            for name, count in session.execute(counted).all():
                kinds[self._kind(session, name)] += count
        return kinds

    def _wanted(
        self, session: Session, plan: str | None, precisions: Collection[str]
    ) -> ColumnElement[bool]:
        """Say which queued runs are wanted: those that this code, in a precision, can train.

        Those of another results version would not be what their identity says.
        """
        fitting = []
        for group in session.scalars(select(models.Run.group).where(_queued(plan)).distinct()):
            version, precision = self._kind(session, group)
            if version == RESULTS_VERSION and precision in precisions:
                fitting.append(group)
        return _queued(plan) & models.Run.group.in_(fitting)

    def _kind(self, session: Session, group: str) -> tuple[int, str]:
        """Return the results version and the precision of a group's runs.

        The database is not asked to look into their JSON: PostgreSQL cannot where a text holds
        a zero.
        """
        if group not in _kinds:
            one = select(models.Run.spec).where(models.Run.group == group).limit(1)
            spec = spec_of(session.scalars(one).one())
            _kinds[group] = spec.results_version, spec.precision
        return _kinds[group]

    @lasting
    def beat(self, claim: Claim) -> frozenset[int]:
        """Renew a claim's lease for those of its runs that it still trains.

        Returns:
            Their places in the claim; others have ended, were cancelled, or passed to another.

        Raises:
            LeaseLostError: it trains none of them any more.
        """
        with self._writing() as session:
            until = self._now(session) + LEASE
            renewed = self._lock(session, claim)
            these = models.Run.id.in_(renewed)
            session.execute(update(models.Run).where(these).values(lease_until=until))
        if not renewed:
            raise LeaseLostError("The lease on these runs has passed to another worker.")
        return frozenset(i for i, run in enumerate(claim.runs) if run.id in renewed)


ORDER = (models.Run.queued_at, models.Run.id)


def _queued(plan: str | None) -> ColumnElement[bool]:
    return (models.Run.status == "queued") & _of_plan(plan)


def _alike(first: models.Run) -> ColumnElement[bool]:
    """Say which runs may share a run's pack."""
    return (
        (models.Run.group == first.group)
        & (models.Run.checkpoint_step == first.checkpoint_step)
        & models.Run.pack_limit.is_not_distinct_from(first.pack_limit)
    )


def _of_plan(plan: str | None) -> ColumnElement[bool]:
    if plan is None:
        return true()
    member = (models.PlanRun.plan == plan) & (models.PlanRun.run_id == models.Run.id)
    return select(models.PlanRun.run_id).where(member).exists()
