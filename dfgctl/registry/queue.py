"""The registry as the queue: runs are put in, claimed under a lease, measured, and ended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, ScalarResult, func, select, update
from sqlalchemy.orm import Session

from dfgctl.errors import LeaseLostError
from dfgctl.records import Claim, DatasetCard, Measurement, Metrics, PlannedRun, has_ended
from dfgctl.registry import models
from dfgctl.registry.database import LEASE
from dfgctl.registry.reading import Reader

MAX_ATTEMPTS = 3
"""Attempts after which a run whose workers keep vanishing counts as failed."""


class Queue(Reader):
    """The registry's writing side."""

    def keep_card(self, card: DatasetCard) -> None:
        """Store what a data set is called and where it lies, anew if it has moved."""
        content = {k: v for k, v in asdict(card).items() if k not in ("digest", "name")}
        with self._writing() as session:
            row = session.get(models.Dataset, (card.digest, card.name))
            if row is None:
                row = models.Dataset(digest=card.digest, name=card.name, content=content)
                session.add(row)
            else:
                row.content = content

    def enqueue(self, runs: Sequence[PlannedRun], force: bool = False) -> None:
        """Put those runs of a plan into the queue that are not finished.

        A finished run stays as it is, unless ``force`` queues it for another attempt; so does one
        that diverged. One that failed otherwise, or was cancelled, is queued again.
        """
        with self._writing() as session:
            now = self._now(session)
            known = {row.id: row for row in session.scalars(select(models.Run))}
            outcomes = self._last_outcomes(session)
            for position, run in enumerate(runs):
                row = known.get(run.id)
                if row is None:
                    row = models.Run(
                        id=run.id,
                        dataset=run.spec.dataset,
                        method=run.spec.method,
                        group=run.spec.group(),
                        spec=asdict(run.spec),
                        class_counts=list(run.class_counts),
                        status="queued",
                        # A microsecond apart, so that lists keep the order of the plan.
                        created_at=now + timedelta(microseconds=position),
                    )
                    session.add(row)
                    known[run.id] = row
                    continue
                idle = row.status not in ("queued", "running")
                if idle and (force or not has_ended(row.status, outcomes.get(row.id))):
                    row.status = "queued"

    def _last_outcomes(self, session: Session) -> dict[str, str | None]:
        last = select(models.Attempt.run_id, models.Attempt.outcome).join(
            models.Run,
            (models.Run.id == models.Attempt.run_id)
            & (models.Run.attempts == models.Attempt.number),
        )
        return {row.run_id: row.outcome for row in session.execute(last)}

    def expire(self) -> int:
        """Return runs whose lease has ended to the queue; return how many there were.

        A run whose workers vanished ``MAX_ATTEMPTS`` times fails.
        """
        with self._reading() as session:
            if not self._late(session).first():
                return 0
        with self._writing() as session:
            late = self._late(session).all()
            for row in late:
                self._end_attempt(
                    session, row, "lost", f"No sign of life since {row.lease_until:%H:%M:%S} UTC."
                )
                again = self._times_lost(session, row.id) < MAX_ATTEMPTS
                row.status = "queued" if again else "failed"
                row.lease_until = None
            return len(late)

    @staticmethod
    def _times_lost(session: Session, run_id: str) -> int:
        """Return how often a run's worker has vanished."""
        lost = (models.Attempt.run_id == run_id) & (models.Attempt.outcome == "lost")
        return session.scalar(select(func.count()).select_from(models.Attempt).where(lost)) or 0

    def _late(self, session: Session) -> ScalarResult[models.Run]:
        """Return the running runs whose lease has ended."""
        running, until = models.Run.status == "running", models.Run.lease_until
        return session.scalars(select(models.Run).where(running, until < self._now(session)))

    def claim(
        self,
        wanted: Sequence[str],
        pack: int,
        worker: str,
        device: str,
        provenance: Mapping[str, Any],
    ) -> Claim | None:
        """Take the first queued run of those wanted, and others of its group up to a pack.

        One transaction writes the lease, the token and the attempts.

        Args:
            wanted: run ids, in the order in which they are to be trained.
            pack: runs of a pack at the most.
            worker: who claims, e.g. host and process id.
            device: where it will train.
            provenance: what it will run on.

        Returns:
            The claim, or None when nothing that is wanted is queued.
        """
        with self._writing() as session:
            queued = dict(
                session.execute(
                    select(models.Run.id, models.Run.group).where(models.Run.status == "queued")
                ).all()
            )
            ready = [run_id for run_id in wanted if run_id in queued]
            if not ready:
                return None
            members = [i for i in ready if queued[i] == queued[ready[0]]][:pack]
            now = self._now(session)
            content = self._provenance(session, provenance)
            by_id = {
                row.id: row
                for row in session.scalars(select(models.Run).where(models.Run.id.in_(members)))
            }
            rows = [by_id[i] for i in members]
            token = max(row.token for row in rows) + 1
            for row in rows:
                row.status, row.token, row.lease_until = "running", token, now + LEASE
                row.attempts += 1
                session.add(
                    models.Attempt(
                        run_id=row.id,
                        number=row.attempts,
                        token=token,
                        worker=worker,
                        device=device,
                        pack_size=len(rows),
                        started_at=now,
                        provenance=content,
                    )
                )
            numbers = tuple(row.attempts for row in rows)
        return Claim(tuple(self.run(i) for i in members), token, numbers)

    def beat(self, claim: Claim) -> None:
        """Renew a claim's lease for those of its runs that it still trains.

        Raises:
            LeaseLostError: it trains none of them any more.
        """
        with self._writing() as session:
            until = self._now(session) + LEASE
            renewed = session.execute(
                update(models.Run)
                .where(
                    models.Run.id.in_([run.id for run in claim.runs]),
                    models.Run.token == claim.token,
                    models.Run.status == "running",
                )
                .values(lease_until=until)
            )
            if cast(CursorResult[Any], renewed).rowcount == 0:
                raise LeaseLostError("The lease on these runs has passed to another worker.")

    def record(self, claim: Claim, measurements: Mapping[int, Measurement]) -> None:
        """Store an evaluation of some of a claim's runs, by their place in it.

        Raises:
            LeaseLostError: the claim is stale.
        """
        with self._writing() as session:
            for i, measurement in measurements.items():
                self._held(session, claim, i)
                session.add(
                    models.Evaluation(
                        run_id=claim.runs[i].id, attempt=claim.attempts[i], **asdict(measurement)
                    )
                )

    def finish(self, claim: Claim, i: int, metrics: Metrics) -> None:
        """Mark a claim's run as finished, with its metrics.

        Raises:
            LeaseLostError: the claim is stale.
        """
        with self._writing() as session:
            row = self._held(session, claim, i)
            attempt = self._end_attempt(session, row, "finished", None)
            attempt.metrics = asdict(metrics)
            row.status, row.result_attempt, row.lease_until = "finished", row.attempts, None

    def fail(self, claim: Claim, i: int, outcome: str, error: str) -> None:
        """Mark a claim's run as failed.

        Args:
            claim: the claim.
            i: the run's place in it.
            outcome: how the attempt ended, one of ``records.OUTCOMES``.
            error: what happened, kept whole.

        Raises:
            LeaseLostError: the claim is stale.
        """
        with self._writing() as session:
            row = self._held(session, claim, i)
            self._end_attempt(session, row, outcome, error)
            row.status, row.lease_until = "failed", None

    def release(self, claim: Claim, outcome: str = "interrupted") -> None:
        """Give those runs of a claim back to the queue that have not ended; a stale claim has none.

        Args:
            claim: the claim.
            outcome: how their attempts ended.
        """
        with self._writing() as session:
            rows = session.scalars(
                select(models.Run).where(
                    models.Run.id.in_([run.id for run in claim.runs]),
                    models.Run.token == claim.token,
                    models.Run.status == "running",
                )
            ).all()
            for row in rows:
                self._end_attempt(session, row, outcome, None)
                row.status, row.lease_until = "queued", None

    def _held(self, session: Session, claim: Claim, i: int) -> models.Run:
        row = session.get(models.Run, claim.runs[i].id)
        if row is None or row.token != claim.token or row.status != "running":
            raise LeaseLostError(f"The lease on run {claim.runs[i].id[:10]} has passed to another.")
        return row

    def _end_attempt(
        self, session: Session, row: models.Run, outcome: str, error: str | None
    ) -> models.Attempt:
        attempt = session.get_one(models.Attempt, (row.id, row.attempts))
        attempt.outcome, attempt.error, attempt.ended_at = outcome, error, self._now(session)
        return attempt
