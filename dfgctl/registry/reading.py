"""Reads runs, attempts and measurements; rows leave as records and as nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import defer

from dfgctl.contenders import each
from dfgctl.errors import InputError
from dfgctl.records import Attempt, Measurement, Run
from dfgctl.registry import models
from dfgctl.registry.database import MANY, Database, lasting
from dfgctl.registry.intake import parts_of
from dfgctl.registry.rows import LAST, RESULT, Records, RunRow, card_of, run_columns

LAST_OF_RUN = (LAST.run_id == models.Run.id) & (LAST.number == models.Run.attempts)


class Reader(Database):
    """The registry's reading side."""

    def run(self, run_id: str) -> Run:
        """Return a run by its whole id.

        Raises:
            InputError: there is none.
        """
        found = self.runs([run_id], whole=True)
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
        self,
        ids: Iterable[str] | None = None,
        dataset: str | None = None,
        *,
        method: str | None = None,
        status: str | None = None,
        outcome: str | None = None,
        since: datetime | None = None,
        newest: int | None = None,
        whole: bool = False,
    ) -> list[Run]:
        """Return runs in the order of their creation, all or those that are asked for.

        Args:
            ids: only these.
            dataset: only of this data set.
            method: only of this method, or of this group of methods.
            status: only in this state.
            outcome: only those that failed, or are queued again, after an attempt that ended so.
            since: only those whose newest attempt, or else creation, began then or later; UTC.
            newest: only so many, the newest ones.
            whole: whether to read confusion matrices, too.
        """
        wanted = _wanted(dataset, method, status, outcome, since)
        if ids is None:
            return self._runs(wanted, newest, whole)
        found: dict[str, Run] = {}
        for part in parts_of(list(dict.fromkeys(ids))):
            for run in self._runs([*wanted, models.Run.id.in_(part)], None, whole):
                found[run.id] = run
        every = sorted(found.values(), key=lambda run: (run.created_at, run.id))
        return every if newest is None else every[len(every) - min(newest, len(every)) :]

    def matching(
        self,
        dataset: str | None = None,
        method: str | None = None,
        status: str | None = None,
        outcome: str | None = None,
        since: datetime | None = None,
    ) -> dict[str, str]:
        """Return ids and statuses of the runs that ``runs`` would return, and in its order."""
        wanted = _wanted(dataset, method, status, outcome, since)
        query = select(models.Run.id, models.Run.status).outerjoin(LAST, LAST_OF_RUN)
        query = query.where(*wanted).order_by(models.Run.created_at, models.Run.id)
        with self._reading() as session:
            return {row.id: row.status for row in session.execute(query)}

    def names(self) -> tuple[set[str], set[str]]:
        """Return the data sets and the methods that there are runs of."""
        with self._reading() as session:
            datasets = session.scalars(select(models.Run.dataset).distinct()).all()
            return set(datasets), set(session.scalars(select(models.Run.method).distinct()))

    def _runs(
        self, wanted: Sequence[ColumnElement[bool]], newest: int | None, whole: bool
    ) -> list[Run]:
        run = models.Run
        query = (
            select(*run_columns(whole))
            .outerjoin(LAST, LAST_OF_RUN)
            .outerjoin(RESULT, (RESULT.run_id == run.id) & (RESULT.number == run.result_attempt))
            .where(*wanted)
        )
        if newest is None:
            query = query.order_by(run.created_at, run.id)
        else:
            query = query.order_by(run.created_at.desc(), run.id.desc()).limit(newest)
        with self._reading() as session:
            cards = {
                (row.digest, row.name): card_of(row)
                for row in session.scalars(select(models.Dataset))
            }
            dirty = {
                row.digest: row.content.get("dirty")
                for row in session.scalars(select(models.Provenance))
            }
            records = Records(cards, dirty)
            # A part at a time: together, the texts take more room than the records. The session's
            # connection does without what a session does for objects.
            rows = session.connection().execute(query.execution_options(yield_per=MANY))
            found = [records.run(RunRow._make(row)) for row in rows]
        return found if newest is None else found[::-1]

    @lasting
    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of those runs that are known."""
        found: dict[str, str] = {}
        with self._reading() as session:
            for part in parts_of(list(ids)):
                query = select(models.Run.id, models.Run.status).where(models.Run.id.in_(part))
                found.update({row.id: row.status for row in session.execute(query)})
        return found

    @lasting
    def counts(self, plan: str | None = None) -> Counter[str]:
        """Return how many runs are in each status, all or those of a plan."""
        query = select(models.Run.status, func.count().label("n")).group_by(models.Run.status)
        if plan is not None:
            query = query.join(models.PlanRun, models.PlanRun.run_id == models.Run.id)
            query = query.where(models.PlanRun.plan == plan)
        with self._reading() as session:
            return Counter({row.status: row.n for row in session.execute(query)})

    @lasting
    def ended(self, since: datetime | None, plan: str | None = None) -> list[tuple[Run, datetime]]:
        """Return runs whose newest attempt ended after a time, with when, the first one first.

        Args:
            since: UTC, by the registry's clock; None for all.
            plan: only the runs of this plan.
        """
        query = (
            select(models.Attempt.run_id, models.Attempt.ended_at)
            .join(
                models.Run,
                (models.Run.id == models.Attempt.run_id)
                & (models.Run.attempts == models.Attempt.number),
            )
            .where(models.Attempt.ended_at.is_not(None))
            .order_by(models.Attempt.ended_at)
        )
        if since is not None:
            query = query.where(models.Attempt.ended_at > since)
        if plan is not None:
            query = query.join(models.PlanRun, models.PlanRun.run_id == models.Run.id)
            query = query.where(models.PlanRun.plan == plan)
        with self._reading() as session:
            when = {row.run_id: row.ended_at for row in session.execute(query)}
        by_id = {run.id: run for run in self.runs(when)}
        return [(by_id[i], at) for i, at in when.items() if i in by_id]

    @lasting
    def now(self) -> datetime:
        """Return the time by the registry's clock, UTC."""
        with self._reading() as session:
            return self._now(session)

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return a run's attempts, the first one first."""
        query = (
            select(models.Attempt, models.Provenance.content)
            .join(models.Provenance, models.Provenance.digest == models.Attempt.provenance)
            .where(models.Attempt.run_id == run_id)
            .order_by(models.Attempt.number)
        )
        with self._reading() as session:
            return [_attempt(row, content) for row, content in session.execute(query)]

    def makings(self) -> dict[str, Attempt]:
        """Return the attempt that made each run's result, by the run's id."""
        run, attempt = models.Run, models.Attempt
        query = (
            select(attempt)
            .join(run, (run.id == attempt.run_id) & (run.result_attempt == attempt.number))
            .options(defer(attempt.metrics), defer(attempt.confusion))  # large, and not asked for
        )
        with self._reading() as session:
            made = {row.digest: row.content for row in session.scalars(select(models.Provenance))}
            return {
                row.run_id: _attempt(row, made[row.provenance]) for row in session.scalars(query)
            }

    def measurements(self, run_id: str, attempt: int) -> list[Measurement]:
        """Return the evaluations of an attempt, step by step."""
        query = (
            select(models.Evaluation)
            .where(models.Evaluation.run_id == run_id, models.Evaluation.attempt == attempt)
            .order_by(models.Evaluation.step)
        )
        with self._reading() as session:
            return [_measurement(row) for row in session.scalars(query)]

    def curves(self, ids: Iterable[str]) -> dict[str, list[Measurement]]:
        """Return the evaluations of runs' results, step by step.

        Args:
            ids: the runs; those without a result, or without evaluations of it, are left out.

        Returns:
            A run's id to the evaluations of the attempt that its metrics are of.
        """
        found: dict[str, list[Measurement]] = {}
        evaluation = models.Evaluation
        for part in parts_of(list(dict.fromkeys(ids))):
            query = (
                select(
                    evaluation.run_id,
                    evaluation.step,
                    evaluation.accuracy,
                    evaluation.loss,
                    evaluation.val_accuracy,
                    evaluation.losses,
                    evaluation.seconds,
                )
                .join(
                    models.Run,
                    (models.Run.id == evaluation.run_id)
                    & (models.Run.result_attempt == evaluation.attempt),
                )
                .where(evaluation.run_id.in_(part))
                .order_by(evaluation.run_id, evaluation.step)
            )
            with self._reading() as session:
                for row in session.execute(query):
                    found.setdefault(row.run_id, []).append(_measurement(row))
        return found


