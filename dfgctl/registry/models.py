"""The registry's tables. Private: rows never leave ``store``."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables; constraints have names, so that migrations can speak of them."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {float: Float, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Provenance(Base):
    """What an attempt ran on: commit, versions, platform. Shared by equal attempts."""

    __tablename__ = "provenance"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[dict[str, Any]]


class Dataset(Base):
    """What is kept of a data set: its classes, and where one's own pictures lie."""

    __tablename__ = "datasets"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    content: Mapped[dict[str, Any]]


class Run(Base):
    """A run: its spec, its place in the queue, and who holds it."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_queue", "status", "group", "queued_at"),
        Index("ix_runs_order", "status", "queued_at"),
        Index("ix_runs_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(200), index=True)
    method: Mapped[str] = mapped_column(String(200), index=True)
    group: Mapped[str] = mapped_column(String(64))
    spec: Mapped[dict[str, Any]]
    class_counts: Mapped[list[Any]]
    status: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    result_attempt: Mapped[int | None]
    checkpoint_step: Mapped[int] = mapped_column(default=0)
    pack_limit: Mapped[int | None]
    losses: Mapped[int] = mapped_column(default=0)


class Attempt(Base):
    """One attempt at a run; ``outcome`` is null while it lasts."""

    __tablename__ = "attempts"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[int]
    worker: Mapped[str] = mapped_column(String(200))
    device: Mapped[str] = mapped_column(String(200))
    pack_size: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(Text)
    provenance: Mapped[str] = mapped_column(ForeignKey("provenance.digest"))
    metrics: Mapped[dict[str, Any] | None]
    confusion: Mapped[list[Any] | None]
    resumed_step: Mapped[int] = mapped_column(default=0)
    peak_bytes: Mapped[int | None] = mapped_column(BigInteger)


class Evaluation(Base):
    """One evaluation of an attempt."""

    __tablename__ = "evaluations"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    accuracy: Mapped[float]
    loss: Mapped[float]
    val_accuracy: Mapped[float | None]
    losses: Mapped[dict[str, Any]]
    seconds: Mapped[float]


class Source(Base):
    """A source network: trained once per identity, under a lease of its own."""

    __tablename__ = "sources"

    identity: Mapped[str] = mapped_column(String(64), primary_key=True)
    spec: Mapped[dict[str, Any]]
    classes: Mapped[int | None]
    accuracy: Mapped[float | None]
    seconds: Mapped[float | None]
    path: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    token: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    provenance: Mapped[str | None] = mapped_column(ForeignKey("provenance.digest"))


class Plan(Base):
    """The runs that one command asked for, so that its workers take no others."""

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    created_at: Mapped[datetime]


class PlanRun(Base):
    """A run of a plan."""

    __tablename__ = "plan_runs"
    __table_args__ = (Index("ix_plan_runs_run_id", "run_id"),)

    plan: Mapped[str] = mapped_column(ForeignKey("plans.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


class Worker(Base):
    """A worker: where it is, and what it does."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(200))
    launcher: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    doing: Mapped[dict[str, Any]]
    log: Mapped[str | None] = mapped_column(Text)


class Profile(Base):
    """What packs of one kind and size took on one kind of device."""

    __tablename__ = "profiles"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(300), primary_key=True)
    pack: Mapped[int] = mapped_column(primary_key=True)
    device_bytes: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[str] = mapped_column(String(200))
    backbone: Mapped[str] = mapped_column(String(200))
    dataset: Mapped[str] = mapped_column(String(200))
    peak_bytes: Mapped[int | None] = mapped_column(BigInteger)
    step_seconds: Mapped[float | None]
    failures: Mapped[int] = mapped_column(default=0)
    free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    measured_at: Mapped[datetime]
