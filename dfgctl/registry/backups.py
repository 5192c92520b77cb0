"""Backups of a registry, whole while others write; and an older one is brought up to date."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from dfgctl.errors import InputError, RegistryError, last_line
from dfgctl.registry.engine import (
    BUSY_SECONDS,
    HEAD,
    home,
    open_engine,
    registry_url,
    sqlite_path,
    translated,
    unused,
    upgrade,
    version_of,
)

NO_PG_DUMP = (
    "A registry on PostgreSQL is backed up by pg_dump, which is not here: install PostgreSQL's "
    "client programs (Debian: postgresql-client)"
)


@dataclass(frozen=True)
class Upgraded:
    """What became of a registry's schema.

    Attributes:
        where: the registry.
        before: the version that it had.
        after: the version that it has.
        backup: where it lies as it was; None where nothing was done, or none was wanted.
    """

    where: str
    before: str
    after: str
    backup: Path | None


def back_up(where: str, target: Path, force: bool = False) -> int:
    """Write a registry as it is now, of whatever version, to a file; return its size.

    Args:
        where: the registry's path or URL.
        target: the file: an SQLite registry, or pg_dump's custom format.
        force: whether a file that is there is replaced.

    Raises:
        RegistryError: there is no such registry, or it is damaged.
        InputError: the file is there, or cannot be written.
    """
    url = registry_url(where)
    _check_target(target, sqlite_path(url), force)
    engine = open_engine(url, create=False, keep_older=True)
    try:
        _write(engine, url, target)
    finally:
        engine.dispose()
    return target.stat().st_size


def bring_up_to_date(where: str, backup: bool = True) -> Upgraded:
    """Bring a registry to this version's schema, after a backup.

    An SQLite file is always copied first. On PostgreSQL the backup goes where weights go.

    Args:
        where: the registry's path or URL.
        backup: whether one on PostgreSQL is backed up.

    Raises:
        RegistryError: there is no such registry, or it cannot be backed up or written.
    """
    url = registry_url(where)
    engine = open_engine(url, create=False, keep_older=True)
    place = shown(url)
    try:
        with engine.connect() as connection:
            before = version_of(connection)
        assert before is not None
        if before == HEAD:
            return Upgraded(place, HEAD, HEAD, None)
        copy = None
        if sqlite_path(url) is None and backup:
            if shutil.which("pg_dump") is None:
                raise RegistryError(f"{NO_PG_DUMP}, or go on without with --no-backup.")
            folder = home(where)
            folder.mkdir(parents=True, exist_ok=True)
            copy = unused(folder / (url.database or "registry"), before)
            _write(engine, url, copy)
        made = upgrade(engine, place, before)
        return Upgraded(place, before, HEAD, made or copy)
    except (DBAPIError, sqlite3.Error) as error:
        raise translated(error, place) from error
    finally:
        engine.dispose()


def schema_of(where: str) -> str:
    """Return the version of a registry's schema, which stays as it is.

    Raises:
        RegistryError: there is no such registry, or this version does not know it.
    """
    url = registry_url(where)
    engine = open_engine(url, create=False, keep_older=True)
    try:
        with engine.connect() as connection:
            version = version_of(connection)
    except (DBAPIError, sqlite3.Error) as error:
        raise translated(error, shown(url)) from error
    finally:
        engine.dispose()
    assert version is not None
    return version


def _check_target(target: Path, file: Path | None, force: bool) -> None:
    if target.is_dir():
        raise InputError(f"{target} is a folder: name a file in it.")
    if not target.exists():
        return
    if file is not None and file.exists() and target.samefile(file):
        raise InputError(f"{target} is the registry itself: name another file.")
    if not force:
        raise InputError(f"{target} is there already: name another file, or add --force.")
    log = target.with_name(f"{target.name}-wal")
    if log.exists():
        raise InputError(
            f"{target} is a database in use ({log.name} lies beside it): name another file."
        )


def _write(engine: Engine, url: URL, target: Path) -> None:
    """Write a backup beside its place, check it, and move it there."""
    beside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if engine.dialect.name == "sqlite":
            _copy(engine, beside, shown(url))
        else:
            _dump(engine, url, beside)
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        beside.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}): name another file."
        ) from error
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                beside.with_name(beside.name + end).unlink(missing_ok=True)


def _copy(engine: Engine, beside: Path, where: str) -> None:
    deadline = time.monotonic() + BUSY_SECONDS

    def patience(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    raw = engine.raw_connection()
    try:
        with closing(sqlite3.connect(beside)) as new:
            # In one step, so that nothing that others write meanwhile makes it begin again.
            raw.driver_connection.backup(new, progress=patience)  # type: ignore[union-attr]
            reason = _damage(new)
    except sqlite3.OperationalError as error:
        if any(sign in str(error) for sign in ("full", "unable to open", "disk I/O")):
            raise OSError(str(error)) from error
        raise translated(error, where) from error
    except sqlite3.Error as error:
        raise translated(error, where) from error
    finally:
        raw.close()
    if reason is not None:
        raise RegistryError(
            f"{where} is damaged ({reason}), so that no backup was written: go back to an older "
            "one, or save the runs that can be read with dfgctl runs export."
        )


def _damage(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with a database, None where it is whole."""
    try:
        return damage(connection.execute("PRAGMA integrity_check").fetchall())
    except sqlite3.DatabaseError as error:
        return str(error)


def _dump(engine: Engine, url: URL, beside: Path) -> None:
    program, reader = shutil.which("pg_dump"), shutil.which("pg_restore")
    if program is None:
        raise RegistryError(f"{NO_PG_DUMP}, or write the runs with dfgctl runs export.")
    with engine.connect() as connection:
        schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    address = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    ).render_as_string()
    # The password goes by the environment: arguments are seen by all users of the machine.
    secret = {"PGPASSWORD": str(url.password)} if url.password is not None else {}
    command = [program, "--format=custom", "--no-password", f"--dbname={address}"]
    made = subprocess.run(
        [*command, f'--schema="{schema}"', f"--file={beside}"],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode == 0 and reader is not None:
        made = subprocess.run(
            [reader, "--list", str(beside)], capture_output=True, text=True, check=False
        )
    if made.returncode != 0:
        raise RegistryError(
            f"pg_dump made no backup of {shown(url)} ({last_line(made.stderr)}): mend that, or "
            "write the runs with dfgctl runs export."
        )


def damage(rows: Sequence[Sequence[Any]]) -> str | None:
    """Return in one line what SQLite's check of a file found, None where it is whole."""
    lines = [line for row in rows for line in str(row[0]).splitlines() if line[:3] != "***"]
    return None if lines == ["ok"] else "; ".join(lines[:2])


def shown(url: URL) -> str:
    """Return a registry's place, without a password."""
    return str(sqlite_path(url) or url.render_as_string(hide_password=True))
