"""What is said of the processor."""

import os
import platform
from pathlib import Path

import pytest

from dfgctl import processor


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert processor.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on a Mac
    assert processor.cores() == 64


def test_the_name_is_linux_s_or_what_python_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast: 9\nmodel name\t: Other\n")
    monkeypatch.setattr(processor, "CPUINFO", info)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert processor.name() == "Fast: 9"
    info.unlink()
    assert processor.name() == "arm64"
