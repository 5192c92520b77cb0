"""What is particular to a registry on PostgreSQL: driver, patience, the server's words, a lock."""

import re
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError

from dfgctl.errors import DfgctlError, RegistryError, RegistryUnavailableError

NAMES = ("postgresql", "postgresql+psycopg")
"""What URLs call PostgreSQL; psycopg serves both."""

NO_DRIVER = (
    "A registry on PostgreSQL needs psycopg: install it with pip install 'dfgctl[postgres]'."
)

PATIENCE = {
    "connect_timeout": 10,
    # A server that vanishes without a word is noticed within half a minute.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What a connection waits for, in seconds (the last in milliseconds)."""

SCHEMA_LOCK = 0x64666763746C
"""The number of the advisory lock that changing the schema takes: "dfgctl"."""

SAYS: tuple[tuple[str, type[DfgctlError], str], ...] = (
    (
        "authentication failed|no password|pg_hba.conf|role .* does not exist",
        RegistryError,
        "{where} refuses the login ({reason}): check the user and the password given with "
        "--registry, or put them into ~/.pgpass.",
    ),
    (
        "^database .* does not exist",
        RegistryError,
        "There is no such database as {where}: make it with createdb, or name another with "
        "--registry.",
    ),
    (
        "permission denied|read-only",
        RegistryError,
        "{where} cannot be written ({reason}): ask its owner for the right, or name another "
        "registry with --registry.",
    ),
    (
        "deadlock detected",
        RegistryUnavailableError,
        "{where} undid this, as another command waited for it ({reason}): try again.",
    ),
    (
        "idle-in-transaction timeout|terminating connection|connection .* (closed|lost)",
        RegistryUnavailableError,
        "{where} ended the connection ({reason}): try again.",
    ),
    (
        "lock timeout",
        RegistryUnavailableError,
        "{where} stayed locked for {seconds} s: see which process holds it, and try again.",
    ),
)
"""What part of a server's words means, of which kind it is, and what is said."""


def make_engine(url: URL, seconds: int) -> Engine:
    """Make an engine, whose connections wait so long for others' locks.

    Raises:
        ImportError: psycopg is not installed.
    """

    def connected(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{seconds}s'")
            # A process that falls silent amid a transaction loses its locks.
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{2 * seconds}s'")
        connection.commit()

    patience = {name: value for name, value in PATIENCE.items() if name not in url.query}
    engine = create_engine(url.set(drivername=NAMES[-1]), pool_pre_ping=True, connect_args=patience)
    event.listen(engine, "connect", connected)
    return engine


def translated(error: Exception, reason: str, where: str, seconds: int) -> DfgctlError:
    """Turn what psycopg says, at times in several lines, into one sentence with the remedy."""
    lines = [line for line in reason.splitlines() if not line.startswith(("\t", "Multiple "))]
    reason = re.sub(r"^(.* failed: )?([A-Z]+: +)?", "", lines[0] if lines else "no reason given")
    for pattern, kind, said in SAYS:
        if re.search(pattern, reason):
            return kind(said.format(where=where, reason=reason, seconds=seconds))
    away = isinstance(error, OperationalError | InterfaceError)
    return (RegistryUnavailableError if away else RegistryError)(
        f"The registry {where} does not answer ({reason}): start its server, or check the address "
        "given with --registry."
    )


def lock_schema(connection: Connection) -> None:
    """Wait for other processes that change the schema; SQLite's writers always do."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
