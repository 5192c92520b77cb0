"""Opens a registry's database: URL, pragmas, transactions, and the schema's version."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from dfgctl.errors import RegistryError

VERSION_TABLE = "dfgctl_schema"
HEAD = "0002"
"""The newest migration; a test holds it against the migrations folder."""

OLDER = ("0001",)
"""Migrations that this version brings up to date."""

BUSY_SECONDS = 30
"""How long a writer waits for another before the database counts as locked."""


def registry_url(where: str) -> URL:
    """Read a registry's place: an SQLAlchemy URL or the path of an SQLite file.

    Raises:
        RegistryError: it is a URL of a database that SQLAlchemy does not know.
    """
    if "://" not in where:
        try:
            path = Path(where).expanduser()
            path.exists()
        except (OSError, RuntimeError, ValueError) as error:
            raise RegistryError(
                f"'{where[:60]}' is no path of a registry ({error}): name another with --registry."
            ) from error
        return URL.create("sqlite", database=str(path))
    advice = f"'{where}' is no registry: give a path, or a URL such as postgresql://host/name."
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        raise RegistryError(advice) from error
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise RegistryError(advice)
    return url


def home(where: str) -> Path:
    """Return where weights and caches lie: beside an SQLite file, else ``results``."""
    path = sqlite_path(registry_url(where))
    return path.parent if path else Path("results")


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite registry, None for another database."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def open_engine(url: URL, create: bool) -> Engine:
    """Open a registry, creating it or checking its version.

    Args:
        url: the registry's URL.
        create: whether a registry that is not there is made.

    Raises:
        RegistryError: it is not there, no registry, newer than the program, or not writable.
    """
    path = sqlite_path(url)
    if path is not None:
        _check_file(path, create)
        if is_read_only(path):
            url = _read_only_url(path)
    try:
        engine = create_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        raise RegistryError(
            f"No driver for '{url.get_backend_name()}' ({error}): install it, or use a path."
        ) from error
    if path is not None:
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    try:
        _check_version(engine, str(path or url.render_as_string(hide_password=True)), create)
    except RegistryError:
        engine.dispose()
        raise
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise translated(error, str(path or url.render_as_string(hide_password=True))) from error
    return engine


def translated(error: SQLAlchemyError | sqlite3.Error, where: str) -> RegistryError:
    """Turn a database's error into one sentence with the remedy."""
    reason = str(getattr(error, "orig", None) or error).strip()
    if "not a database" in reason:
        return RegistryError(
            f"{where} is not a database: name another file with --registry, or move it away."
        )
    if "malformed" in reason:
        return RegistryError(
            f"{where} is damaged ({reason}): restore a copy, or name another file with --registry."
        )
    if "readonly" in reason or "read-only" in reason:
        return RegistryError(
            f"{where} cannot be written: name a registry in a folder of yours with --registry."
        )
    if "locked" in reason:
        return RegistryError(
            f"{where} stayed locked for {BUSY_SECONDS} s: see which process holds it, and try "
            "again."
        )
    return RegistryError(f"The registry {where} does not answer: {reason}. Check --registry.")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction: it holds the database from its start, so that nothing deadlocks."""
    with engine.connect().execution_options(dfgctl_write=True) as connection, connection.begin():
        yield connection


def is_read_only(path: Path) -> bool:
    """Say whether an SQLite registry can only be read: its log needs the folder, too."""
    if not path.exists():
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _read_only_url(path: Path) -> URL:
    log = path.with_name(f"{path.name}-wal")
    query = {"mode": "ro", "uri": "true"}
    if not (log.exists() and log.stat().st_size):
        # Without its log nobody is writing, and SQLite need not make files beside it.
        query["immutable"] = "1"
    return URL.create("sqlite", database=f"file:{quote(str(path.resolve()))}", query=query)


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise RegistryError(f"{path} is a folder: name a file, e.g. {path / 'registry.sqlite'}.")
    if path.exists():
        if create and is_read_only(path):
            raise RegistryError(
                f"{path} cannot be written: name a registry in a folder of yours with --registry."
            )
        return
    if not create:
        raise RegistryError(
            f"There is no registry at {path}: train something first, e.g. dfgctl run digits, or "
            "name the registry with --registry."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"{path.parent} cannot be made ({error.strerror}): name a registry in a folder of "
            "yours with --registry."
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise RegistryError(
            f"{path.parent} is read-only: name a registry in a folder of yours with --registry."
        )


def _sqlite_connect(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Switch to the write-ahead log; SQLite does not wait for the lock that this takes."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                return
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _sqlite_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("dfgctl_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check_version(engine: Engine, where: str, create: bool) -> None:
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        version = _version(connection)
    if version == HEAD:
        return
    if version in OLDER:
        _upgrade(engine, where, version)
        return
    if version is not None:
        raise RegistryError(
            f"{where} was written by a newer dfgctl (its schema is {version}, this one knows "
            f"{HEAD}): upgrade dfgctl, or name another registry with --registry."
        )
    if tables - {VERSION_TABLE}:
        raise RegistryError(
            f"{where} is a database, but no registry of dfgctl: name another with --registry."
        )
    if not create:
        raise RegistryError(
            f"{where} is empty: train something first, e.g. dfgctl run digits, or name another "
            "registry with --registry."
        )
    _migrate(engine)


def _upgrade(engine: Engine, where: str, version: str) -> None:
    """Bring an older registry up to date, after a copy of an SQLite file was put beside it.

    Raises:
        RegistryError: it cannot be written.
    """
    path = sqlite_path(engine.url)
    if path is not None and (engine.url.query or is_read_only(path)):
        raise RegistryError(
            f"{where} was written by an older dfgctl and must be brought up to date, but cannot "
            "be written: copy it to a folder of yours and name the copy with --registry."
        )
    with writing(engine) as connection:
        if _version(connection) != version:
            return  # another process did it meanwhile
        if path is not None:
            _copy(path, version)
        _run_migrations(connection)


def _copy(path: Path, version: str) -> None:
    """Copy an SQLite file as it was before the transaction that is open, whole or not at all.

    Raises:
        RegistryError: it cannot be copied.
    """
    numbers = ("", *(f".{i}" for i in range(1, 1000)))
    targets = (path.with_name(f"{path.name}.{version}{number}.bak") for number in numbers)
    target = next(t for t in targets if not t.exists() or t.stat().st_size == 0)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(beside)) as new:
            old.backup(new)
        beside.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(
            f"{path} must be brought up to date, but a copy of it cannot be written beside it "
            f"({error}): make room there, or name a copy elsewhere with --registry."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _migrate(engine: Engine) -> None:
    """Make the tables by the migrations; of several processes that try, one does it."""
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            _use_wal(raw.cursor())
        finally:
            raw.close()
    with writing(engine) as connection:
        _run_migrations(connection)


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    """Return the schema's version; None where there is no table of it."""
    if VERSION_TABLE not in inspect(connection).get_table_names():
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    version: str | None = found.scalar_one_or_none()
    return version
