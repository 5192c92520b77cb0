"""Checkpoints: written whole or not at all, two generations, and read only if they are sound."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dfgctl.checkpoints import FORMAT, Checkpoints
from dfgctl.networks import weights
from dfgctl.state import Saved


def state(step: int, value: float = 1.0) -> Saved:
    tensors = {
        "a": torch.full((3, 4), value, dtype=torch.float64),
        "count": torch.tensor(step),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 2),
        "strange ^ name": torch.tensor([float("nan"), float("inf")]),
    }
    return Saved(step, tensors, {"numbers": [1, 2.5, 1e-320, None, True], "π": {"x": "y"}})


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def names(checkpoints: Checkpoints, run: str = "r") -> list[str]:
    return sorted(p.name for p in (checkpoints.folder / run).iterdir())


def test_what_was_written_is_read(checkpoints: Checkpoints):
    written = state(200)
    checkpoints.write("r", 3, written)
    assert names(checkpoints) == ["00000200.safetensors"]
    found = checkpoints.read("r", 200)
    assert found is not None
    assert (found.attempt, found.saved.step) == (3, 200)
    assert found.saved.content == written.content
    assert found.saved.tensors.keys() == written.tensors.keys()
    for name, tensor in written.tensors.items():
        read = found.saved.tensors[name]
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read.nan_to_num(), tensor.nan_to_num())
    assert (
        checkpoints.size("r") == (checkpoints.folder / "r" / names(checkpoints)[0]).stat().st_size
    )


def test_all_but_tensors_is_plain_json_in_the_header(checkpoints: Checkpoints):
    checkpoints.write("r", 3, state(200))
    with safe_open(checkpoints.folder / "r" / "00000200.safetensors", "pt") as file:
        metadata = file.metadata()
    content = json.loads(metadata.pop("content"))
    assert metadata == {"format": FORMAT, "run": "r", "attempt": "3", "step": "200"}
    assert content == state(200).content


def test_what_was_read_outlives_its_file(checkpoints: Checkpoints):
    checkpoints.write("r", 1, state(5, 7.0))
    found = checkpoints.read("r", 5)
    assert found is not None
    file = checkpoints.folder / "r" / "00000005.safetensors"
    with file.open("r+b") as handle:
        handle.write(bytes(file.stat().st_size))
    assert bool((found.saved.tensors["a"] == 7).all())


def test_two_generations_are_kept(checkpoints: Checkpoints):
    for step in (100, 200, 300, 400):
        checkpoints.write("r", 1, state(step))
        checkpoints.prune("r", step)
    assert checkpoints.steps("r") == [300, 400]
    assert names(checkpoints) == ["00000300.safetensors", "00000400.safetensors"]


def test_a_step_written_again_replaces_itself(checkpoints: Checkpoints):
    for step, value in ((100, 1.0), (200, 1.0), (200, 2.0)):
        checkpoints.write("r", 1, state(step, value))
    assert checkpoints.steps("r") == [100, 200]
    found = checkpoints.read("r", 200)
    assert found is not None
    assert float(found.saved.tensors["a"][0, 0]) == 2


def test_a_run_that_went_back_keeps_what_it_came_from(checkpoints: Checkpoints):
    for step in (100, 200):
        checkpoints.write("r", 1, state(step))
    checkpoints.write("r", 2, state(150))  # 200 is damaged, or its pack's others have none
    checkpoints.prune("r", 150)
    assert checkpoints.steps("r") == [100, 150, 200]
    checkpoints.write("r", 2, state(250))
    checkpoints.prune("r", 250)
    assert checkpoints.steps("r") == [200, 250]


def test_what_is_not_good_for_the_whole_pack_takes_none_of_what_is(checkpoints: Checkpoints):
    for step in (100, 200):
        for run in ("a", "b"):
            checkpoints.write(run, 1, state(step))
            checkpoints.prune(run, step)
    for step in (300, 400):  # the disk is full after the first of the pack
        checkpoints.write("a", 1, state(step))
        for run in ("a", "b"):
            checkpoints.remove(run, step)
    step, _ = checkpoints.newest_common(["a", "b"], at_most=200) or (0, [])
    assert step == 200


def test_older_generations_stay_until_the_new_one_is_in_place(checkpoints, monkeypatch):
    for step in (100, 200):
        checkpoints.write("r", 1, state(step))
    seen = []
    replace_file = Path.replace

    def replace(self: Path, target: Path) -> Path:
        seen.append(checkpoints.steps("r"))
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    checkpoints.write("r", 1, state(300))
    assert seen == [[100, 200]]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), SafetensorError("I/O error: no space left")]
)
def test_a_failed_write_leaves_all_as_it_was(checkpoints, monkeypatch, error: Exception):
    for step in (100, 200):
        checkpoints.write("r", 1, state(step))
    before = names(checkpoints)

    def fail(tensors: Any, path: Path, metadata: Mapping[str, str]) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(weights, "save_file", fail)
    with pytest.raises(OSError, match="pace left"):
        checkpoints.write("r", 1, state(300))
    assert names(checkpoints) == before
    assert checkpoints.newest_common(["r"])[0] == 200


def test_a_checkpoint_is_on_the_disk_before_and_after_it_is_moved(checkpoints, monkeypatch):
    order = []
    fsync, replace_file = os.fsync, Path.replace

    def synced(handle: int) -> None:
        order.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def replaced(self: Path, target: Path) -> Path:
        order.append("moved")
        return replace_file(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    checkpoints.write("r", 1, state(1))
    beside = f"00000001.safetensors.{os.getpid()}.tmp"
    assert order == [beside, "moved", "r", "checkpoints"]


def test_half_files_never_count(checkpoints: Checkpoints):
    checkpoints.write("r", 1, state(100))
    folder = checkpoints.folder / "r"
    whole = (folder / "00000100.safetensors").read_bytes()
    for name in ("00000200.safetensors.77.tmp", "200.safetensors", "notes.txt", "00000300.pt"):
        (folder / name).write_bytes(whole)
    assert checkpoints.steps("r") == [100]
    assert checkpoints.newest_common(["r"])[0] == 100
    checkpoints.clear("r")
    assert not folder.exists()
    checkpoints.clear("r")
    assert (checkpoints.steps("r"), checkpoints.size("r")) == ([], 0)


def test_a_damaged_file_is_none_and_the_older_generation_is_used(checkpoints: Checkpoints):
    for step in (100, 200):
        checkpoints.write("r", 1, state(step))
    file = checkpoints.folder / "r" / "00000200.safetensors"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert checkpoints.read("r", 200) is None, length
    found = checkpoints.newest_common(["r"])
    assert found is not None
    assert (found[0], found[1][0].saved.step) == (100, 100)
    file.write_bytes(b"\xff" * len(whole))
    assert checkpoints.read("r", 200) is None
    file.unlink()
    assert checkpoints.read("r", 200) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": "dfgctl checkpoint 2"},
        {"format": None},
        {"run": "other"},
        {"step": "100"},
        {"step": "two"},
        {"attempt": None},
        {"attempt": "x"},
        {"content": "{"},
        {"content": None},
    ],
)
def test_what_is_no_checkpoint_of_this_run_and_step_is_not_read(checkpoints, change):
    checkpoints.write("r", 1, state(200))
    file = checkpoints.folder / "r" / "00000200.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = {k: v for k, v in {**opened.metadata(), **change}.items() if v is not None}
    save_file({"a": torch.zeros(1)}, file, metadata)
    assert checkpoints.read("r", 200) is None
    save_file({"a": torch.zeros(1)}, file)
    assert checkpoints.read("r", 200) is None


def test_the_newest_common_step_is_one_that_all_runs_can_read(checkpoints: Checkpoints):
    for run, steps in {"a": (100, 200), "b": (100, 200), "c": (50, 100)}.items():
        for step in steps:
            checkpoints.write(run, 1, state(step))
    both = checkpoints.newest_common(["b", "a"])
    assert both is not None
    assert (both[0], len(both[1])) == (200, 2)
    assert checkpoints.newest_common(["a", "b", "c"])[0] == 100
    (checkpoints.folder / "b" / "00000200.safetensors").write_bytes(b"")
    assert checkpoints.newest_common(["a", "b"])[0] == 100
    assert checkpoints.newest_common(["a", "none"]) is None
    assert checkpoints.newest_common([]) is None
