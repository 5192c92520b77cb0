"""The registry is looked at and left as it is, whatever is wrong with it."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filled import Filled, fill

from dfgctl.doctor import registry
from dfgctl.doctor.registry import examine, folder_of
from dfgctl.registry import mounts
from dfgctl.registry.engine import HEAD, OLDER

OLDER_FILES = Path(__file__).parents[1] / "registry" / "older"
FILE = "results/registry.sqlite"


@pytest.fixture
def made() -> Iterator[Filled]:
    """The default registry with a run in every state and the results' weights."""
    filled = fill(FILE)
    filled.write(f"weights/{filled.id('finished')}.1.safetensors")
    filled.write(f"weights/{filled.id('forced')}.2.safetensors")
    yield filled
    filled.registry.close()


def change(statement: str, *values: str) -> None:
    with closing(sqlite3.connect(FILE)) as connection, connection:
        connection.execute(statement, values)


def test_where_there_is_none_none_is_made(tmp_path: Path) -> None:
    (found,) = examine(FILE)
    assert (found.level, found.topic) == ("ok", "registry")
    assert "dfgctl run makes it" in found.text
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_well_is_described(made: Filled) -> None:
    described, well, files = examine(FILE)
    assert {f.level for f in (described, well, files)} == {"ok"}
    assert FILE in described.text
    assert f"schema {HEAD}" in described.text
    assert "2 finished" in described.text
    assert files.text == "nothing to clear in results"


def test_what_its_health_finds_is_handed_on(made: Filled) -> None:
    change("DELETE FROM evaluations WHERE run_id = ?", made.id("finished"))
    levels = [f.level for f in examine(FILE)]
    assert levels == ["ok", "problem", "ok"]  # and nothing says that it is whole


def test_leases_that_have_ended_are_told_and_left(made: Filled) -> None:
    change("UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE status = 'running'")
    found = list(examine(FILE))
    assert [f.level for f in found] == ["ok", "note", "ok", "ok"]
    assert "dfgctl runs list" in found[1].remedy
    assert made.registry.run(made.id("running")).status == "running"


def test_what_gc_would_clear_is_noted(made: Filled) -> None:
    made.write(f"weights/{made.id('finished')}.1.safetensors.7.tmp", age=7200)
    (found,) = (f for f in examine(FILE) if f.topic == "files")
    assert found.level == "note"
    assert found.text == "1 file that no run needs, 0.0 MB (temporary)"
    assert "dfgctl gc" in found.remedy


@pytest.mark.parametrize("version", OLDER)
def test_an_older_one_is_told_and_not_brought_up_to_date(version: str, tmp_path: Path) -> None:
    file = tmp_path / "r.sqlite"
    shutil.copyfile(OLDER_FILES / f"{version}.sqlite", file)
    before = file.read_bytes()
    (found,) = examine(str(file))
    assert found.level == "note"
    assert f"schema {version}" in found.text
    assert "dfgctl db upgrade" in found.remedy
    assert file.read_bytes() == before
    assert list(tmp_path.glob("*.bak")) == []


@pytest.mark.parametrize("where", ["r.sqlite", "nosuch://host/name", "."])
def test_one_that_cannot_be_opened_is_a_problem_with_a_remedy(where: str, tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_text("no registry " * 100)
    (found,) = examine(where)
    assert found.level == "problem"
    assert found.text
    assert found.remedy
    assert folder_of(where) in (Path(), Path("results"))


def test_one_on_a_network_is_a_problem(
    made: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"server:/x {tmp_path} gpfs rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mounts")
    found = list(examine(FILE))
    assert found[0].level == "problem"
    assert "gpfs" in found[0].text
    assert "postgresql://" in found[0].remedy
    assert "read-only" in found[1].text


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "schema_of", lambda where: OLDER[0])
    (older,) = examine("postgresql://me:secret@host/name")
    assert "postgresql://me:***@host/name has the schema" in older.text
