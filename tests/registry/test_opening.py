"""What is no registry, or not ours to open, is refused with a remedy and left as it is."""

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dfgctl.errors import RegistryError, RegistryUnavailableError
from dfgctl.registry import Registry
from dfgctl.registry.engine import VERSION_TABLE


def _text(folder: Path) -> Path:
    file = folder / "notes.txt"
    file.write_text("accuracy was fine\n" * 200)
    return file


def _foreign(folder: Path) -> Path:
    file = folder / "photos.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
        connection.execute("INSERT INTO photos VALUES ('cat')")
    return file


def _newer(folder: Path) -> Path:
    file = folder / "newer.sqlite"
    Registry(str(file)).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    return file


@pytest.mark.parametrize(
    ("make", "says", "remedy"),
    [
        (_text, "is not a database", "--registry"),
        (_foreign, "no registry of dfgctl", "--registry"),
        (_newer, "newer dfgctl", "upgrade dfgctl"),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_registry_of_ours_is_refused_and_stays_as_it_is(
    make: Callable[[Path], Path], says: str, remedy: str, create: bool, tmp_path: Path
) -> None:
    file = make(tmp_path)
    before = file.read_bytes()
    with pytest.raises(RegistryError) as caught:
        Registry(str(file), create=create)
    assert says in str(caught.value)
    assert remedy in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_newer_registry_is_named_with_its_schema(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="its schema is 9999"):
        Registry(str(_newer(tmp_path)))


def test_a_damaged_registry_is_named(file: Path, registry: Registry) -> None:
    registry.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(RegistryError) as caught:
        Registry(str(file)).runs()
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_is_refused_with_a_name_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"is a folder: name a file, e\.g\. .*registry\.sqlite"):
        Registry(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["r.sqlite", "deeper/r.sqlite"])
def test_a_parent_that_is_a_file_is_refused(below: str, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    parent.write_text("a file")
    with pytest.raises(RegistryError, match=r"cannot be made .*--registry") as caught:
        Registry(str(parent / below))
    assert caught.value.exit_code == 2
    assert parent.read_text() == "a file"


@pytest.mark.parametrize(
    "url",
    [
        "://",
        "nosuchbase://host/name",
        "postgresql://host:port/name",
        "postgresql+nosuchdriver://host/name",
        "sqlite://",
    ],
)
def test_an_url_that_leads_nowhere_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(RegistryError, match=r"path|--registry") as caught:
        Registry(url)
    assert caught.value.exit_code == 2


def test_what_is_not_there_is_not_made_unless_asked(tmp_path: Path) -> None:
    file = tmp_path / "not" / "there.sqlite"
    with pytest.raises(
        RegistryError, match=r"no registry at .*there\.sqlite.*dfgctl run"
    ) as caught:
        Registry(str(file), create=False)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "nosuchbase://me:secret@host/name",
        "postgresql://me:secret@host:port/name",
        "postgresql://me:se/c@secret@host:port/name",
        "postgres://me:secret@localhost:1/name",
    ],
)
def test_a_password_in_an_url_is_not_shown(url: str) -> None:
    with pytest.raises((RegistryError, RegistryUnavailableError)) as caught:
        Registry(url)
    assert "secret" not in str(caught.value)


def test_without_a_driver_for_postgresql_its_installation_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RegistryError) as caught:
        Registry("postgresql://localhost/name")
    assert str(caught.value) == (
        "A registry on PostgreSQL needs psycopg: install it with pip install 'dfgctl[postgres]'."
    )


def test_a_registry_that_stays_locked_says_so(
    registry: Registry, file: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgctl.registry.engine.BUSY_SECONDS", 0)
    impatient = Registry(str(file))
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryUnavailableError, match="stayed locked"):
            impatient.enqueue([planned()])
    impatient.enqueue([planned()])
    assert len(registry.runs()) == 1
    impatient.close()
