"""What is read of a run, and how its rows become records; equal parts are made once and shared."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import from_json  # three times as quick as json, to the same values
from sqlalchemy import ColumnElement, Text, cast, null
from sqlalchemy.orm import InstrumentedAttribute, aliased

from dfgctl.records import DatasetCard, Metrics, Run, RunSpec
from dfgctl.registry import models

LAST, RESULT = aliased(models.Attempt), aliased(models.Attempt)
"""A run's newest attempt, and the one that its metrics are of."""


class RunRow(NamedTuple):
    """A row of a run; JSON is read as text."""

    id: str
    group: str
    spec: str
    status: str
    class_counts: str
    created_at: datetime
    attempts: int
    result_attempt: int | None
    checkpoint_step: int
    outcome: str | None
    error: str | None
    device: str | None
    worker: str | None
    provenance: str | None
    result_device: str | None
    pack_size: int | None
    peak_bytes: int | None
    metrics: str | None
    confusion: str | None


def run_columns(whole: bool) -> list[ColumnElement[Any]]:
    """Return the columns of a ``RunRow``.

    Args:
        whole: whether confusion matrices are read, too.
    """
    run = models.Run
    columns: dict[str, ColumnElement[Any] | InstrumentedAttribute[Any]] = {
        "spec": cast(run.spec, Text),
        "class_counts": cast(run.class_counts, Text),
        "outcome": LAST.outcome,
        "error": LAST.error,
        "device": LAST.device,
        "worker": LAST.worker,
        "provenance": RESULT.provenance,
        "result_device": RESULT.device,
        "pack_size": RESULT.pack_size,
        "peak_bytes": RESULT.peak_bytes,
        "metrics": cast(RESULT.metrics, Text),
        "confusion": cast(RESULT.confusion, Text) if whole else null(),
    }
    return [
        (columns[name] if name in columns else getattr(run, name)).label(name)
        for name in RunRow._fields
    ]


class Records:
    """Makes runs of rows.

    Runs of one group differ in nothing but combination and seed, and share all else of their specs
    as objects. That saves room, and tells at a glance which runs are alike; but nobody may change
    the settings, as nobody may change a record.

    Args:
        cards: data sets by digest and name.
        dirty: whether a tree was dirty, by the provenance's digest.
    """

    def __init__(
        self, cards: Mapping[tuple[str, str], DatasetCard], dirty: Mapping[str, bool | None]
    ) -> None:
        self._cards = cards
        self._dirty = dirty
        self._groups: dict[str, dict[str, Any]] = {}
        self._counts: dict[str, tuple[int, ...]] = {}

    def run(self, row: RunRow) -> Run:
        """Make a run."""
        spec = self._spec(row)
        return Run(
            id=row.id,
            spec=spec,
            status=row.status,
            class_counts=self._class_counts(row.class_counts),
            created_at=row.created_at,
            attempts=row.attempts,
            outcome=row.outcome,
            error=row.error,
            metrics=_metrics(row.metrics, row.confusion),
            result_attempt=row.result_attempt,
            device=row.device,
            dirty=self._dirty.get(row.provenance) if row.provenance else None,
            card=self._cards.get((spec.data_digest, spec.dataset)),
            checkpoint_step=row.checkpoint_step,
            worker=row.worker,
            result_device=row.result_device,
            pack_size=row.pack_size,
            peak_bytes=row.peak_bytes,
        )

    def _spec(self, row: RunRow) -> RunSpec:
        own = from_json(row.spec)
        shared = self._groups.setdefault(row.group, own)
        return spec_of({**shared, "combination": own["combination"], "seed": own["seed"]})

    def _class_counts(self, text: str) -> tuple[int, ...]:
        counts = self._counts.get(text)
        if counts is None:
            counts = self._counts[text] = tuple(from_json(text))
        return counts


def _metrics(values: str | None, confusion: str | None) -> Metrics | None:
    content = from_json(values) if values else None
    return metrics_of(content, from_json(confusion) if confusion else None) if content else None


def spec_of(content: Mapping[str, Any]) -> RunSpec:
    """Return the spec that was stored as plain data."""
    return RunSpec(**{**content, "combination": tuple(content["combination"])})


def card_of(row: models.Dataset) -> DatasetCard:
    """Return what is kept of a data set."""
    content = {**row.content, "classes": tuple(row.content["classes"])}
    return DatasetCard(digest=row.digest, name=row.name, **content)


def metrics_of(values: Mapping[str, Any], confusion: Sequence[Sequence[int]] | None) -> Metrics:
    """Return the metrics that were stored as plain data."""
    lines = tuple(tuple(line) for line in confusion or ())
    return Metrics(**{**values, "recalls": tuple(values["recalls"]), "confusion": lines})
