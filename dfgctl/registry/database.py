"""What all parts of the registry share: the engine, transactions, the clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dfgctl.records import digest
from dfgctl.registry import models
from dfgctl.registry.engine import (
    is_read_only,
    open_engine,
    registry_url,
    sqlite_path,
    translated,
    writing,
)

LEASE = timedelta(seconds=30)
"""How long a claim holds without a beat."""


class Database:
    """An open registry.

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
            now = session.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
            assert isinstance(now, datetime)
            return now
        return datetime.now(UTC).replace(tzinfo=None)

    @staticmethod
    def _provenance(session: Session, content: Mapping[str, Any]) -> str:
        """Store what an attempt ran on, once, and return its digest."""
        key = digest(content)
        if session.get(models.Provenance, key) is None:
            session.add(models.Provenance(digest=key, content=dict(content)))
            session.flush()
        return key
