"""A new registry: its tables, its version, its connection, and many who create it at once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from dfgctl.registry import Registry, engine, models
from dfgctl.registry.engine import HEAD, VERSION_TABLE

Sql = Callable[..., list[tuple[Any, ...]]]


def test_migrations_make_exactly_the_tables_of_the_models(registry: Registry) -> None:
    with registry._engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, models.Base.metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_version_lies_in_a_table_of_our_own(registry: Registry, sql: Sql) -> None:
    assert sql(f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]
    tables = inspect(registry._engine).get_table_names()
    assert set(tables) == {VERSION_TABLE, *models.Base.metadata.tables}


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 30_000)]
)
def test_a_connection_is_set_up_for_several_processes(
    file: Path, registry: Registry, pragma: str, value: object
) -> None:
    with registry._engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value


def test_an_evaluation_without_its_run_is_refused(registry: Registry) -> None:
    insert = (
        "INSERT INTO evaluations (run_id, attempt, step, accuracy, loss, losses, seconds) "
        "VALUES ('nobody', 1, 0, 0.5, 1.0, '{}', 0.0)"
    )
    with registry._engine.connect() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql(insert)


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "r.sqlite"
    registry = Registry(str(file))
    assert file.is_file()
    assert registry.folder == file.parent
    registry.close()


def test_opening_again_keeps_what_is_there(registry: Registry, where: str, planned: Any) -> None:
    registry.enqueue([planned()])
    again = Registry(where, create=False)
    assert [run.id for run in again.runs()] == [planned().id]
    again.close()


def test_an_sqlite_url_is_the_same_as_its_path(registry: Registry, file: Path) -> None:
    by_url = Registry(f"sqlite:///{file}", create=False)
    assert by_url.folder == registry.folder
    assert by_url.runs() == []
    by_url.close()


def test_an_empty_file_becomes_a_registry(file: Path) -> None:
    file.touch()
    registry = Registry(str(file))
    assert registry.runs() == []
    registry.close()


def test_processes_that_create_it_at_the_same_moment_all_succeed(where: str, sql: Sql) -> None:
    code = (
        "import sys; from dfgctl.registry import Registry\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "registry = Registry(sys.argv[1]); print(len(registry.runs())); registry.close()\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    ends = [child.communicate(timeout=120) for child in children]
    assert [(child.returncode, *end) for child, end in zip(children, ends, strict=True)] == [
        (0, "0\n", "")
    ] * 4
    assert sql(f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]
