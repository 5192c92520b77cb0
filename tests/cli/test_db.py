"""``dfgctl db``: what is shown of the registry, backups and upgrades by command."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filled import Filled, add_files, fill
from refusals import refused

from dfgctl.registry import Registry
from dfgctl.registry.engine import HEAD, OLDER

Cli = Callable[..., Any]
FILE = "results/registry.sqlite"
OLDER_FILES = Path(__file__).parents[1] / "registry" / "older"


@pytest.fixture
def made() -> Iterator[Filled]:
    """The default registry, with a run in every state."""
    filled = fill(FILE)
    yield filled
    filled.registry.close()


def test_info_shows_what_the_registry_holds(cli: Cli, made: Filled) -> None:
    add_files(made)
    shown = cli("db", "info")
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    lines = {line[:17].strip(): line[17:].strip() for line in shown.out.splitlines()}
    assert lines["Registry"] == FILE
    assert f"schema {HEAD}, journal wal" in lines["Database"]
    assert lines["Runs"] == "7 (1 queued, 1 running, 2 finished, 2 failed, 1 cancelled)"
    assert lines["Attempts"] == "6"
    assert lines["Evaluations"] == "3"
    assert lines["Workers"] == "0 alive"
    assert lines["Files in"] == "results"
    assert lines["checkpoints"] == "16 files, 2 kB"
    assert lines["prepared"] == "none"


def test_info_as_json_has_the_same(cli: Cli, made: Filled) -> None:
    add_files(made)
    record = cli("db", "info", "--json").json
    assert record["runs"] == {
        "all": 7,
        "queued": 1,
        "running": 1,
        "finished": 2,
        "failed": 2,
        "cancelled": 1,
    }
    assert record["files"]["weights"] == {"count": 9, "bytes": 900}
    assert record["files"]["prepared"] == {"count": 0, "bytes": 0}
    assert (record["schema"], record["journal"], record["read_only"]) == (HEAD, "wal", False)
    assert record["bytes"] > 50_000


def test_info_of_nothing_says_how_to_get_something(cli: Cli, tmp_path: Path) -> None:
    refused(cli("db", "info"), "no registry at results/registry.sqlite", "dfgctl run digits")
    refused(cli("db", "info", "--registry", "other.sqlite"), "no registry", "--registry")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_a_registry_and_the_old_file_stays(cli: Cli, made: Filled) -> None:
    done = cli("db", "backup", "backups/b.sqlite")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("Wrote backups/b.sqlite (")
    registry = Registry("backups/b.sqlite", create=False)
    assert registry.runs() == made.registry.runs()
    registry.close()
    refused(cli("db", "backup", "backups/b.sqlite"), "is there already", "--force")
    assert cli("db", "backup", "backups/b.sqlite", "--force").code == 0
    refused(cli("db", "backup", FILE, "--force"), "is the registry itself")


def test_there_must_be_something_to_back_up(cli: Cli, tmp_path: Path) -> None:
    refused(cli("db", "backup", "b.sqlite"), "There is no registry at")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", OLDER)
def test_an_upgrade_says_where_the_backup_is(cli: Cli, tmp_path: Path, version: str) -> None:
    shutil.copyfile(OLDER_FILES / f"{version}.sqlite", tmp_path / "r.sqlite")
    where = ("--registry", "r.sqlite")
    done = cli("db", "upgrade", *where)
    assert done.code == 0
    assert done.out == (
        f"As it was, it lies in r.sqlite.{version}.bak.\n"
        f"r.sqlite was brought from schema {version} to {HEAD}.\n"
    )
    again = cli("db", "upgrade", *where)
    assert again.out == f"r.sqlite is up to date: nothing to do (its schema is {HEAD}).\n"
    assert cli("db", "upgrade", *where, "--json").json == {
        "registry": "r.sqlite",
        "before": HEAD,
        "after": HEAD,
        "backup": None,
    }


def test_an_upgrade_of_nothing_is_refused(cli: Cli, tmp_path: Path) -> None:
    refused(cli("db", "upgrade"), "There is no registry at", "--registry")
    assert list(tmp_path.iterdir()) == []
