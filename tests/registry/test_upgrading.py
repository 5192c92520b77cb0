"""Registries that older versions wrote are brought up to date, with a copy put beside them."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from dfgctl.errors import RegistryError
from dfgctl.records import DatasetCard, PlannedRun
from dfgctl.registry import Registry, engine
from dfgctl.registry.engine import HEAD, OLDER, VERSION_TABLE

HERE = Path(__file__).parent / "older"
ORIGINAL = "854f5c26968cbfdbf486386c35e60c9c1e4c9cbb35e59584676e2636f5e01374"
DFG = "012b62960de99382833ab0e3a2bd92fe86e30498bcd5efffcd10b64ce821b694"
CARD = DatasetCard("d" * 64, "mine", "My pictures", ("cat", "dog"), "/home/me/mine", 0.25)
Planned = Callable[..., PlannedRun]


@pytest.fixture(params=OLDER)
def version(request: pytest.FixtureRequest) -> str:
    """An older schema."""
    return str(request.param)


@pytest.fixture
def older(file: Path, version: str) -> Path:
    """A registry as that version wrote it."""
    shutil.copyfile(HERE / f"{version}.sqlite", file)
    return file


@pytest.fixture
def opened(older: Path) -> Iterator[Registry]:
    """The same, opened by this version."""
    registry = Registry(str(older), create=False)
    yield registry
    registry.close()


def version_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        ((found,),) = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    return str(found)


def tables_of(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Read everything that is in a database, but its version."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]
            for (name,) in names.fetchall()
            if name != VERSION_TABLE
        }


def confusions_moved(attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put confusion matrices back where they lay before 0003."""
    for row in attempts:
        if row["metrics"] is not None:
            confusion = json.loads(row["confusion"])
            row["metrics"] = json.loads(row["metrics"]) | {"confusion": confusion}
    return attempts


