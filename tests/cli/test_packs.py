"""What the user is told of packs: while they are measured, in a dry run, by doctor."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_device import FakeDevice, install

from dfgctl.cli.planning import plan_for, target_of
from dfgctl.dispatch import worker
from dfgctl.dispatch.request import Request, check
from dfgctl.doctor.registry import examine
from dfgctl.memory import Profile, kind_of
from dfgctl.records import PlannedRun
from dfgctl.registry import Registry

Cli = Callable[..., Any]
FILE = "results/registry.sqlite"
GB = 10**9
DEVICE = "NVIDIA H200, 139.8 GiB"


def planned(*methods: str, repeats: int = 20) -> Sequence[PlannedRun]:
    target = target_of("digits", None, None, False)
    request = check(Request("digits", methods=methods, repeats=repeats))
    return plan_for(request, target, Path("data"), Path("results"), keep=False).runs


def profile(run: PlannedRun, device: str = DEVICE, total: int = 140 * GB) -> Profile:
    spec = run.spec
    kind = kind_of(spec)
    return Profile(kind, f"{device}, torch 2, dfgctl 1", total, spec.method, "lenet5", "digits")


@pytest.fixture
def registry() -> Registry:
    """The default registry, which knows what packs of two methods take on two devices."""
    store = Registry(FILE)
    for run in {r.spec.method: r for r in planned("original", "dfg")}.values():
        step = {"original": 1, "dfg": 2}[run.spec.method] * GB
        small = profile(run, "NVIDIA T4, 14.6 GiB", 15 * GB)
        for pack in (1, 2, 16):
            store.keep_peak(profile(run), pack, GB + pack * step, 0.1)
        for pack in (1, 2):
            store.keep_peak(small, pack, GB + pack * step, 0.1)
        store.keep_failure(small, 8, 15 * GB)
    store.close()
    return store


def told(cli: Cli, *words: str) -> list[str]:
    result = cli("run", "digits", "--dry-run", *words)
    assert result.code == 0
    text = " ".join(result.out.split())
    return [part.partition(".: ")[0] for part in text.split("Trained together on ")[1:]]


def test_a_dry_run_says_how_many_runs_are_trained_together(cli: Cli, registry: Registry) -> None:
    both = ("--method", "original", "--method", "dfg", "--repeats", "20")
    large, small = told(cli, *both)
    assert large.startswith(f"{DEVICE}, if nobody else uses it: ")
    assert "20 of original (21.0 GB), 20 of dfg (41.0 GB)" in large
    assert small.startswith("NVIDIA T4, 14.6 GiB, ")
    # Eight ran out, so six at the most; 13.8 GB hold twelve, or six, with one for all.
    assert "5 of original (6.0 GB), 5 of dfg (11.0 GB)" in small
    assert "20 of original" in told(cli, "--method", "original", "--repeats", "20")[0]
    assert "dfg" not in told(cli, "--method", "original", "--repeats", "20")[0]


@pytest.mark.parametrize(
    "words", [("--device", "cpu"), ("--pack", "3"), ("--method", "delta"), ("--json",)]
)
def test_a_dry_run_says_nothing_of_what_is_not_measured_or_will_not_be(
    cli: Cli, registry: Registry, words: tuple[str, ...]
) -> None:
    assert told(cli, *words) == []


def test_doctor_says_on_which_devices_it_was_measured(registry: Registry) -> None:
    found = [f.text for f in examine(FILE) if f.text.startswith("memory")]
    assert found == [
        f"memory measured on {DEVICE}, torch 2, dfgctl 1: 2 kinds of packs",
        "memory measured on NVIDIA T4, 14.6 GiB, torch 2, dfgctl 1: 2 kinds of packs, 2 sizes ran "
        "out",
    ]


def test_a_run_says_that_it_measures_and_that_memory_ran_out(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice(total=100, b_real=20)
    install(device, monkeypatch)
    monkeypatch.setattr(worker, "meter_of", lambda _: device)
    words = ("--method", "original", "--repeats", "6", "--steps", "2", "--device", "cpu")
    result = cli("run", "digits", *words)
    assert result.code == 0
    assert device.sizes(probes=False) == [6, 3, 3]
    said = result.err.splitlines()
    assert [line for line in said if line.startswith("measuring")] == [
        "measuring memory: 1 run of original on LeNet-5",
        "measuring memory: 2 runs of original on LeNet-5",
    ]
    (line,) = (line for line in said if "out of memory" in line)
    assert line == "digits original, pack of 6: out of memory: again in smaller packs."
    assert device.again() == []


def test_a_worker_command_measures_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Registry(FILE)
    runs = [replace(r, spec=replace(r.spec, steps=2)) for r in planned("original", repeats=3)]
    store.enqueue(runs)
    device = FakeDevice(total=100)
    install(device, monkeypatch)
    monkeypatch.setattr(worker, "meter_of", lambda _: device)
    assert cli("worker", "--device", "cpu").code == 0
    assert device.sizes(probes=True) == [1, 2]
    assert device.sizes(probes=False) == [3]
    store.close()
