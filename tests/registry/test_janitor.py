"""What no run needs is cleared; what any run may need stays, whoever comes in between."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filled import METRICS, SOURCE, STRANGER, Filled, add_files, fill, planned

from dfgctl.errors import RegistryError
from dfgctl.records import SourceSpec
from dfgctl.registry import Registry
from dfgctl.registry.janitor import OLD

Sql = Callable[..., list[tuple[Any, ...]]]
OLDER = Path(__file__).parent / "older" / "0002.sqlite"
GOING_ON = ("running", "queued", "failed", "cancelled")
"""States of runs that may go on."""


@pytest.fixture
def made(file: Path) -> Iterator[Filled]:
    """A registry with a run in every state."""
    filled = fill(str(file))
    yield filled
    filled.registry.close()


@pytest.fixture
def files(made: Filled) -> dict[str, Path]:
    """All kinds of files of every run."""
    return add_files(made)


def left(made: Filled) -> set[str]:
    below = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    return {name for name in below if "/" in name}


def test_exactly_what_no_run_needs_goes(made: Filled, files: dict[str, Path]) -> None:
    ended = [made.id(s) for s in ("finished", "forced", "diverged")]
    steps = ("00000002", "00000004")
    waste = {f"checkpoints/{i}/{s}.safetensors" for i in [*ended, STRANGER] for s in steps}
    waste |= {
        f"weights/{made.id('forced')}.1.safetensors",
        f"weights/{made.id('diverged')}.1.safetensors",
        f"weights/{STRANGER}.1.safetensors",
        f"sources/{STRANGER}.safetensors",
        f"logs/{STRANGER}.log",
    }
    found = made.registry.waste()
    assert {f.path.relative_to(made.folder).as_posix() for f in found.files} == waste
    assert {f.kind for f in found.files} == {"checkpoints", "weights", "sources", "logs"}
    assert left(made) == set(files)
    cleared = made.registry.clear(found)
    assert left(made) == set(files) - waste
    assert set(cleared.files) == set(found.files)
    assert (cleared.kept, cleared.failed) == (0, ())
    assert sorted(p.name for p in (made.folder / "checkpoints").iterdir()) == sorted(
        made.id(s) for s in GOING_ON
    )
    assert made.registry.waste().files == ()


def test_what_dfgctl_has_not_named_so_stays(made: Filled) -> None:
    mine = {
        *("weights/notes.txt", "weights/best.1.safetensors", f"weights/{STRANGER}.safetensors"),
        *(f"checkpoints/{STRANGER}/notes.txt", f"checkpoints/{STRANGER}/2.safetensors"),
        *("checkpoints/old/00000002.safetensors", f"logs/{STRANGER}.log.gz", "logs/worker.log"),
        *(f"sources/{STRANGER}.pth", "prepared/fmnist.npy", "manifests/checksums.json"),
        *(f"plots/{STRANGER}.log", f"weights/deep/{STRANGER}.1.safetensors"),
        *("weights/mine.tmp", "logs/mine.1.tmp"),
    }
    for path in mine:
        made.write(path, age=2 * OLD)
    linked = made.folder / "weights" / f"{STRANGER}.2.safetensors"
    linked.symlink_to(made.write("elsewhere/x"))
    assert made.registry.waste().files == ()


def test_what_killed_writers_left_goes_after_an_hour(made: Filled, file: Path) -> None:
    ended, going = made.id("finished"), made.id("failed")
    waste = {
        f"weights/{ended}.1.safetensors.77.tmp",
        f"checkpoints/{ended}/00000002.safetensors.77.tmp",
        f"sources/{STRANGER}.safetensors.77.tmp",
        "prepared/fmnist.npy.77.tmp",
        "manifests/checksums.77.tmp",
        f"{file.name}.77.tmp",
    }
    kept = {
        f"weights/{going}.1.safetensors.77.tmp",
        f"checkpoints/{going}/00000002.safetensors.77.tmp",
        f"sources/{SOURCE}.safetensors.77.tmp",
        "other.sqlite.77.tmp",
    }
    for path in waste | kept:
        made.write(path, age=OLD + 60)
    for path in waste:
        made.write(path.replace(".77.", ".78."), age=OLD - 60)
    found = made.registry.waste()
    assert {f.path.relative_to(made.folder).as_posix() for f in found.files} == waste
    assert {f.kind for f in found.files} == {"temporary"}


def test_plans_go_whose_runs_have_all_ended(made: Filled, file: Path, sql: Sql) -> None:
    every = {state: made.registry.keep_plan([run.id]) for state, run in made.runs.items()}
    mixed = made.registry.keep_plan([made.id("finished"), made.id("failed")])
    waste = made.registry.waste()
    assert waste.plans == 3
    assert made.registry.clear(waste).plans == 3
    assert {row[0] for row in sql("SELECT id FROM plans")} == {
        mixed,
        *(every[state] for state in GOING_ON),
    }


def test_a_worker_that_starts_between_looking_and_clearing_loses_nothing(
    made: Filled, files: dict[str, Path]
) -> None:
    found = made.registry.waste()
    # Two ended runs are trained again, and one that the registry did not know is put in.
    for state in ("finished", "diverged"):
        made.registry.enqueue([made.runs[state]], force=True)
        made.claim(made.runs[state])
        made.write(f"checkpoints/{made.id(state)}/00000002.safetensors")
    cleared = made.registry.clear(found)
    again = {made.id("finished"), made.id("diverged")}
    assert {p for p in files if any(i in p for i in again)} <= left(made)
    assert not any(i in str(f.path) for f in cleared.files for i in again)
    assert cleared.kept == sum(any(i in str(f.path) for i in again) for f in found.files) > 0


def test_a_run_that_was_unknown_and_is_claimed_meanwhile_keeps_its_files(made: Filled) -> None:
    new = planned(50)
    path = f"checkpoints/{new.id}/00000002.safetensors"
    made.write(path)
    found = made.registry.waste()
    assert [f.id for f in found.files] == [new.id]
    made.registry.enqueue([new])
    made.claim(new)
    assert made.registry.clear(found).files == ()
    assert path in left(made)


def test_a_file_that_was_written_anew_since_is_not_the_one_that_was_found(made: Filled) -> None:
    path = f"checkpoints/{made.id('finished')}/00000002.safetensors"
    made.write(path)
    found = made.registry.waste()
    moved = made.write("new", age=5)
    os.replace(moved, made.folder / path)  # noqa: PTH105
    cleared = made.registry.clear(found)
    assert (cleared.files, cleared.kept) == ((), 1)
    assert path in left(made)


def test_a_worker_that_finishes_while_files_are_listed_keeps_its_result(
    made: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are listed while the run is running; it finishes before its state is read."""
    run = planned(60)
    made.registry.enqueue([run])
    claim = made.claim(run)
    result = made.write(f"weights/{run.id}.1.safetensors")
    judge = Registry._judge

    def late(self: Registry, *args: Any, **named: Any) -> Any:
        if self.run(run.id).status == "running":
            self.finish(claim, 0, METRICS)
        return judge(self, *args, **named)

    monkeypatch.setattr(Registry, "_judge", late)
    made.registry.clear(made.registry.waste())
    assert made.registry.run(run.id).status == "finished"
    assert result.exists()