def schema_of(file: Path) -> dict[str, list[Any]]:
    """Read the columns of all tables."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: connection.execute(f'PRAGMA table_info("{name}")').fetchall()
            for (name,) in names.fetchall()
        }


def test_the_migrations_are_those_that_the_program_knows() -> None:
    scripts = ScriptDirectory(str(Path(engine.__file__).parent / "migrations"))
    known = [script.revision for script in scripts.walk_revisions()]
    assert known == [HEAD, *reversed(OLDER)]
    assert sorted(path.stem for path in HERE.glob("*.sqlite")) == sorted(OLDER)


def test_an_older_registry_gets_the_newest_schema(
    opened: Registry, older: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh.sqlite"
    Registry(str(fresh)).close()
    assert version_of(older) == version_of(fresh) == HEAD
    assert schema_of(older) == schema_of(fresh)


def test_nothing_that_was_in_it_is_changed(opened: Registry, older: Path, version: str) -> None:
    before, after = tables_of(HERE / f"{version}.sqlite"), tables_of(older)
    if version < "0003":
        confusions_moved(after["attempts"])
        for row in before["attempts"]:
            row["metrics"] = row["metrics"] and json.loads(row["metrics"])
        for row in before["runs"]:
            row["queued_at"] = row["created_at"]
    for name, rows in before.items():
        assert len(after[name]) == len(rows)
        for old, new in zip(rows, after[name], strict=True):
            assert {key: new[key] for key in old} == old


def test_its_runs_are_read(opened: Registry) -> None:
    every = opened.runs()
    assert [r.id for r in every] == [r.spec.identity() for r in every]
    runs = [opened.run(r.id) for r in every if r.status == "finished"]
    assert [(r.id, r.spec.method) for r in runs] == [(ORIGINAL, "original"), (DFG, "dfg")]
    for run in runs:
        assert run.class_counts == (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
        assert run.metrics is not None
        assert sum(map(sum, run.metrics.confusion)) == 901
        assert (run.metrics.accuracy_val, run.metrics.accuracy_unseen) == (None, None)
        assert [m.step for m in opened.measurements(run.id, 1)] == [0, 2, 4]
        assert [a.outcome for a in opened.attempts(run.id)] == ["finished"]
    assert runs[0].metrics.accuracy_last == 91 / 901
    assert opened.find("012b").spec.source == "glyphs"
    source = opened.source(str(runs[1].spec.source_identity))
    assert source is not None
    assert source.spec.dataset == "glyphs"


def test_a_copy_of_what_it_was_lies_beside_it(opened: Registry, older: Path, version: str) -> None:
    copy = older.with_name(f"{older.name}.{version}.bak")
    assert tables_of(copy) == tables_of(HERE / f"{version}.sqlite")
    assert version_of(copy) == version


def test_a_copy_that_lies_there_already_is_kept(older: Path, version: str) -> None:
    copy = older.with_name(f"{older.name}.{version}.bak")
    copy.write_text("a copy of my own")
    Registry(str(older)).close()
    assert copy.read_text() == "a copy of my own"
    assert version_of(older) == HEAD
    assert version_of(older.with_name(f"{older.name}.{version}.1.bak")) == version


def test_new_runs_can_be_put_in_and_trained(opened: Registry, planned: Planned) -> None:
    run = planned()
    opened.enqueue([run])
    claim = opened.claim(opened.keep_plan([run.id]), 1, "me", "CPU", {"dfgctl": "0"})
    assert claim is not None
    assert [r.id for r in claim.runs] == [run.id]
    assert opened.runs()[-1].status == "running"


def test_a_finished_run_of_an_older_version_is_not_queued_again(opened: Registry) -> None:
    finished = opened.runs(status="finished")
    opened.enqueue([PlannedRun(run.spec, run.class_counts) for run in finished])
    assert opened.runs(status="finished") == finished
    assert len(finished) == 2


def test_runs_in_every_state_stay_so(
    older: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version == "0001":
        pytest.skip("it has finished runs only")
    registry = Registry(str(older))
    statuses = [r.status for r in registry.runs()]
    assert statuses == ["finished", "finished", "failed", "running", "queued"]
    failed, running, queued = registry.runs()[2:]
    assert (failed.error or "").endswith("ValueError: of a kind")
    assert failed.card is not None
    assert [m.step for m in registry.measurements(running.id, 1)] == [0]
    assert registry.expire() == 1  # its worker is long gone
    # Another results version would break what their identity says.
    assert registry.claim(None, 3, "me", "CPU", {}) is None
    assert registry.next_queued(None) is None
    assert registry.of_other_versions(None) == {1: 2}
    monkeypatch.setattr("dfgctl.registry.queue.RESULTS_VERSION", 1)
    claim = registry.claim(None, 3, "me", "CPU", {})
    assert claim is not None
    assert [r.id for r in claim.runs] == [running.id, queued.id]
    assert registry.of_other_versions(None) == {}
    registry.close()


def test_what_0003_brought_stays(older: Path, version: str) -> None:
    if version < "0003":
        pytest.skip("it has no such tables")
    before = tables_of(older)
    assert all(before[name] for name in ("plans", "plan_runs", "workers"))
    registry = Registry(str(older))
    (failed,) = registry.runs(status="failed")
    assert (failed.checkpoint_step, failed.attempts) == (2, 3)
    assert [a.resumed_step for a in registry.attempts(failed.id)] == [0, 0, 2]
    outcomes = [a.outcome for a in registry.attempts(failed.id)]
    assert outcomes == ["failed", "preempted", "failed"]
    assert [worker.doing["step"] for worker in registry.workers(gone=True)] == [2]
    registry.close()


def test_what_0004_brought_stays(older: Path, version: str) -> None:
    registry = Registry(str(older))
    points = [point for profile in registry.profiles() for point in profile.points]
    found = [(point.pack, point.peak_bytes, point.failures) for point in points]
    known = [(1, 3 * 2**30, 0), (2, 5 * 2**30, 0), (4, None, 1)]
    assert found == (known if version == "0004" else [])
    registry.close()


def test_the_memory_that_older_attempts_took_is_not_known(opened: Registry) -> None:
    finished = opened.runs(status="finished")
    assert [(run.pack_size, run.peak_bytes) for run in finished] == [(1, None)] * 2
    assert [run.result_device for run in finished] == [run.device for run in finished]
    assert [a.peak_bytes for run in finished for a in opened.attempts(run.id)] == [None] * 2


def test_opening_it_again_changes_nothing(older: Path) -> None:
    Registry(str(older)).close()
    files, content = sorted(older.parent.iterdir()), older.read_bytes()
    Registry(str(older)).close()
    assert sorted(older.parent.iterdir()) == files
    assert older.read_bytes() == content


def test_processes_that_open_it_at_once_bring_it_up_to_date_once(older: Path, version: str) -> None:
    script = (
        "import sys; from dfgctl.registry import Registry\n"
        "sys.stdin.readline(); r = Registry(sys.argv[1]); print(len(r.runs())); r.close()"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, str(older)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=60) for child in children]
    count = {"0001": 2}.get(version, 5)
    assert answers == [(f"{count}\n", "")] * 3
    assert version_of(older) == HEAD
    copy = older.with_name(f"{older.name}.{version}.bak")
    assert version_of(copy) == version


def backing_up(act: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let something happen when the copy is begun."""
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def backup(self, *rest: Any, **named: Any) -> None:
            act()
            super().backup(*rest, **named)

    patch.setattr(
        engine.sqlite3,
        "connect",
        lambda *rest, **named: connect(*rest, factory=Connection, **named),
    )


