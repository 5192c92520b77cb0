"""Looks into a registry without opening it: nothing is made, written or brought up to date."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dfgctl.contenders import SOURCE, contender
from dfgctl.errors import RegistryError

HEADER = b"SQLite format 3\x00"
"""How an SQLite file begins."""

MOST = 200
"""Runs that a shell is offered at the most, the newest ones."""

SECONDS = 1.0
"""How long a look waits for another process's lock, or for a server."""

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Known:
    """What a registry knows: the ids of its runs, and the source networks that it speaks of."""

    runs: frozenset[str]
    sources: frozenset[str]


def run_ids(where: str, prefix: str, status: str | None = None) -> list[tuple[str, str]]:
    """Return the ids that start so, the newest first, each with a line that describes the run.

    Raises:
        Exception: the registry cannot be read.
    """
    values = {"first": prefix, "last": prefix + "g"}  # ids are hexadecimal
    also = ""
    if status is not None:
        values["status"], also = status, "AND status = :status "
    rows = _rows(
        where,
        "SELECT id, dataset, method, status FROM runs WHERE id >= :first AND id < :last "
        f"{also}ORDER BY created_at DESC, id LIMIT {MOST}",
        values,
    )
    return [(str(row[0]), f"{row[1]} {row[2]}, {row[3]}") for row in rows]


def names(where: str, what: str) -> list[str]:
    """Return the data sets (``dataset``) or methods (``method``) of the registry's runs.

    Raises:
        Exception: the registry cannot be read.
    """
    assert what in ("dataset", "method")
    return [str(row[0]) for row in _rows(where, f"SELECT DISTINCT {what} FROM runs", {})]


def contenders(where: str) -> list[str]:
    """Return the contenders that have runs (``dfgctl.contenders``).

    Raises:
        Exception: the registry cannot be read.
    """
    # A spec is stored as JSON, with a space after a colon or without.
    rows = _rows(
        where,
        "SELECT DISTINCT method, CAST(spec AS TEXT) LIKE :spaced OR CAST(spec AS TEXT) LIKE :close "
        "FROM runs",
        {"spaced": f'%"init": "{SOURCE}"%', "close": f'%"init":"{SOURCE}"%'},
    )
    return [contender(str(method), SOURCE if source else "") for method, source in rows]


def known(file: Path) -> Known | None:
    """Return what an SQLite file knows if it is a registry, of whatever version; else None.

    Raises:
        RegistryError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(len(HEADER)) != HEADER:
                return None
        with closing(sqlite3.connect(read_only(file), uri=True, timeout=SECONDS)) as connection:
            listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not {"dfgctl_schema", "runs", "sources"} <= {row[0] for row in listed}:
                return None
            runs, sources = set(), set()
            for run_id, spec in connection.execute("SELECT id, spec FROM runs"):
                runs.add(str(run_id))
                sources.add(json.loads(spec)["source_identity"])
            sources |= {row[0] for row in connection.execute("SELECT identity FROM sources")}
    except (OSError, sqlite3.Error, ValueError, KeyError) as error:
        raise RegistryError(
            f"{file} lies in the same folder and cannot be read ({error}), so that nobody knows "
            "which files it needs: move it to a folder of its own."
        ) from error
    return Known(frozenset(runs), frozenset(sources - {None}))


def read_only(file: Path) -> str:
    """Return the URI by which an SQLite file is read, without a file made beside it."""
    log = file.with_name(f"{file.name}-wal")
    # Without its log nobody is writing, and SQLite need not look for one.
    still = "" if log.exists() and log.stat().st_size else "&immutable=1"
    return f"file:{quote(str(file.resolve()))}?mode=ro{still}"


def _rows(where: str, query: str, values: dict[str, Any]) -> Rows:
    if "://" not in where:
        file = Path(where).expanduser()
        with closing(sqlite3.connect(read_only(file), uri=True, timeout=SECONDS)) as connection:
            return connection.execute(query, values).fetchall()
    return _rows_by_url(where, query, values)


def _rows_by_url(where: str, query: str, values: dict[str, Any]) -> Rows:
    from sqlalchemy import text

    from dfgctl.registry.engine import open_engine, registry_url, sqlite_path

    url = registry_url(where)
    file = sqlite_path(url)
    if file is not None:
        return _rows(str(file), query, values)
    engine = open_engine(
        url.update_query_dict({"connect_timeout": "1"}), create=False, keep_older=True
    )
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]
    finally:
        engine.dispose()
