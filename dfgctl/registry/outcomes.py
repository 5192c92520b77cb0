"""What the holder of a claim writes: evaluations, checkpoints, and how its runs ended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Select, insert, literal, select, update
from sqlalchemy.orm import Session

from dfgctl.errors import LeaseLostError
from dfgctl.records import Claim, Measurement, Metrics
from dfgctl.registry import models
from dfgctl.registry.database import Database, lasting


class Outcomes(Database):
    """The registry's side for workers that train."""

    @lasting
    def resumed(self, claim: Claim, step: int, wrote: Sequence[int]) -> None:
        """Note from where a claim's runs go on, and take over the evaluations up to there.

        Args:
            claim: the claim.
            step: the step of their checkpoints; 0 where they start anew.
            wrote: the attempts that wrote the checkpoints, one for each run; none at step 0.

        Raises:
            LeaseLostError: the claim is stale.
        """
        columns = [c.key for c in models.Evaluation.__table__.columns if c.key != "attempt"]
        with self._writing() as session:
            self._lock(session, claim)
            for i, run in enumerate(claim.runs):
                row = self._held(session, claim, i)
                number = claim.attempts[i]
                row.checkpoint_step = step
                session.get_one(models.Attempt, (run.id, number)).resumed_step = step
                there = select(models.Evaluation).where(
                    models.Evaluation.run_id == run.id, models.Evaluation.attempt == number
                )
                if not step or wrote[i] == number or session.scalar(there.limit(1)) is not None:
                    continue
                earlier = select(
                    literal(number), *(getattr(models.Evaluation, name) for name in columns)
                ).where(
                    models.Evaluation.run_id == run.id,
                    models.Evaluation.attempt == wrote[i],
                    models.Evaluation.step <= step,
                )
                session.execute(
                    insert(models.Evaluation).from_select(["attempt", *columns], earlier)
                )

    @lasting
    def checkpointed(self, claim: Claim, step: int) -> None:
        """Note that the runs which a claim still trains have checkpoints at a step.

        Raises:
            LeaseLostError: it trains none of them any more.
        """
        with self._writing() as session:
            noted = self._lock(session, claim)
            these = models.Run.id.in_(noted)
            values = {"checkpoint_step": step, "losses": 0}
            session.execute(update(models.Run).where(these).values(values))
        if not noted:
            raise LeaseLostError("The lease on these runs has passed to another worker.")

    @lasting
    def record(self, claim: Claim, measurements: Mapping[int, Measurement]) -> None:
        """Store an evaluation of some of a claim's runs, by their place in it.

        Of runs that the claim no longer holds, since they were cancelled, nothing is stored.

        Raises:
            LeaseLostError: it holds none of them.
        """
        with self._writing() as session:
            held = self._lock(session, claim)
            mine = {i: m for i, m in measurements.items() if claim.runs[i].id in held}
            if measurements and not mine:
                raise LeaseLostError("The lease on these runs has passed to another worker.")
            for i, measurement in mine.items():
                session.merge(
                    models.Evaluation(
                        run_id=claim.runs[i].id, attempt=claim.attempts[i], **asdict(measurement)
                    )
                )

    @lasting
    def finish(self, claim: Claim, i: int, metrics: Metrics, peak_bytes: int | None = None) -> None:
        """Mark a claim's run as finished, with its metrics.

        Args:
            claim: the claim.
            i: the run's place in it.
            metrics: the run's final metrics.
            peak_bytes: the most memory that the whole pack took; None where it was not measured.

        Raises:
            LeaseLostError: the claim is stale.
        """
        with self._writing() as session:
            if self._ended_so(session, claim, i, "finished"):
                return
            row = self._held(session, claim, i)
            attempt = self._end_attempt(session, row.id, claim.attempts[i], "finished", None)
            values = asdict(metrics)
            attempt.confusion = values.pop("confusion")
            attempt.metrics, attempt.peak_bytes = values, peak_bytes
            row.status, row.result_attempt, row.lease_until = "finished", row.attempts, None
            row.checkpoint_step = row.losses = 0

    @lasting
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
            if self._ended_so(session, claim, i, outcome):
                return
            row = self._held(session, claim, i)
            self._end_attempt(session, row.id, claim.attempts[i], outcome, error)
            row.status, row.lease_until = "failed", None

    @lasting
    def out_of_memory(self, claim: Claim, error: str) -> None:
        """Put runs back whose pack did not fit; a run that does not fit alone has failed.

        Which packs fit is a matter of the device: see ``Profiles.keep_failure``.
        """
        alone = len(claim.runs) == 1
        with self._writing() as session:
            for row in session.scalars(_rows_held_by(claim)).all():
                self._end_attempt(session, row.id, row.attempts, "out-of-memory", error)
                row.status, row.lease_until = "failed" if alone else "queued", None

    @lasting
    def release(self, claim: Claim, outcome: str = "interrupted") -> int:
        """Give those runs of a claim back to the queue that have not ended; a stale claim has none.

        Args:
            claim: the claim.
            outcome: how their attempts ended.

        Returns:
            How many were given back.
        """
        with self._writing() as session:
            rows = session.scalars(_rows_held_by(claim)).all()
            for row in rows:
                self._end_attempt(session, row.id, row.attempts, outcome, None)
                row.status, row.lease_until = "queued", None
            return len(rows)

    @staticmethod
    def _lock(session: Session, claim: Claim) -> set[str]:
        """Return the ids of the runs that a claim still trains, held until the transaction ends.

        They are always taken in one order, so that no two transactions wait for each other.
        """
        held = select(models.Run.id).where(held_by(claim)).order_by(models.Run.id)
        return set(session.scalars(held.with_for_update()))

    def _held(self, session: Session, claim: Claim, i: int) -> models.Run:
        row = session.get(models.Run, claim.runs[i].id, with_for_update=True)
        if row is None or row.token != claim.token or row.status != "running":
            raise LeaseLostError(f"The lease on run {claim.runs[i].id[:10]} has passed to another.")
        return row

    @staticmethod
    def _ended_so(session: Session, claim: Claim, i: int, outcome: str) -> bool:
        """Say whether a claim's attempt has ended so already: its answer was lost on the way."""
        attempt = session.get(models.Attempt, (claim.runs[i].id, claim.attempts[i]))
        return attempt is not None and attempt.token == claim.token and attempt.outcome == outcome

    def _end_attempt(
        self, session: Session, run_id: str, number: int, outcome: str, error: str | None
    ) -> models.Attempt:
        attempt = session.get_one(models.Attempt, (run_id, number))
        attempt.outcome, attempt.error, attempt.ended_at = outcome, error, self._now(session)
        return attempt


def _rows_held_by(claim: Claim) -> Select[models.Run]:
    held = select(models.Run).where(held_by(claim)).order_by(models.Run.id)
    return held.with_for_update()


def held_by(claim: Claim) -> ColumnElement[bool]:
    """Say which runs a claim still trains."""
    return (
        models.Run.id.in_([run.id for run in claim.runs])
        & (models.Run.token == claim.token)
        & (models.Run.status == "running")
    )