def test_nobody_can_claim_while_files_are_deleted(
    made: Filled, files: dict[str, Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    unlink = Path.unlink

    def looking(self: Path, missing_ok: bool = False) -> None:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        unlink(self, missing_ok)

    found = made.registry.waste()
    monkeypatch.setattr(Path, "unlink", looking)
    made.registry.clear(found)
    assert refused == ["database is locked"] * len(found.files)


def test_a_source_network_is_needed_by_any_run_and_forgotten_with_its_file(
    made: Filled, files: dict[str, Path]
) -> None:
    used, unused = planned(0).spec.source_identity, SourceSpec("glyphs", "lenet5", "d", {})
    assert used == SOURCE
    token = made.registry.claim_source(unused)
    path = f"sources/{unused.identity()}.safetensors"
    made.write(path)
    assert path not in {f"sources/{f.path.name}" for f in made.registry.waste().files}  # leased
    ready = {"classes": 10, "accuracy": 0.9, "seconds": 1.0, "path": path}
    made.registry.finish_source(unused.identity(), token, ready, {})
    made.registry.clear(made.registry.waste())
    assert path not in left(made)
    assert f"sources/{SOURCE}.safetensors" in left(made)
    assert made.registry.source(unused.identity()) is None
    assert made.registry.source_spec(unused.identity()) == unused  # it can be trained anew


def test_another_registry_in_the_folder_keeps_what_it_knows_and_what_none_knows(
    made: Filled, files: dict[str, Path]
) -> None:
    other = Registry(str(made.folder / "other.db"))
    other.enqueue([made.runs["finished"]])
    found = made.registry.waste()
    assert found.others == (made.folder / "other.db",)
    ids = {f.id for f in found.files}
    assert ids == {made.id("forced"), made.id("diverged")}
    assert found.strangers == sum(STRANGER in path for path in files)
    other.close()
    (made.folder / "other.db").unlink()
    assert {made.id("finished"), STRANGER} <= {f.id for f in made.registry.waste().files}


def test_a_copy_of_an_older_schema_keeps_only_what_the_registry_does_not_know(
    made: Filled, files: dict[str, Path], file: Path
) -> None:
    copy = file.with_name("registry.sqlite.0002.bak")
    shutil.copyfile(OLDER, copy)
    with closing(sqlite3.connect(copy)) as connection:
        ((known,),) = connection.execute("SELECT id FROM runs LIMIT 1").fetchall()
    made.write(f"weights/{known}.1.safetensors")
    found = made.registry.waste()
    assert found.others == ()
    assert known not in {f.id for f in found.files}
    assert {made.id("finished"), STRANGER} <= {f.id for f in found.files}


def test_a_neighbour_that_cannot_be_read_stops_it_and_one_that_is_no_registry_does_not(
    made: Filled, files: dict[str, Path]
) -> None:
    with closing(sqlite3.connect(made.folder / "photos.sqlite")) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    (made.folder / "notes.sqlite").write_text("no database")
    assert made.registry.waste().others == ()
    (made.folder / "broken.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(RegistryError, match=r"broken\.sqlite .*move it to a folder of its own"):
        made.registry.waste()


def test_what_cannot_be_deleted_is_told(
    made: Filled, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made.registry.waste()
    stuck = found.files[0].path

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == stuck:
            raise PermissionError(13, "Permission denied", str(self))
        os.unlink(self)  # noqa: PTH108

    monkeypatch.setattr(Path, "unlink", refuse)
    cleared = made.registry.clear(found)
    assert cleared.failed == ((stuck, "Permission denied"),)
    assert len(cleared.files) == len(found.files) - 1
    assert stuck.exists()


def test_many_files_are_cleared_in_parts(made: Filled) -> None:
    for step in range(250):
        made.write(f"checkpoints/{made.id('finished')}/{step:08d}.safetensors")
    assert len(made.registry.clear(made.registry.waste()).files) == 250
    assert left(made) == set()


def test_clearing_again_and_again_takes_nothing_from_a_worker_at_work(made: Filled) -> None:
    """One thread trains the same run over and over by force, others clear all the while."""
    run, missing, done = planned(70), [], threading.Event()

    def clear() -> None:
        registry = Registry(made.registry.where)
        while not done.is_set():
            registry.clear(registry.waste())
        registry.close()

    cleaners = [threading.Thread(target=clear) for _ in range(2)]
    for cleaner in cleaners:
        cleaner.start()
    try:
        for attempt in range(1, 21):
            made.registry.enqueue([run], force=True)
            claim = made.claim(run)
            mine = [made.write(f"checkpoints/{run.id}/{step:08d}.safetensors") for step in (2, 4)]
            mine.append(made.write(f"weights/{run.id}.{attempt}.safetensors"))
            made.registry.beat(claim)
            missing += [path for path in mine if not path.exists()]
            made.registry.finish(claim, 0, METRICS)
            missing += [path for path in mine[2:] if not path.exists()]
    finally:
        done.set()
        for cleaner in cleaners:
            cleaner.join()
    assert missing == []
    made.registry.clear(made.registry.waste())
    assert left(made) == {f"weights/{run.id}.20.safetensors"}
