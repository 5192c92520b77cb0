"""A server that is away, strange or slow is named in a sentence; one that comes back is used."""

import socket
import time
from collections.abc import Callable
from typing import Any

import postgres_server
import psycopg
import pytest
from sqlalchemy.engine import make_url

from dfgctl.errors import DfgctlError, RegistryError, RegistryUnavailableError
from dfgctl.registry import Registry, engine, postgres
from dfgctl.registry.engine import VERSION_TABLE

Make = Callable[..., Any]
needs_server = pytest.mark.postgres


def refused(url: str, **named: Any) -> DfgctlError:
    """Return why a registry cannot be opened: one sentence, without the password."""
    with pytest.raises((RegistryError, RegistryUnavailableError)) as caught:
        Registry(url, **named)
    message = str(caught.value)
    assert "\n" not in message
    assert message.replace("e.g. ", "").count(". ") == 0
    password = make_url(url).password
    assert password is None or str(password) not in message
    return caught.value


def test_a_server_that_is_not_there_may_come_back() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refused(f"postgresql://me:secret@127.0.0.1:{port}/name")
    assert isinstance(error, RegistryUnavailableError)
    assert f"postgresql://me:***@127.0.0.1:{port}/name does not answer (Connection ref" in str(
        error
    )
    assert "--registry" in str(error)


def test_a_server_that_keeps_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.PATIENCE["connect_timeout"] == 10
    monkeypatch.setitem(postgres.PATIENCE, "connect_timeout", 2)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/name")
    assert isinstance(error, RegistryUnavailableError)
    assert "timeout" in str(error)
    assert time.monotonic() - began < 8


@needs_server
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"password": "not-this"}, 'password authentication failed for user "dfgctl"'),
        ({"username": "nobody", "password": "x-y-z"}, 'authentication failed for user "nobody"'),
        ({"database": "nowhere"}, "There is no such database as postgresql://dfgctl:***@"),
    ],
)
def test_what_the_server_refuses_is_said_with_a_remedy(changed: dict[str, str], says: str) -> None:
    url = make_url(postgres_server.SERVER).set(**changed)  # type: ignore[arg-type]
    error = refused(url.render_as_string(hide_password=False))
    assert says in str(error)
    assert "--registry" in str(error)
    assert not isinstance(error, RegistryUnavailableError)


@needs_server
def test_a_schema_that_one_may_not_write_is_said_so(database: str) -> None:
    schema = database.rpartition("%3D")[2]
    user = f"{schema}_guest"
    postgres_server.execute(database, f"CREATE ROLE {user} LOGIN PASSWORD 'guest-word'")
    try:
        postgres_server.execute(database, f"GRANT USAGE ON SCHEMA {schema} TO {user}")
        guest = make_url(database).set(username=user, password="guest-word")
        error = refused(guest.render_as_string(hide_password=False))
        assert "cannot be written (permission denied" in str(error)
    finally:
        postgres_server.execute(database, f"DROP OWNED BY {user}; DROP ROLE {user}")


@needs_server
@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_someone_else_s_is_left_as_it_is(database: str, create: bool) -> None:
    postgres_server.execute(database, "CREATE TABLE photos (name TEXT)")
    assert "no registry of dfgctl" in str(refused(database, create=create))
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    assert postgres_server.execute(database, tables) == [("photos",)]


@needs_server
def test_a_newer_registry_is_refused(database: str) -> None:
    Registry(database).close()
    postgres_server.execute(database, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    assert "newer dfgctl (its schema is 9999" in str(refused(database))


@needs_server
def test_an_empty_database_becomes_a_registry_only_when_asked(database: str) -> None:
    assert "is empty: train something first" in str(refused(database, create=False))
    Registry(database).close()
    opened = Registry(database, create=False)
    assert opened.runs() == []
    opened.close()


@needs_server
@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_other_names_of_postgresql_lead_to_the_same(
    scheme: str, database: str, planned: Make
) -> None:
    first = Registry(database)
    first.enqueue([planned()])
    again = Registry(database.replace("postgresql", scheme, 1), create=False)
    assert [run.id for run in again.runs()] == [planned().id]
    first.close()
    again.close()


@needs_server
def test_a_registry_that_stays_locked_says_so(
    database: str, planned: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1)
    registry = Registry(database)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE runs")
        with pytest.raises(RegistryUnavailableError, match="stayed locked for 1 s"):
            registry.enqueue([planned()])
    registry.enqueue([planned()])
    assert len(registry.runs()) == 1
    registry.close()


@needs_server
def test_a_connection_that_was_lost_between_transactions_is_made_anew(
    database: str, planned: Make
) -> None:
    registry = Registry(database)
    registry.enqueue([planned()])
    with registry._engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    assert postgres_server.execute(database, f"SELECT pg_terminate_backend({pid})") == [(True,)]
    assert [run.id for run in registry.runs()] == [planned().id]
    registry.close()