def test_a_copy_that_was_interrupted_is_made_anew(
    older: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = older.with_name(f"{older.name}.{version}.bak")

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        backing_up(killed, patch)
        with pytest.raises(KeyboardInterrupt):
            Registry(str(older))
    assert version_of(older) == version
    Registry(str(older)).close()
    assert version_of(older) == HEAD
    assert tables_of(copy) == tables_of(HERE / f"{version}.sqlite")


def test_a_copy_is_of_the_old_schema_whoever_else_opens_the_registry(
    older: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[threading.Thread] = []

    def open_too() -> None:
        if not others:
            others.append(threading.Thread(target=lambda: Registry(str(older)).close()))
            others[0].start()
            others[0].join(0.5)  # it may have to wait for us

    with monkeypatch.context() as patch:
        backing_up(open_too, patch)
        Registry(str(older)).close()
    others[0].join()
    assert version_of(older) == HEAD
    assert version_of(older.with_name(f"{older.name}.{version}.bak")) == version


def test_what_cannot_be_written_is_refused_and_unharmed(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = older.read_bytes()
    monkeypatch.setattr(engine, "is_read_only", lambda _: True)  # root may write anything
    with pytest.raises(RegistryError) as caught:
        Registry(str(older), create=False)
    message = str(caught.value)
    assert message.startswith(f"{older} was written by an older dfgctl")
    assert message.endswith("copy it to a folder of yours and name the copy with --registry.")
    assert message.count(". ") == 0
    assert older.read_bytes() == before
    assert list(older.parent.iterdir()) == [older]


def test_a_copy_that_cannot_be_written_leaves_the_registry_as_it_was(
    older: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables_of(older)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RegistryError) as caught:
        Registry(str(older))
    assert "--registry" in str(caught.value)
    assert (version_of(older), tables_of(older)) == (version, before)


# Cards


def test_the_card_of_a_data_set_reaches_its_runs(registry: Registry, planned: Planned) -> None:
    registry.keep_card(CARD)
    mine = planned(dataset="mine", data_digest=CARD.digest)
    registry.enqueue([mine, planned(data_digest="e" * 64)])
    assert registry.run(mine.id).card == CARD
    assert [r.card for r in registry.runs()] == [CARD, None]
    claim = registry.claim(registry.keep_plan([mine.id]), 1, "me", "CPU", {"dfgctl": "0"})
    assert claim is not None
    assert claim.runs[0].card == CARD


def test_a_card_is_renewed_when_the_pictures_have_moved(
    registry: Registry, planned: Planned
) -> None:
    mine = planned(dataset="mine", data_digest=CARD.digest)
    registry.enqueue([mine])
    registry.keep_card(CARD)
    moved = replace(CARD, folder="/elsewhere/mine", test_fraction=None)
    registry.keep_card(moved)
    assert registry.run(mine.id).card == moved


def test_a_copy_under_another_name_leaves_the_card_of_the_first_alone(
    registry: Registry, planned: Planned
) -> None:
    other = replace(CARD, name="copy", title="A copy", folder="/home/me/copy")
    runs = [planned(dataset=c.name, data_digest=c.digest) for c in (CARD, other)]
    for card in (CARD, other):
        registry.keep_card(card)
    registry.enqueue(runs)
    assert [r.card for r in registry.runs()] == [CARD, other]


def test_a_card_outlives_the_program(where: str, planned: Planned) -> None:
    first = Registry(where)
    first.keep_card(CARD)
    first.enqueue([planned(dataset="mine", data_digest=CARD.digest)])
    first.close()
    with closing(Registry(where, create=False)) as second:
        assert [r.card for r in second.runs()] == [CARD]


def test_who_opens_it_is_told(older: Path, version: str) -> None:
    told: list[str] = []
    Registry(str(older), tell=told.append).close()
    Registry(str(older), tell=told.append).close()
    (line,) = told
    assert f"from schema {version} to {HEAD}" in line
    assert f"{older.name}.{version}.bak" in line


def test_a_copy_stays_as_it_is(older: Path, version: str, tmp_path: Path) -> None:
    copy = tmp_path / f"registry.sqlite.{version}.bak"
    older.rename(copy)
    before = copy.read_bytes()
    with pytest.raises(RegistryError, match="copy it to another name"):
        Registry(str(copy))
    assert copy.read_bytes() == before
