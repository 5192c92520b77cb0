"""What is read off a device."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dfgctl.bench.device import (
    SIDE,
    busy_seconds,
    covered,
    kernels,
    matmul_per_second,
    synchronised,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("spans", "total"),
    [
        ([], 0.0),
        ([(0.0, 2.0), (5.0, 6.0)], 3.0),
        ([(5.0, 6.0), (0.0, 2.0), (1.0, 4.0)], 5.0),
        ([(0.0, 10.0), (2.0, 3.0), (4.0, 5.0)], 10.0),
    ],
)
def test_times_that_overlap_count_once(spans: list[tuple[float, float]], total: float) -> None:
    assert covered(spans) == total


def event(kind: str, start: float, end: float, annotation: bool = False) -> Any:
    return SimpleNamespace(
        device_type=SimpleNamespace(name=kind),
        time_range=SimpleNamespace(start=start, end=end),
        is_user_annotation=annotation,
    )


def test_only_what_the_device_did_is_its_work() -> None:
    events = [event("CPU", 0, 9), event("CUDA", 1, 2), event("CUDA", 0, 8, annotation=True)]
    assert kernels(events) == [(1, 2)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_product_of_matrices_takes_some_time(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIDE, "cpu", 32)
    monkeypatch.setattr("dfgctl.bench.device.BEST_IN", 0.0)
    assert 0 < matmul_per_second(CPU, precision) < float("inf")


@pytest.mark.gpu
def test_a_gpu_works_no_longer_than_the_clock_says() -> None:
    device = torch.device("cuda")
    a = torch.randn(2048, 2048, device=device)
    start = synchronised(device)
    busy = busy_seconds(lambda: [a @ a for _ in range(20)], device)
    assert 0 < busy <= synchronised(device) - start
