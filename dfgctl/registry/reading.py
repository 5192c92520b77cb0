"""Reads runs, attempts and measurements; rows become records here and leave as nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from dfgctl.errors import InputError
from dfgctl.records import Attempt, DatasetCard, Measurement, Metrics, Run, RunSpec
from dfgctl.registry import models
from dfgctl.registry.database import Database


class Reader(Database):
    """The registry's reading side."""

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

    def runs(self, ids: Iterable[str] | None = None, dataset: str | None = None) -> list[Run]:
        """Return runs in the order of their creation, all or those with an id or a data set."""
        last, result = aliased(models.Attempt), aliased(models.Attempt)
        query = (
            select(
                models.Run,
                last.outcome,
                last.error,
                last.device,
                result.metrics,
                models.Provenance.content,
            )
            .outerjoin(last, (last.run_id == models.Run.id) & (last.number == models.Run.attempts))
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
            cards = {
                (row.digest, row.name): _card(row)
                for row in session.scalars(select(models.Dataset))
            }
            found = []
            for row, outcome, error, device, metrics, made in session.execute(query):
                if wanted is None or row.id in wanted:
                    card = cards.get((row.spec["data_digest"], row.dataset))
                    found.append(_run(row, outcome, error, device, metrics, made, card))
            return found

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


def _run(
    row: models.Run,
    outcome: str | None,
    error: str | None,
    device: str | None,
    metrics: Mapping[str, Any] | None,
    provenance: Mapping[str, Any] | None,
    card: DatasetCard | None,
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
        card=card,
    )


def _card(row: models.Dataset) -> DatasetCard:
    content = {**row.content, "classes": tuple(row.content["classes"])}
    return DatasetCard(digest=row.digest, name=row.name, **content)


def _metrics(values: Mapping[str, Any]) -> Metrics:
    tuples = {
        "recalls": tuple(values["recalls"]),
        "confusion": tuple(tuple(line) for line in values["confusion"]),
    }
    return Metrics(**{**values, **tuples})
