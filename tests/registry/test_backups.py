"""Backups are whole while others write and never overwrite; upgrades say where the old one is."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filled import Filled, fill, planned

from dfgctl.errors import InputError, RegistryError
from dfgctl.registry import Registry, backups, mounts
from dfgctl.registry.backups import Upgraded, back_up, bring_up_to_date, schema_of
from dfgctl.registry.engine import HEAD, OLDER

OLDER_FILES = Path(__file__).parent / "older"


@pytest.fixture
def made(file: Path) -> Iterator[Filled]:
    """A registry with a run in every state."""
    filled = fill(str(file))
    yield filled
    filled.registry.close()


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_a_backup_is_a_registry_with_all_that_was_in_it(
    made: Filled, file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "backups" / "monday.sqlite"
    assert back_up(str(file), target) == target.stat().st_size
    assert list(target.parent.iterdir()) == [target]
    assert dump(target) == dump(file)
    opened = Registry(str(target), create=False)
    assert opened.runs() == made.registry.runs()
    assert opened.facts().journal == "wal"
    opened.close()


def test_it_is_whole_while_another_process_writes(file: Path, tmp_path: Path) -> None:
    registry = Registry(str(file))
    registry.enqueue([planned(i) for i in range(20)])
    stop = threading.Event()

    def write() -> None:
        other = Registry(str(file))
        for i in range(20, 400):
            if stop.is_set():
                break
            other.enqueue([planned(i), planned(i + 1000)])
        other.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for i in range(5):
            target = tmp_path / f"{i}.sqlite"
            back_up(str(file), target)
            with closing(sqlite3.connect(target)) as connection:
                (count,) = connection.execute("SELECT count(*) FROM runs").fetchone()
            assert count >= 20
            assert count % 2 == 0  # a transaction is in it whole or not at all
    finally:
        stop.set()
        writer.join()
    registry.close()


def test_what_is_in_the_log_only_is_in_the_backup(made: Filled, file: Path, tmp_path: Path) -> None:
    assert file.with_name(f"{file.name}-wal").stat().st_size > 0
    back_up(str(file), tmp_path / "b.sqlite")
    assert len(dump(tmp_path / "b.sqlite")) == len(dump(file)) > 20


def test_a_file_that_is_there_stays_unless_forced(made: Filled, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    target.write_text("precious")
    with pytest.raises(InputError, match="is there already: name another file, or add --force"):
        back_up(str(file), target)
    assert target.read_text() == "precious"
    back_up(str(file), target, force=True)
    assert dump(target) == dump(file)


@pytest.mark.parametrize("force", [False, True])
def test_the_registry_itself_and_one_in_use_are_never_replaced(
    made: Filled, file: Path, tmp_path: Path, force: bool
) -> None:
    before = dump(file)
    link = tmp_path / "link.sqlite"
    link.symlink_to(file)
    for target in (file, link):
        with pytest.raises(InputError, match="is the registry itself"):
            back_up(str(file), target, force)
    other = Registry(str(tmp_path / "other.sqlite"))
    other.enqueue([planned(1)])
    with pytest.raises(InputError, match="in use" if force else "is there already"):
        back_up(str(file), tmp_path / "other.sqlite", force)
    assert len(other.runs()) == 1
    assert dump(file) == before
    other.close()


def test_a_folder_and_a_place_that_cannot_be_written_are_refused(
    made: Filled, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is a folder"):
        back_up(str(file), tmp_path)
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written .*: name another file"):
        back_up(str(file), tmp_path / "taken" / "b.sqlite")


def test_a_disk_that_is_full_leaves_nothing_behind(
    made: Filled, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def small(place: Any, *args: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(place, *args, **named)
        if str(place).endswith(".tmp"):
            connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(backups.sqlite3, "connect", small)
    target = tmp_path / "backups" / "b.sqlite"
    with pytest.raises(InputError, match=r"cannot be written \(database or disk is full\)"):
        back_up(str(file), target)
    assert list(target.parent.iterdir()) == []


def test_a_damaged_registry_gives_no_backup(made: Filled, file: Path, tmp_path: Path) -> None:
    made.registry.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_runs_created'"
        ).fetchall()
    content = bytearray(file.read_bytes())
    content[(root - 1) * 4096 + 8 : (root - 1) * 4096 + 40] = b"\xff" * 32
    file.write_bytes(content)
    with pytest.raises(RegistryError, match=r"damaged .*no backup.*dfgctl runs export"):
        back_up(str(file), tmp_path / "b.sqlite")
    assert not (tmp_path / "b.sqlite").exists()


def test_there_must_be_a_registry(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="There is no registry"):
        back_up(str(tmp_path / "not.sqlite"), tmp_path / "b.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_registry_is_backed_up(
    made: Filled, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.registry.close()
    before = file.read_bytes()
    (tmp_path / "mounts").write_text(f"server:/x {tmp_path} nfs ro 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mounts")
    back_up(str(file), tmp_path / "b" / "b.sqlite")
    assert file.read_bytes() == before
    assert len(dump(tmp_path / "b" / "b.sqlite")) > 20


@pytest.fixture(params=OLDER)
def older(request: pytest.FixtureRequest, file: Path) -> tuple[str, Path]:
    """A registry of an older schema."""
    shutil.copyfile(OLDER_FILES / f"{request.param}.sqlite", file)
    return request.param, file


def test_an_older_registry_is_backed_up_as_it_is(older: tuple[str, Path], tmp_path: Path) -> None:
    version, file = older
    back_up(str(file), tmp_path / "b" / "b.sqlite")
    assert dump(tmp_path / "b" / "b.sqlite") == dump(file)
    assert schema_of(str(file)) == version
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", file.name]


def test_an_upgrade_says_where_the_old_one_is(older: tuple[str, Path]) -> None:
    version, file = older
    before = dump(file)
    copy = file.with_name(f"{file.name}.{version}.bak")
    assert bring_up_to_date(str(file)) == Upgraded(str(file), version, HEAD, copy)
    assert dump(copy) == before
    assert schema_of(str(file)) == HEAD
    assert bring_up_to_date(str(file)) == Upgraded(str(file), HEAD, HEAD, None)
    assert [p.name for p in file.parent.glob("*.bak")] == [copy.name]


def test_what_cannot_be_upgraded_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="There is no registry"):
        bring_up_to_date(str(tmp_path / "not.sqlite"))
    file = tmp_path / "newer.sqlite"
    Registry(str(file)).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE dfgctl_schema SET version_num = '9999'")
    for ask in (bring_up_to_date, schema_of):
        with pytest.raises(RegistryError, match="newer dfgctl"):
            ask(str(file))


# PostgreSQL


@pytest.fixture
def aged(database: str) -> Callable[[], str]:
    """A registry on PostgreSQL that was taken back to the schema before; says which it has."""
    from alembic import command
    from alembic.config import Config

    filled = fill(database)
    config = Config()
    folder = Path(backups.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with filled.registry._engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, OLDER[-1])
    filled.registry.close()
    return lambda: schema_of(database)


@pytest.mark.postgres
def test_an_older_registry_on_postgres_is_not_upgraded_by_opening_it(
    database: str, aged: Callable[[], str]
) -> None:
    for create in (True, False):
        with pytest.raises(RegistryError, match=r"older dfgctl .*dfgctl db upgrade"):
            Registry(database, create=create)
    assert aged() == OLDER[-1]


@pytest.mark.postgres
def test_it_is_upgraded_after_a_backup(database: str, aged: Callable[[], str]) -> None:
    done = bring_up_to_date(database)
    assert (done.before, done.after) == (OLDER[-1], HEAD)
    assert done.backup is not None
    assert done.backup.read_bytes().startswith(b"PGDMP")
    registry = Registry(database, create=False)
    assert len(registry.runs()) == 7
    registry.close()
    assert bring_up_to_date(database).backup is None


@pytest.mark.postgres
def test_without_pg_dump_it_is_only_upgraded_without_a_backup(
    database: str, aged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups.shutil, "which", lambda name: None)
    with pytest.raises(RegistryError, match=r"postgresql-client.*--no-backup"):
        bring_up_to_date(database)
    assert aged() == OLDER[-1]
    assert bring_up_to_date(database, backup=False).backup is None
    assert aged() == HEAD


@pytest.mark.postgres
def test_a_registry_on_postgres_is_backed_up_by_pg_dump(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = fill(database)
    filled.registry.close()
    target = tmp_path / "b" / "b.dump"
    assert back_up(database, target) == target.stat().st_size
    assert target.read_bytes().startswith(b"PGDMP")
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(InputError, match="is there already"):
        back_up(database, target)
    monkeypatch.setattr(backups.shutil, "which", lambda name: None)
    with pytest.raises(RegistryError, match=r"postgresql-client.*dfgctl runs export"):
        back_up(database, tmp_path / "c.dump")


@pytest.mark.postgres
def test_facts_health_and_waste_are_known_on_postgres_as_well(database: str) -> None:
    filled = fill(database)
    made = filled.registry
    facts = made.facts()
    assert facts.database.startswith("PostgreSQL ")
    assert facts.journal is None
    assert facts.bytes > 10_000
    assert facts.runs["finished"] == 2
    assert [f.level for f in made.health()] == ["note"]  # there are no weights
    filled.write(f"checkpoints/{filled.id('finished')}/00000002.safetensors")
    filled.write(f"checkpoints/{filled.id('running')}/00000002.safetensors")
    filled.write(f"checkpoints/{'e' * 64}/00000002.safetensors")
    waste = made.waste()
    assert [f.id for f in waste.files] == [filled.id("finished")]
    assert waste.strangers == 1  # another database may use the folder
    cleared = made.clear(waste)
    assert (len(cleared.files), cleared.plans) == (1, 3)
    made.close()
