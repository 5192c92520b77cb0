"""What is read off a device: its time, its best."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from dfgctl.numerics import numerics

SIDE = {"cpu": 1024, "cuda": 4096}
"""Rows of the square matrices whose product is a device's best."""

BEST_OF, BEST_IN = 10, 0.3
"""Products of which the fastest counts: so many, for so many seconds, at the least."""


def synchronised(device: torch.device) -> float:
    """Wait until a device has done what it was given, and return the time, in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def busy_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Do some work, and return for how many seconds a CUDA device ran kernels and copies."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as seen:
        work()
        torch.cuda.synchronize(device)
    return covered(kernels(seen.events())) / 1e6


def kernels(events: Iterable[Any]) -> list[tuple[float, float]]:
    """Return when the device worked, as (start, end) in microseconds, from a profiler's events.

    Annotations, which span kernels and the gaps between them, do not count.
    """
    return [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type.name == "CUDA" and not getattr(event, "is_user_annotation", False)
    ]


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return how much of the time spans cover together, overlaps counted once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def matmul_per_second(device: torch.device, precision: str) -> float:
    """Return the FLOP/s of a product of large square matrices, the best of several."""
    side = SIDE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with numerics(device, "tf32" if precision == "tf32" else "fp32"):
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        torch.mm(a, b, out=out)
        taken: list[float] = []
        while len(taken) < BEST_OF or sum(taken) < BEST_IN:  # a GPU that rests is clocked down
            start = synchronised(device)
            torch.mm(a, b, out=out)
            taken.append(synchronised(device) - start)
    return 2 * side**3 / min(taken)