def _measurement(row: Any) -> Measurement:
    """Return an evaluation as a record."""
    return Measurement(
        step=row.step,
        accuracy=row.accuracy,
        loss=row.loss,
        val_accuracy=row.val_accuracy,
        losses=row.losses,
        seconds=row.seconds,
    )


def _wanted(
    dataset: str | None,
    method: str | None,
    status: str | None,
    outcome: str | None,
    since: datetime | None,
) -> list[ColumnElement[bool]]:
    """Say which runs are asked for, in a query that has their newest attempt as ``LAST``."""
    run = models.Run
    pairs = ((run.dataset, dataset), (run.status, status))
    wanted = [column == value for column, value in pairs if value is not None]
    if method is not None:
        wanted.append(run.method.in_(each([method])))
    if outcome is not None:
        wanted += [LAST.outcome == outcome, run.status.in_(("queued", "failed"))]
    if since is not None:
        wanted.append(func.coalesce(LAST.started_at, run.created_at) >= since)
    return wanted


def _attempt(row: models.Attempt, made: Mapping[str, Any]) -> Attempt:
    return Attempt(
        number=row.number,
        worker=row.worker,
        device=row.device,
        pack_size=row.pack_size,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        error=row.error,
        provenance=made,
        resumed_step=row.resumed_step,
        peak_bytes=row.peak_bytes,
    )
