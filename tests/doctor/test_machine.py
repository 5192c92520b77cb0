"""Devices, memory and disks, as they are and as they might be."""

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dfgctl.doctor import machine
from dfgctl.doctor.machine import Gpu, devices, disk, memory, processors
from dfgctl.registry import mounts

H100 = Gpu("NVIDIA H100", 80e9, 60e9)
Seen = Callable[..., None]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Say what the driver has and what torch sees."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def say(
        driver: list[str], found: list[Gpu], reason: str = "", build: str | None = "13.0"
    ) -> None:
        monkeypatch.setattr(machine, "driver_gpus", lambda: driver)
        monkeypatch.setattr(machine, "torch_gpus", lambda: (found, reason, build))

    return say


def test_devices_that_torch_sees_are_listed_with_their_memory(seen: Seen) -> None:
    seen(["NVIDIA H100"] * 2, [H100, H100])
    found = list(devices())
    assert [f.level for f in found] == ["ok", "ok"]
    assert found[1].text == "cuda:1 is NVIDIA H100, 60 GB of 80 GB free"
    seen([], [H100])  # as in a container without nvidia-smi
    assert [f.level for f in devices()] == ["ok"]


def test_without_devices_the_cpu_is_used(seen: Seen) -> None:
    seen([], [])
    (found,) = devices()
    assert (found.level, found.remedy) == ("ok", "")
    assert "CPU" in found.text


@pytest.mark.parametrize(
    ("reason", "build", "says", "remedy"),
    [
        ("", None, "built for CPUs only", "pytorch.org"),
        ("", "13.0", "the driver does not serve CUDA 13.0", "upgrade NVIDIA's driver"),
        ("The NVIDIA driver is too old", "13.0", "driver is too old", "upgrade NVIDIA's driver"),
    ],
)
def test_devices_that_torch_does_not_see_are_a_problem(
    seen: Seen, reason: str, build: str | None, says: str, remedy: str
) -> None:
    seen(["NVIDIA H100"], [], reason, build)
    (found,) = devices()
    assert found.level == "problem"
    assert "nvidia-smi lists 1 (NVIDIA H100), torch sees none" in found.text
    assert says in found.text
    assert remedy in found.remedy


@pytest.mark.parametrize("value", ["", "-1"])
def test_devices_that_were_hidden_are_a_note(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    seen(["NVIDIA H100"], [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    (found,) = devices()
    assert found.level == "note"
    assert "unset CUDA_VISIBLE_DEVICES" in found.remedy


def test_a_torch_that_cannot_be_imported_is_a_problem(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ImportError("libcudart.so: cannot open")

    monkeypatch.setattr(machine, "torch_gpus", broken)
    (found,) = devices()
    assert found.level == "problem"
    assert "libcudart.so" in found.text


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'NVIDIA H100'; echo 'NVIDIA A10'", ["NVIDIA H100", "NVIDIA A10"]),
        ("echo 'has failed'; exit 9", []),
        (None, []),
    ],
)
def test_the_driver_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, expected: list[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert machine.driver_gpus() == expected


def test_what_torch_warns_of_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> bool:
        warnings.warn("The driver is too old. (Triggered internally at x.cpp:1.)", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    found, reason, build = machine.torch_gpus()
    assert (found, reason, build) == ([], "The driver is too old", torch.version.cuda)


def test_cores_and_threads_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    expected = "4 of 64 CPU cores, torch takes 1 thread (OMP_NUM_THREADS=1)"
    assert processors().text == expected
    monkeypatch.setattr(machine, "cores", lambda: 64)
    assert processors().text.startswith("64 CPU cores,")


@pytest.mark.parametrize(
    ("available", "limit", "level", "says"),
    [
        (20_000_000, None, "ok", "20 GB of 33 GB free"),
        (20_000_000, "max", "ok", "20 GB of 33 GB free"),
        (20_000_000, "1000000000", "note", "this process may use 1.0 GB"),
        (1_000_000, None, "note", "1.0 GB of 33 GB free"),
    ],
)
def test_memory_is_read_with_the_limit_of_a_container(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    available: int,
    limit: str | None,
    level: str,
    says: str,
) -> None:
    info, most = tmp_path / "meminfo", tmp_path / "memory.max"
    info.write_text(f"MemTotal:  32000000 kB\nMemAvailable: {available} kB\nHugePages_Total: 0\n")
    if limit is not None:
        most.write_text(f"{limit}\n")
    monkeypatch.setattr(machine, "MEMINFO", info)
    monkeypatch.setattr(machine, "LIMITS", (most,))
    found = memory()
    assert (found.level, bool(found.remedy)) == (level, level == "note")
    assert says in found.text


def test_memory_is_known_where_there_is_no_meminfo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "not")
    total, free = machine._memory()
    assert total >= free > 0


@pytest.mark.parametrize(
    ("free", "level"), [(100e9, "ok"), (4e9, "note"), (0.1e9, "problem"), (0, "problem")]
)
def test_a_disk_that_is_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, level: str
) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    found = disk("beside the registry", tmp_path / "not" / "yet", "--registry")
    assert found.level == level
    assert bool(found.remedy) is (level != "ok")
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(("option", "level"), [("--registry", "problem"), ("--data-dir", "note")])
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, level: str
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = disk("there", tmp_path, option)
    assert found.level == level
    assert "cannot be written" in found.text
    assert option in found.remedy


def test_data_on_a_network_is_told_and_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SCARCE", 0)
    monkeypatch.setattr(machine, "FULL", 0)
    (tmp_path / "mounts").write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mounts")
    found = disk("in the data directory", tmp_path, "--data-dir")
    assert found.level == "ok"
    assert found.text.endswith(", on a network (nfs4)")
