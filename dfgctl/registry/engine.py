"""Opens a registry's database: URL, pragmas, transactions, and the schema's version."""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from dfgctl.errors import DfgctlError, RegistryError, RegistryUnavailableError
from dfgctl.registry import postgres
from dfgctl.registry.access import check_file, is_read_only, read_only_url

VERSION_TABLE = "dfgctl_schema"
HEAD = "0005"
"""The newest migration; a test holds it against the migrations folder."""

OLDER = ("0001", "0002", "0003", "0004")
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
    shown = re.sub(r"(://[^:/]*):.*@", r"\1:***@", where)
    advice = f"'{shown}' is no registry: give a path, or a URL such as postgresql://host/name."
    try:
        url = make_url(re.sub("^postgres://", "postgresql://", where))
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


def silence(_: str) -> None:
    """Hear what is told, and say nothing."""


def open_engine(
    url: URL, create: bool, keep_older: bool = False, tell: Callable[[str], None] = silence
) -> Engine:
    """Open a registry, creating it or checking its version.

    Args:
        url: the registry's URL.
        create: whether a registry that is not there is made.
        keep_older: whether one of an older schema is opened as it is.
        tell: told if it was brought up to date.

    Raises:
        RegistryError: it is not there, no registry, newer than the program, or not writable.
    """
    path = sqlite_path(url)
    if path is not None:
        check_file(path, create)
        if is_read_only(path):
            url = read_only_url(path)
    try:
        postgresql = url.drivername in postgres.NAMES
        engine = postgres.make_engine(url, BUSY_SECONDS) if postgresql else create_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        if url.drivername in postgres.NAMES:
            raise RegistryError(postgres.NO_DRIVER) from error
        raise RegistryError(
            f"No driver for '{url.get_backend_name()}' ({error}): install it, or use a path."
        ) from error
    if path is not None:
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    try:
        where = str(path or url.render_as_string(hide_password=True))
        _check_version(engine, where, create, keep_older, tell)
    except DfgctlError:
        engine.dispose()
        raise
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise translated(error, str(path or url.render_as_string(hide_password=True))) from error
    return engine


def translated(error: SQLAlchemyError | sqlite3.Error, where: str) -> DfgctlError:
    """Turn a database's error into one sentence with the remedy."""
    reason = str(getattr(error, "orig", None) or error).strip()
    if re.match(r"postgresql(\+\w+)?://", where):
        return postgres.translated(error, reason, where, BUSY_SECONDS)
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
        return RegistryUnavailableError(
            f"{where} stayed locked for {BUSY_SECONDS} s: see which process holds it, and try "
            "again."
        )
    if "disk is full" in reason or "disk I/O" in reason:
        return RegistryUnavailableError(
            f"{where} cannot be written ({reason}): make room on its disk, and try again."
        )
    message = f"The registry {where} does not answer: {reason}. Check --registry."
    if isinstance(error, OperationalError | InterfaceError) and "no such" not in reason:
        return RegistryUnavailableError(message)
    return RegistryError(message)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction: it holds the database from its start, so that nothing deadlocks."""
    with engine.connect().execution_options(dfgctl_write=True) as connection, connection.begin():
        yield connection


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


def _check_version(
    engine: Engine, where: str, create: bool, keep_older: bool, tell: Callable[[str], None]
) -> None:
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        version = version_of(connection)
    if version == HEAD or (keep_older and version in OLDER):
        return
    if version in OLDER:
        if engine.dialect.name != "sqlite":
            raise RegistryError(
                f"{where} was written by an older dfgctl (its schema is {version}, this one needs "
                f"{HEAD}): stop its workers on all machines, and type dfgctl db upgrade."
            )
        if where.endswith(".bak"):
            raise RegistryError(
                f"{where} is a copy of a registry as an older dfgctl left it, and stays so: copy "
                "it to another name, and name that with --registry."
            )
        copy = upgrade(engine, where, version)
        if copy is not None:
            tell(
                f"{where} was brought from schema {version} to {HEAD}; as it was it lies in {copy}."
            )
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


def upgrade(engine: Engine, where: str, version: str) -> Path | None:
    """Bring an older registry up to date, after a copy of an SQLite file was put beside it.

    Returns:
        The copy; None for another database, or where another process did it meanwhile.

    Raises:
        RegistryError: it cannot be written.
    """
    path = sqlite_path(engine.url)
    if path is not None and (engine.url.query or is_read_only(path)):
        raise RegistryError(
            f"{where} was written by an older dfgctl and must be brought up to date, but cannot "
            "be written: copy it to a folder of yours and name the copy with --registry."
        )
    copy = None
    with writing(engine) as connection:
        postgres.lock_schema(connection)
        if version_of(connection) != version:
            return None  # another process did it meanwhile
        if path is not None:
            copy = _copy(path, version)
        _run_migrations(connection)
    return copy


def unused(path: Path, version: str) -> Path:
    """Return the name of a copy of an older schema that is not taken: ``FILE.0002.bak``."""
    numbers = ("", *(f".{i}" for i in range(1, 1000)))
    targets = (path.with_name(f"{path.name}.{version}{number}.bak") for number in numbers)
    return next(t for t in targets if not t.exists() or t.stat().st_size == 0)


def _copy(path: Path, version: str) -> Path:
    """Copy an SQLite file as it was before the transaction that is open, whole or not at all.

    Returns:
        The copy.

    Raises:
        RegistryError: it cannot be copied.
    """
    target = unused(path, version)
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
    return target


def _migrate(engine: Engine) -> None:
    """Make the tables by the migrations; of several processes that try, one does it."""
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            _use_wal(raw.cursor())
        finally:
            raw.close()
    with writing(engine) as connection:
        postgres.lock_schema(connection)
        _run_migrations(connection)


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def version_of(connection: Connection) -> str | None:
    """Return the schema's version; None where there is no table of it."""
    if VERSION_TABLE not in inspect(connection).get_table_names():
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    version: str | None = found.scalar_one_or_none()
    return version
