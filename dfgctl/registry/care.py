"""What a registry holds, and whether it is well."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session, aliased

from dfgctl.records import Finding
from dfgctl.registry import models
from dfgctl.registry.backups import damage
from dfgctl.registry.database import LEASE, Database, lasting
from dfgctl.registry.engine import HEAD
from dfgctl.registry.files import FOLDERS, taken

NAMED = 3
"""Runs that a finding names."""


@dataclass(frozen=True)
class Facts:
    """What a registry holds.

    Attributes:
        where: its place, without a password.
        database: what keeps it, with its version.
        schema: the version of its tables.
        bytes: what it takes, an SQLite file's log included.
        journal: how SQLite writes; None for another database.
        read_only: whether nothing can be written.
        runs: how many there are, by status.
        attempts: how many there are.
        evaluations: how many there are.
        workers: those that live.
        plans: how many there are.
        sources: source networks that are ready.
        folder: where files lie.
        files: how many files lie beside it and what they take, by folder.
    """

    where: str
    database: str
    schema: str
    bytes: int
    journal: str | None
    read_only: bool
    runs: Mapping[str, int]
    attempts: int
    evaluations: int
    workers: int
    plans: int
    sources: int
    folder: Path
    files: Mapping[str, tuple[int, int]]


class Care(Database):
    """The registry's side for those who look after it."""

    @lasting
    def facts(self) -> Facts:
        """Return what the registry holds."""
        with self._reading() as session:
            alive = models.Worker.seen_at > self._now(session) - LEASE
            by_status = select(models.Run.status, func.count()).group_by(models.Run.status)
            database, size, journal = self._database(session)
            return Facts(
                where=self.where,
                database=database,
                schema=HEAD,
                bytes=size,
                journal=journal,
                read_only=self.read_only,
                runs={row[0]: row[1] for row in session.execute(by_status)},
                attempts=_count(session, models.Attempt),
                evaluations=_count(session, models.Evaluation),
                workers=_count(session, models.Worker, alive, models.Worker.ended_at.is_(None)),
                plans=_count(session, models.Plan),
                sources=_count(session, models.Source, models.Source.path.isnot(None)),
                folder=self.folder,
                files={name: taken(self.folder / name) for name in FOLDERS},
            )

    def _database(self, session: Session) -> tuple[str, int, str | None]:
        if self.file is None:
            version = session.execute(text("SHOW server_version")).scalar_one()
            names = [table.name for table in models.Base.metadata.sorted_tables]
            sizes = (
                session.execute(
                    text("SELECT pg_total_relation_size(to_regclass(:name))"), {"name": name}
                ).scalar_one()
                for name in names
            )
            return f"PostgreSQL {str(version).split()[0]}", sum(s or 0 for s in sizes), None
        version = session.execute(text("SELECT sqlite_version()")).scalar_one()
        journal = session.execute(text("PRAGMA journal_mode")).scalar_one()
        files = (self.file, self.file.with_name(f"{self.file.name}-wal"))
        size = sum(f.stat().st_size for f in files if f.exists())
        return f"SQLite {version}", size, str(journal)

    @lasting
    def health(self) -> list[Finding]:
        """Return what is wrong with the registry, each with a remedy; nothing where all is well."""
        with self._reading() as session:
            broken = list(self._broken(session))
            if broken:
                return broken  # what else is found in it means nothing
            found = list(self._disagreeing(session))
            return [*found, *self._without_files(session)]

    def _broken(self, session: Session) -> Iterator[Finding]:
        """Say whether the file itself is whole; a server looks after that by itself."""
        if self.file is None:
            return
        try:
            found = damage(session.execute(text("PRAGMA quick_check(5)")).all())
        except DatabaseError as error:  # so damaged that even the check fails
            if isinstance(error, OperationalError):
                raise  # it is busy, or its disk is full
            found = str(error.orig)
        if found is not None:
            yield _finding(
                f"{self.where} is damaged: {found}",
                "move it away and put a backup in its place; dfgctl runs export saves what can "
                "still be read",
            )
            return
        orphans = session.execute(text("PRAGMA foreign_key_check")).all()
        if orphans:
            tables = ", ".join(sorted({str(row[0]) for row in orphans}))
            yield _finding(
                f"{len(orphans):,} rows of {tables} refer to what is not there",
                "another program has changed the registry: put a backup in its place",
            )

    def _disagreeing(self, session: Session) -> Iterator[Finding]:
        run, last, result = models.Run, aliased(models.Attempt), aliased(models.Attempt)
        joined = (
            select(run.id)
            .outerjoin(last, and_(last.run_id == run.id, last.number == run.attempts))
            .outerjoin(result, and_(result.run_id == run.id, result.number == run.result_attempt))
        )
        now = self._now(session)
        until = run.lease_until
        late = or_(until.is_(None), until < now, until > now + 4 * LEASE)
        ongoing = and_(last.number.isnot(None), last.outcome.is_(None))
        evaluated = select(models.Evaluation.step).where(
            models.Evaluation.run_id == run.id,
            models.Evaluation.attempt == run.result_attempt,
            models.Evaluation.step == run.spec["steps"].as_integer(),
        )
        finished = run.status == "finished"
        result_lost = or_(
            run.result_attempt.is_(None), result.metrics.is_(None), result.outcome != "finished"
        )
        yield from _runs(
            session,
            joined.where(run.status == "running", late),
            "{} whose worker vanished",
            "any command that opens the registry puts them back into the queue: dfgctl runs list",
            "note",
        )
        yield from _runs(
            session,
            joined.where(run.status == "running", ~ongoing),
            "{} marked as running, though no attempt lasts",
            "put them back: dfgctl runs cancel {}, and dfgctl runs retry {}",
        )
        yield from _runs(
            session,
            joined.where(run.status != "running", ongoing),
            "{} not running, though an attempt has no end",
            "the attempt was lost and does no harm to others: dfgctl runs show {}",
            "note",
        )
        yield from _runs(
            session,
            joined.where(run.attempts > 0, last.number.is_(None)),
            "{} whose newest attempt is missing",
            "remove them and train them anew: dfgctl runs rm {}",
        )
        yield from _runs(
            session,
            joined.where(finished, result_lost),
            "{} finished without a result",
            "remove them and train them anew: dfgctl runs rm {}",
        )
        yield from _runs(
            session,
            joined.where(finished, ~result_lost, ~evaluated.exists()),
            "{} with a result whose last evaluation is missing",
            "train them once more with dfgctl run --force: dfgctl runs show {} has the command",
        )

    def _without_files(self, session: Session) -> Iterator[Finding]:
        """Name what was made elsewhere, or deleted by hand: it is missed only when it is used."""
        weights = _names(self.folder / "weights")
        finished = select(models.Run.id, models.Run.result_attempt).where(
            models.Run.status == "finished"
        )
        missing = [
            run_id
            for run_id, attempt in session.execute(finished)
            if f"{run_id}.{attempt}.safetensors" not in weights
        ]
        if missing:
            yield _finding(
                f"{_counted(len(missing))} without weights in {self.folder / 'weights'}",
                "only predict and export need them: copy them there from where they were trained, "
                "or train once more with --force",
                "note",
            )
        paths = select(models.Source.path).where(models.Source.path.isnot(None))
        lost = [p for p in session.scalars(paths) if p and not (self.folder / p).exists()]
        if lost:
            yield _finding(
                f"{len(lost)} source network{'s' * (len(lost) > 1)} without a file ({lost[0]})",
                "nothing: one is trained anew when a run needs it",
                "note",
            )


def _count(session: Session, table: type[models.Base], *where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def _runs(
    session: Session, query: Select[Any], text: str, remedy: str, level: str = "problem"
) -> Iterator[Finding]:
    """Report the runs that a query finds; ``{}`` stands for their number and for one's id."""
    ids = list(session.scalars(query.order_by(models.Run.id)))
    if ids:
        listed = ", ".join(i[:10] for i in ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
        said = f"{text.format(_counted(len(ids)))} ({listed})"
        yield _finding(said, remedy.replace("{}", ids[0][:10]), level)


def _finding(text: str, remedy: str, level: str = "problem") -> Finding:
    return Finding(level, "registry", text, remedy)


def _counted(count: int) -> str:
    return f"{count:,} run" if count == 1 else f"{count:,} runs"


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208  # many, and only their names
    except OSError:
        return set()
