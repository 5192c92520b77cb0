"""``dfgctl gc``: what is shown, asked and deleted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filled import STRANGER, Filled, add_files, fill
from typer.testing import CliRunner

from dfgctl.cli import app, gc
from dfgctl.registry import Registry

Cli = Callable[..., Any]
FILE = "results/registry.sqlite"
CHECKPOINTS, WEIGHTS = 8, 3
"""Files of ``add_files`` that no run needs."""


@pytest.fixture
def made() -> Iterator[Filled]:
    """The default registry with all kinds of files."""
    filled = fill(FILE)
    add_files(filled)
    yield filled
    filled.registry.close()


def all_files() -> set[Path]:
    return {p for p in Path("results").rglob("*") if p.is_file() and "sqlite" not in p.name}


def test_a_dry_run_lists_by_kind_and_deletes_nothing(cli: Cli, made: Filled) -> None:
    before = all_files()
    shown = cli("gc", "--dry-run")
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    rows = {line.split()[0]: line.split()[1:4] for line in shown.out.splitlines()}
    assert rows["checkpoints"] == [str(CHECKPOINTS), "800", "B"]
    assert rows["weights"] == [str(WEIGHTS), "300", "B"]
    assert rows["sources"] == ["1", "100", "B"]
    assert rows["logs"] == ["1", "100", "B"]
    assert rows["plans"][0] == "3"
    assert "temporary" not in rows
    assert all_files() == before


def test_without_a_terminal_and_without_yes_nothing_is_deleted(cli: Cli, made: Filled) -> None:
    before = all_files()
    refused = cli("gc")
    assert refused.code == 2
    assert "add --yes to delete, or --dry-run to look" in refused.err
    assert all_files() == before


def test_yes_deletes_and_a_second_time_there_is_nothing(cli: Cli, made: Filled) -> None:
    before = all_files()
    done = cli("gc", "--yes")
    count = CHECKPOINTS + WEIGHTS + 2
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"Deleted {count} files, 1 kB."
    assert len(all_files()) == len(before) - count
    assert not any(STRANGER in str(path) for path in all_files())
    again = cli("gc")
    assert (again.code, again.out) == (0, "There is nothing to clear.\n")


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_it_asks(
    made: Filled, monkeypatch: pytest.MonkeyPatch, answer: str, deleted: bool
) -> None:
    before = all_files()

    monkeypatch.setattr(gc, "_somebody", lambda: True)
    result = CliRunner().invoke(app, ["gc"], input=answer)
    assert f"Delete {CHECKPOINTS + WEIGHTS + 2} files?" in result.stderr
    assert (result.exit_code, all_files() != before) == (0 if deleted else 2, deleted)
    assert ("Nothing was deleted." in result.stderr) is not deleted


def test_json_names_every_file(cli: Cli, made: Filled) -> None:
    looked = cli("gc", "--dry-run", "--json").json
    assert looked["deleted"] is False
    assert looked["kinds"]["checkpoints"] == {"count": CHECKPOINTS, "bytes": 100 * CHECKPOINTS}
    assert looked["plans"] == 3
    assert cli("gc", "--json").code == 2
    before = all_files()
    done = cli("gc", "--yes", "--json").json
    assert done["deleted"] is True
    assert done["files"] == looked["files"]
    assert before - all_files() == {Path(name) for name in done["files"]}
    assert cli("gc", "--json").json["files"] == []


def test_another_registry_beside_it_is_told_of(cli: Cli, made: Filled) -> None:
    other = Registry("results/other.sqlite")
    other.enqueue([made.runs["finished"]])
    other.close()
    done = cli("gc", "--yes")
    assert "Kept what other.sqlite in the same folder knows." in done.err
    assert "of runs that are not in this registry" in done.err
    assert (made.folder / "checkpoints" / made.id("finished") / "00000002.safetensors").exists()


def test_files_that_cannot_be_deleted_are_a_failure(
    cli: Cli, made: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    done = cli("gc", "--yes")
    assert done.code == 1
    assert "13 files could not be deleted" in done.err
    assert "Permission denied" in done.err


def test_there_must_be_a_registry(cli: Cli, tmp_path: Path) -> None:
    for words in ((), ("--registry", "not.sqlite")):
        refused = cli("gc", *words)
        assert refused.code == 2
        assert "There is no registry" in refused.err
    assert list(tmp_path.iterdir()) == []
