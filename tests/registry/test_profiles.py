"""What packs took on devices is kept: the highest peak, the newest time, every failure."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from dfgctl.errors import RegistryUnavailableError
from dfgctl.memory import Point, Profile
from dfgctl.registry import Registry, database
from dfgctl.registry.lines import check

Make = Callable[..., Any]
GB = 2**30
KIND = Profile("a" * 64, "NVIDIA H200, 139.8 GiB", 140 * GB, "dfg", "lenet5", "fmnist")


def known(registry: Registry, profile: Profile = KIND) -> dict[int, tuple[Any, ...]]:
    points = registry.profile(profile).points
    return {p.pack: (p.peak_bytes, p.step_seconds, p.failures, p.free_bytes) for p in points}


def test_of_what_was_never_measured_nothing_is_known(registry: Registry) -> None:
    assert registry.profile(KIND) == KIND
    assert registry.profiles() == []


def test_the_highest_peak_and_the_newest_time_count(registry: Registry) -> None:
    registry.keep_peak(KIND, 2, 3 * GB, 0.5)
    registry.keep_peak(KIND, 2, 2 * GB, 0.25)
    registry.keep_peak(KIND, 1, 100 * GB, None)  # more bytes than 32 bits can count
    assert known(registry) == {1: (100 * GB, None, 0, None), 2: (3 * GB, 0.25, 0, None)}
    registry.keep_peak(KIND, 2, None, None)
    assert known(registry)[2] == (3 * GB, 0.25, 0, None)


def test_failures_are_counted_beside_what_is_known(registry: Registry) -> None:
    registry.keep_failure(KIND, 8, 5 * GB)
    registry.keep_peak(KIND, 8, 4 * GB, 1.0)
    registry.keep_failure(KIND, 8, 3 * GB)
    assert known(registry) == {8: (4 * GB, 1.0, 2, 5 * GB)}


def test_kinds_and_devices_are_kept_apart(registry: Registry) -> None:
    small = replace(KIND, device="NVIDIA T4, 14.6 GiB", device_bytes=15 * GB)
    other = replace(KIND, kind="b" * 64, method="original", dataset="digits")
    registry.keep_failure(small, 8, 14 * GB)
    registry.keep_peak(other, 3, GB, None)
    registry.keep_peak(other, 1, GB, None)
    assert known(registry) == {}
    assert known(registry, small) == {8: (None, None, 1, 14 * GB)}
    every = registry.profiles()
    assert [(p.device_bytes, p.method, [q.pack for q in p.points]) for p in every] == [
        (140 * GB, "original", [1, 3]),
        (15 * GB, "dfg", [8]),
    ]
    assert [p.kind for p in registry.profiles("a" * 64)] == ["a" * 64]
    assert all(isinstance(q, Point) and q.measured_at for p in every for q in p.points)


def test_what_is_known_outlives_the_program(where: str) -> None:
    with closing(Registry(where)) as first:
        first.keep_peak(KIND, 2, GB, 0.5)
    with closing(Registry(where, create=False)) as second:
        assert known(second) == {2: (GB, 0.5, 0, None)}


def test_workers_that_write_at_once_all_count(where: str) -> None:
    first = Registry(where)
    start, errors = threading.Barrier(3), []

    def work(number: int) -> None:
        registry = Registry(where)
        try:
            start.wait()
            for i in range(5):
                registry.keep_peak(KIND, 1 + i, (10 * number + i) * GB, None)
        except Exception as error:
            errors.append(error)
        finally:
            registry.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {pack: peak for pack, (peak, *_) in known(first).items()} == {
        1 + i: (20 + i) * GB for i in range(5)
    }
    first.close()


def test_a_failure_whose_answer_was_lost_is_counted_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, lost = Registry._change.__wrapped__, [True]  # type: ignore[attr-defined]

    def unanswered(self: Registry, *values: Any) -> None:
        change(self, *values)
        if lost:
            lost.pop()
            raise RegistryUnavailableError("away")

    monkeypatch.setattr(Registry, "_change", database.lasting(unanswered))
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    registry.patience = 60.0
    registry.keep_failure(KIND, 8, 5 * GB)
    assert known(registry) == {8: (None, None, 1, 5 * GB)}


def test_exports_leave_them_out_and_imports_leave_them_alone(
    registry: Registry, planned: Make, metrics: Make, tmp_path: Any
) -> None:
    registry.enqueue([planned()])
    taken = registry.claim(None, 1, "host:1", "CPU", {})
    assert taken is not None
    registry.finish(taken, 0, metrics())
    registry.keep_peak(KIND, 2, GB, 0.5)
    lines = list(registry.export([planned().id]))
    assert not any("H200" in line for line in lines)
    file = tmp_path / "export.jsonl"
    file.write_text("".join(lines))
    registry.merge(check(file))
    assert known(registry) == {2: (GB, 0.5, 0, None)}


def test_clearing_up_and_removing_runs_keeps_them(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned()])
    registry.keep_peak(KIND, 2, GB, 0.5)
    registry.remove([planned().id])
    registry.clear(registry.waste())
    assert known(registry) == {2: (GB, 0.5, 0, None)}
