"""The Registry: the one class through which runs are stored, claimed, measured and read."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, aliased

from dfgctl.errors import InputError, LeaseLostError, SourceBusyError
from dfgctl.records import (
    Attempt,
    Claim,
    Measurement,
    Metrics,
    PlannedRun,
    Run,
    RunSpec,
    Source,
    SourceSpec,
    digest,
)
from dfgctl.registry import models
from dfgctl.registry.engine import open_engine, registry_url, sqlite_path, translated, writing

LEASE = timedelta(seconds=30)
"""How long a claim holds without a beat."""

MAX_ATTEMPTS = 3
"""Attempts after which a run whose workers keep vanishing counts as failed."""


class Registry:
    """A registry of runs, which is also their queue.

    Args:
        where: path of an SQLite file, or an SQLAlchemy URL.
        create: whether a registry that is not there is made.

    Raises:
        RegistryError: it cannot be opened, or not by this version.
    """

    def __init__(self, where: str, create: bool = True) -> None:
        url = registry_url(where)
        self._path = sqlite_path(url)
        self.where = str(self._path or url.render_as_string(hide_password=True))
        self._engine: Engine = open_engine(url, create)

    @property
    def folder(self) -> Path:
        """Where weights and caches lie: beside an SQLite file, else ``results``."""
        return self._path.parent if self._path else Path("results")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Any:
        try:
            with Session(self._engine) as session:
                yield session
        except DBAPIError as error:
            raise translated(error, self.where) from error

    @contextmanager
    def _writing(self) -> Any:
        try:
            with writing(self._engine) as connection, Session(connection) as session:
                yield session
                session.flush()
        except DBAPIError as error:
            raise translated(error, self.where) from error

    def _now(self, session: Session) -> datetime:
        """Return the time in UTC, by the database's clock where it has one of its own."""
        if self._path is None:
            now = session.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
            assert isinstance(now, datetime)
            return now
        return datetime.now(UTC).replace(tzinfo=None)

    # Planning

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
                elif row.status not in ("queued", "running"):
                    ended = row.status == "finished" or outcomes.get(row.id) == "diverged"
                    if force or not ended:
                        row.status = "queued"

    def _last_outcomes(self, session: Session) -> dict[str, str | None]:
        last = select(models.Attempt.run_id, models.Attempt.outcome).join(
            models.Run,
            (models.Run.id == models.Attempt.run_id)
            & (models.Run.attempts == models.Attempt.number),
        )
        return {run_id: outcome for run_id, outcome in session.execute(last)}

    def expire(self) -> int:
        """Return runs whose lease has ended to the queue; return how many there were.

        A run whose workers vanished ``MAX_ATTEMPTS`` times fails.
        """
        with self._writing() as session:
            now = self._now(session)
            late = session.scalars(
                select(models.Run).where(
                    models.Run.status == "running", models.Run.lease_until < now
                )
            ).all()
            for row in late:
                self._end_attempt(
                    session, row, "lost", f"No sign of life since {row.lease_until:%H:%M:%S} UTC."
                )
                again = row.attempts < MAX_ATTEMPTS
                row.status = "queued" if again else "failed"
                row.lease_until = None
            return len(late)

    # Working

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
            content = digest(provenance)
            if session.get(models.Provenance, content) is None:
                session.add(models.Provenance(digest=content, content=dict(provenance)))
                session.flush()
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
            if renewed.rowcount == 0:
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

    # Reading

    def run(self, run_id: str) -> Run:
        """Return a run by its whole id.

        Raises:
            InputError: there is none.
        """
        found = self.runs([run_id])
        if not found:
            raise InputError(f"There is no run {run_id}: dfgctl runs list shows all.")
        return found[0]

    def find(self, prefix: str) -> Run:
        """Return the one run whose id starts with a prefix.

        Raises:
            InputError: there is none, or more than one.
        """
        with self._reading() as session:
            ids = session.scalars(
                select(models.Run.id)
                .where(models.Run.id.startswith(prefix.lower(), autoescape=True))
                .limit(2)
            ).all()
        if not ids:
            raise InputError(f"There is no run '{prefix}': dfgctl runs list shows all.")
        if len(ids) > 1:
            raise InputError(f"'{prefix}' is the start of several run ids: write more of it.")
        return self.run(ids[0])

    def runs(
        self, ids: Iterable[str] | None = None, dataset: str | None = None
    ) -> list[Run]:
        """Return runs in the order of their creation, all or those with an id or a data set."""
        last, result = aliased(models.Attempt), aliased(models.Attempt)
        query = (
            select(
                models.Run, last.outcome, last.error, last.device, result.metrics,
                models.Provenance.content,
            )
            .outerjoin(
                last, (last.run_id == models.Run.id) & (last.number == models.Run.attempts)
            )
            .outerjoin(
                result,
                (result.run_id == models.Run.id) & (result.number == models.Run.result_attempt),
            )
            .outerjoin(models.Provenance, models.Provenance.digest == result.provenance)
            .order_by(models.Run.created_at, models.Run.id)
        )
        if dataset is not None:
            query = query.where(models.Run.dataset == dataset)
        wanted = None if ids is None else set(ids)
        if wanted is not None and len(wanted) <= 500:
            query = query.where(models.Run.id.in_(wanted))
        with self._reading() as session:
            return [
                _run(*row)
                for row in session.execute(query)
                if wanted is None or row[0].id in wanted
            ]

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of those runs that are known."""
        wanted = set(ids)
        with self._reading() as session:
            every = session.execute(select(models.Run.id, models.Run.status))
            return {run_id: status for run_id, status in every if run_id in wanted}

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return a run's attempts, the first one first."""
        query = (
            select(models.Attempt, models.Provenance.content)
            .join(models.Provenance, models.Provenance.digest == models.Attempt.provenance)
            .where(models.Attempt.run_id == run_id)
            .order_by(models.Attempt.number)
        )
        with self._reading() as session:
            return [
                Attempt(
                    number=row.number,
                    worker=row.worker,
                    device=row.device,
                    pack_size=row.pack_size,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                    outcome=row.outcome,
                    error=row.error,
                    provenance=content,
                )
                for row, content in session.execute(query)
            ]

    def measurements(self, run_id: str, attempt: int) -> list[Measurement]:
        """Return the evaluations of an attempt, step by step."""
        query = (
            select(models.Evaluation)
            .where(models.Evaluation.run_id == run_id, models.Evaluation.attempt == attempt)
            .order_by(models.Evaluation.step)
        )
        with self._reading() as session:
            return [
                Measurement(
                    step=row.step,
                    accuracy=row.accuracy,
                    loss=row.loss,
                    val_accuracy=row.val_accuracy,
                    losses=row.losses,
                    seconds=row.seconds,
                )
                for row in session.scalars(query)
            ]

    # Source networks

    def source(self, identity: str) -> Source | None:
        """Return a source network that is ready, or None."""
        with self._reading() as session:
            row = session.get(models.Source, identity)
            return _source(row) if row is not None and row.path is not None else None

    def claim_source(self, spec: SourceSpec) -> int:
        """Take the lease on a source network that is to be trained; return its token.

        Raises:
            SourceBusyError: another process holds it.
        """
        with self._writing() as session:
            now = self._now(session)
            row = session.get(models.Source, spec.identity())
            if row is None:
                row = models.Source(
                    identity=spec.identity(), spec=asdict(spec), created_at=now, token=0
                )
                session.add(row)
            elif row.lease_until is not None and row.lease_until > now:
                raise SourceBusyError("Another process is training this source network.")
            row.token += 1
            row.lease_until = now + LEASE
            return row.token

    def beat_source(self, identity: str, token: int) -> None:
        """Renew the lease on a source network.

        Raises:
            LeaseLostError: it has passed to another.
        """
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = self._now(session) + LEASE

    def release_source(self, identity: str, token: int) -> None:
        """Give the lease on a source network back."""
        with self._writing() as session:
            self._held_source(session, identity, token).lease_until = None

    def finish_source(
        self,
        identity: str,
        token: int,
        source: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> Source:
        """Store that a source network is ready.

        Args:
            identity: which one.
            token: the lease's token.
            source: ``classes``, ``accuracy``, ``seconds``, ``path``.
            provenance: what it was trained on.

        Raises:
            LeaseLostError: the lease has passed to another.
        """
        with self._writing() as session:
            row = self._held_source(session, identity, token)
            content = digest(provenance)
            if session.get(models.Provenance, content) is None:
                session.add(models.Provenance(digest=content, content=dict(provenance)))
                session.flush()
            for name, value in source.items():
                setattr(row, name, value)
            row.provenance, row.lease_until = content, None
            return _source(row)

    def _held_source(self, session: Session, identity: str, token: int) -> models.Source:
        row = session.get(models.Source, identity)
        if row is None or row.token != token:
            raise LeaseLostError("The lease on this source network has passed to another process.")
        return row


def _run(
    row: models.Run,
    outcome: str | None,
    error: str | None,
    device: str | None,
    metrics: Mapping[str, Any] | None,
    provenance: Mapping[str, Any] | None,
) -> Run:
    spec = {**row.spec, "combination": tuple(row.spec["combination"])}
    return Run(
        id=row.id,
        spec=RunSpec(**spec),
        status=row.status,
        class_counts=tuple(row.class_counts),
        created_at=row.created_at,
        attempts=row.attempts,
        outcome=outcome,
        error=error,
        metrics=_metrics(metrics) if metrics else None,
        result_attempt=row.result_attempt,
        device=device,
        dirty=provenance.get("dirty") if provenance else None,
    )


def _metrics(values: Mapping[str, Any]) -> Metrics:
    tuples = {
        "recalls": tuple(values["recalls"]),
        "confusion": tuple(tuple(line) for line in values["confusion"]),
    }
    return Metrics(**{**values, **tuples})


def _source(row: models.Source) -> Source:
    assert row.classes is not None
    assert row.path is not None
    return Source(
        identity=row.identity,
        spec=SourceSpec(**row.spec),
        classes=row.classes,
        accuracy=row.accuracy,
        seconds=row.seconds or 0.0,
        path=row.path,
        created_at=row.created_at,
    )
