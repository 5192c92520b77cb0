"""How many workers ``dfgctl run`` starts where nobody said it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from specs import spec

from dfgctl import devices, processor
from dfgctl.cli.launching import Launch
from dfgctl.dispatch.slurm import SlurmOptions
from dfgctl.records import PlannedRun

GIB = 2**30


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launch]:
    """Make a launch on a machine with four cores, plenty of memory and no GPU."""
    monkeypatch.setattr(processor, "cores", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices.HostMeter, "total", 64 * GIB)

    def make(**changed: Any) -> Launch:
        how = ("r.sqlite", "local", None, False, "auto", "auto", Path(), "auto", SlurmOptions())
        return replace(Launch(*how), **changed)

    return make


def planned(count: int, **fields: Any) -> list[PlannedRun]:
    return [PlannedRun(replace(spec(seed=i), **fields), (8,) * 10) for i in range(count)]


@pytest.mark.parametrize(
    ("runs", "seconds", "workers"),
    [
        (9, 300.0, 4),
        (3, 300.0, 3),
        (2, 60.0, 2),
        (9, 59.0, None),
        (9, None, None),
        (1, 300.0, None),
    ],
)
def test_long_work_is_shared_by_all_cores(
    launch: Any, runs: int, seconds: float | None, workers: int | None
) -> None:
    assert launch().on_all_cores(planned(runs), seconds).workers == workers


def test_what_was_asked_for_stays(launch: Any) -> None:
    for workers in (1, 7):
        assert launch(workers=workers).on_all_cores(planned(9), 300.0).workers == workers
    slurm = launch(launcher="slurm")
    assert slurm.on_all_cores(planned(9), 300.0) is slurm


def test_a_pack_that_was_asked_for_is_not_torn_apart(launch: Any) -> None:
    assert launch(pack="5").on_all_cores(planned(9), 300.0).workers == 2
    assert launch(pack="9").on_all_cores(planned(9), 300.0).workers is None


def test_large_networks_and_gpus_are_left_alone(
    launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch().on_all_cores(planned(9, backbone="vgg16"), 300.0).workers is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert launch().on_all_cores(planned(9), 300.0).workers is None
    assert launch(device="cpu").on_all_cores(planned(9), 300.0).workers == 4


def test_memory_limits_the_workers(launch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.HostMeter, "total", 5 * GIB)
    assert launch().on_all_cores(planned(9), 300.0).workers == 2
    monkeypatch.setattr(devices.HostMeter, "total", GIB)
    assert launch().on_all_cores(planned(9), 300.0).workers is None
