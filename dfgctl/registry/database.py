"""What all parts of the registry share: the engine, transactions, the clock, patience."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dfgctl.errors import RegistryUnavailableError
from dfgctl.records import digest
from dfgctl.registry import models
from dfgctl.registry.access import is_read_only
from dfgctl.registry.engine import (
    open_engine,
    registry_url,
    silence,
    sqlite_path,
    translated,
    writing,
)

LEASE = timedelta(seconds=30)
"""How long a claim holds without a beat."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
"""Seconds between tries at a registry that is away; each pause is twice the last. Who holds a lease
must be back before those who wait for its end."""

DEADLOCKS = 3
"""Times that what the database undid, since two commands waited for each other, is done again."""

MANY = 500
"""Values in one statement: databases have limits."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="Database")


class Database:
    """An open registry.

    Args:
        where: path of an SQLite file, or an SQLAlchemy URL.
        create: whether a registry that is not there is made.
        tell: told if an older one was brought up to date.

    Attributes:
        patience: seconds for which a write is tried again while the registry is away (locked, disk
            full, server gone). A worker has more of it than a command.
        on_trouble: told of each such failure.

    Raises:
        RegistryError: it cannot be opened, or not by this version.
    """

    def __init__(
        self, where: str, create: bool = True, tell: Callable[[str], None] = silence
    ) -> None:
        url = registry_url(where)
        self._path = sqlite_path(url)
        self.where = str(self._path or url.render_as_string(hide_password=True))
        self._engine: Engine = open_engine(url, create, tell=tell)
        self.patience = 0.0
        self._trouble_at = float("-inf")
        self.on_trouble: Callable[[RegistryUnavailableError], None] = lambda _: None

    @property
    def folder(self) -> Path:
        """Where weights and caches lie: beside an SQLite file, else ``results``."""
        return self._path.parent if self._path else Path("results")

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for another database."""
        return self._path

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._path is not None and is_read_only(self._path)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session:
                yield session
        except DBAPIError as error:
            raise translated(error, self.where) from error

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        try:
            with writing(self._engine) as connection, Session(connection) as session:
                yield session
                session.flush()
        except DBAPIError as error:
            raise translated(error, self.where) from error

    def _now(self, session: Session) -> datetime:
        """Return the time in UTC, by the database's clock where it has one of its own."""
        if self._path is None:
            now = session.execute(text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")).scalar_one()
            assert isinstance(now, datetime)
            return now
        return datetime.now(UTC).replace(tzinfo=None)

    def _add_new(
        self, session: Session, table: type[models.Base], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert those rows that are not there; what another process inserted meanwhile stays."""
        if not rows:
            return
        statement: Any
        if self._path is not None:
            from sqlalchemy.dialects.sqlite import insert

            statement = insert(table).on_conflict_do_nothing()
        else:
            from sqlalchemy.dialects import postgresql  # reading a file does without its drivers

            statement = postgresql.insert(table).on_conflict_do_nothing()
        session.execute(statement, list(rows))

    def _provenance(self, session: Session, content: Mapping[str, Any]) -> str:
        """Store what an attempt ran on, once, and return its digest."""
        key = digest(content)
        row = {"digest": key, "content": dict(content)}
        self._add_new(session, models.Provenance, [row])
        return key


def lasting(
    write: Callable[Concatenate[D, P], T],
) -> Callable[Concatenate[D, P], T]:
    """Try a transaction again while the registry is away, for as long as its ``patience``.

    A server may vanish between a commit and its answer: what is decorated comes to the same when it
    is done twice, or a lease makes up for it.
    """

    @functools.wraps(write)
    def wrapper(self: D, *args: P.args, **kwargs: P.kwargs) -> T:
        began, pause, deadlocks = time.monotonic(), FIRST_PAUSE, 0
        while True:
            try:
                return write(self, *args, **kwargs)
            except RegistryUnavailableError as error:
                if "deadlock" in str(error) and deadlocks < DEADLOCKS:
                    deadlocks += 1
                    continue
                if time.monotonic() + pause > began + self.patience:
                    raise
                self._trouble_at = time.monotonic()
                self.on_trouble(error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    return wrapper  # type: ignore[return-value]
