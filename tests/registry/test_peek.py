"""A look into a registry leaves no trace, and reads any version."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filled import SOURCE, Filled, fill

from dfgctl.errors import RegistryError
from dfgctl.registry import peek
from dfgctl.registry.engine import OLDER

OLDER_FILES = Path(__file__).parent / "older"


@pytest.fixture
def made(file: Path) -> Iterator[Filled]:
    """A registry with a run in every state."""
    filled = fill(str(file))
    yield filled
    filled.registry.close()


def test_ids_are_found_by_their_start_and_state_the_newest_first(made: Filled, file: Path) -> None:
    newest = [run.id for run in reversed(made.registry.runs())]
    assert [run_id for run_id, _ in peek.run_ids(str(file), "")] == newest
    for run in made.registry.runs():
        found = peek.run_ids(str(file), run.id[:20])
        assert found == [(run.id, f"digits finetune, {run.status}")]
    assert {i for i, _ in peek.run_ids(str(file), "", "finished")} == {
        made.id("finished"),
        made.id("forced"),
    }
    assert peek.run_ids(str(file), "x' OR 1") == []
    assert peek.run_ids(f"sqlite:///{file}", "")[0][0] == newest[0]


def test_names_are_those_of_the_runs(made: Filled, file: Path) -> None:
    assert peek.names(str(file), "dataset") == ["digits"]
    assert peek.names(str(file), "method") == ["finetune"]


@pytest.mark.parametrize("version", OLDER)
def test_an_older_registry_is_read_and_stays_as_it_is(version: str, file: Path) -> None:
    shutil.copyfile(OLDER_FILES / f"{version}.sqlite", file)
    before = file.read_bytes()
    assert len(peek.run_ids(str(file), "")) >= 2
    known = peek.known(file)
    assert known is not None
    assert known.runs == {run_id for run_id, _ in peek.run_ids(str(file), "")}
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_what_is_in_the_log_only_is_seen(made: Filled, file: Path) -> None:
    assert file.with_name(f"{file.name}-wal").stat().st_size > 0
    known = peek.known(file)
    assert known is not None
    assert known.runs == {run.id for run in made.registry.runs()}
    assert known.sources == {SOURCE}


def test_what_is_no_registry_is_not_known(tmp_path: Path) -> None:
    text = tmp_path / "notes.sqlite"
    text.write_text("notes")
    assert peek.known(text) is None
    photos = tmp_path / "photos.sqlite"
    with closing(sqlite3.connect(photos)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    assert peek.known(photos) is None


def test_what_cannot_be_read_is_an_error_and_nothing_is_made(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(peek.HEADER + b"\xff" * 5000)
    with pytest.raises(RegistryError, match="cannot be read"):
        peek.known(broken)
    with pytest.raises(sqlite3.Error):
        peek.run_ids(str(tmp_path / "not.sqlite"), "")
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.postgres
def test_a_server_is_asked_too(database: str) -> None:
    filled = fill(database)
    assert len(peek.run_ids(database, "", "queued")) == 1
    assert peek.names(database, "dataset") == ["digits"]
    filled.registry.close()
