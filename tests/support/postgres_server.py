"""Schemas for tests, on the PostgreSQL server that DFGCTL_TEST_POSTGRES names."""

import functools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

SERVER = os.environ.get("DFGCTL_TEST_POSTGRES", "")


@functools.cache
def missing() -> str | None:
    """Return why there is no server, None where there is one."""
    if not SERVER:
        return "no PostgreSQL server (DFGCTL_TEST_POSTGRES is not set)"
    try:
        execute(SERVER, "SELECT 1")
    except psycopg.Error as error:
        return f"no PostgreSQL server ({str(error).splitlines()[0]})"
    return None


def execute(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, with ? for values, and return its rows."""
    if values:
        statement = statement.replace("%", "%%").replace("?", "%s")
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def schema() -> Iterator[str]:
    """Make a schema, which to a registry is a database of its own; give its URL, drop it after."""
    name = f"dfgctl_{secrets.token_hex(8)}"
    execute(SERVER, f"CREATE SCHEMA {name}")
    try:
        yield f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{name}"
    finally:
        execute(SERVER, f"DROP SCHEMA {name} CASCADE")
