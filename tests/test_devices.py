"""What a device says of itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dfgctl.devices import CudaMeter, HostMeter, device_name, is_memory, meter_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("too large"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("of another kind"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, told: bool) -> None:
    assert is_memory(error) is told


def test_a_cpu_s_memory_is_not_measured() -> None:
    meter = meter_of(CPU)
    assert isinstance(meter, HostMeter)
    assert not meter.measures
    assert meter.available() == meter.total > 2**20


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A CUDA device as PyTorch tells of it."""
    state: dict[str, Any] = {
        "free": 60,
        "total": 100,
        "held": 30,
        "used": 10,
        "peak": 35,
        "most": 20,
    }

    def empty_cache() -> None:
        state["free"] += state["held"] - state["used"]
        state["held"] = state["used"]

    def reset(_: Any) -> None:
        state["peak"], state["most"] = state["held"], state["used"]

    fakes: dict[str, Callable[..., Any]] = {
        "mem_get_info": lambda _: (state["free"], state["total"]),
        "memory_reserved": lambda _: state["held"],
        "max_memory_reserved": lambda _: state["peak"],
        "max_memory_allocated": lambda _: state["most"],
        "empty_cache": empty_cache,
        "reset_peak_memory_stats": reset,
        "synchronize": lambda _: None,
        "current_device": lambda: 0,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return state


def test_what_this_process_holds_is_its_to_use_and_what_others_hold_is_not(
    cuda: dict[str, Any],
) -> None:
    meter = meter_of(torch.device("cuda", 0))
    assert isinstance(meter, CudaMeter)
    assert (meter.measures, meter.total) == (True, 100)
    assert meter.available() == 90  # others hold 10
    cuda["free"] -= 50
    assert meter.available() == 40


def test_a_peak_is_what_was_held_since_the_last_look(cuda: dict[str, Any]) -> None:
    meter = meter_of(torch.device("cuda"))
    assert (meter.peak(), meter.used()) == (35, 20)
    meter.reset()
    assert (meter.peak(), meter.used()) == (10, 10)
    meter.wait()


def test_the_growth_of_the_process_is_in_use_even_after_memory_was_freed() -> None:
    meter = meter_of(CPU)
    meter.reset()
    held = torch.ones(40 * 2**20)  # 160 MiB
    del held
    assert meter.used() >= 100 * 2**20
    assert meter.peak() is None
    meter.reset()  # and anew from here
    assert meter.used() < 100 * 2**20


def test_what_was_freed_before_does_not_hide_what_is_taken_later() -> None:
    def blocks() -> list[torch.Tensor]:  # each too small for a mapping of its own
        return [torch.ones(16 * 2**10) for _ in range(1600)]  # 100 MiB

    meter, held = meter_of(CPU), blocks()
    above = torch.ones(16 * 2**10)  # keeps the heap from shrinking by itself
    del held
    meter.reset()
    held = blocks()
    assert meter.used() >= 80 * 2**20
    assert above[0] == held[0][0]


def test_a_device_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert device_name(CPU) == "CPU, 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert device_name(CPU) == "CPU, 4 threads"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H200 {device.index}")
    assert device_name(torch.device("cuda", 1)) == "H200 1"


@pytest.mark.gpu
def test_in_use_on_a_gpu_is_what_tensors_took() -> None:
    device = torch.device("cuda")
    meter = CudaMeter(device)
    meter.reset()
    torch.empty(2**26, dtype=torch.uint8, device=device)
    assert meter.peak() >= meter.used() >= 2**26
