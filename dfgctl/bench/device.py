"""What is read off a device: its time, its memory, its best."""

import contextlib
import gc
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SIDE = {"cpu": 1024, "cuda": 4096}
"""Rows of the square matrices whose product is a device's best."""

BEST_OF, BEST_IN = 10, 0.3
"""Products of which the fastest counts: so many, for so many seconds, at the least."""


def synchronised(device: torch.device) -> float:
    """Wait until a device has done what it was given, and return the time, in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Memory:
    """The most memory that was taken since it was made.

    On CUDA, what the tensors took and what PyTorch held for them; on a CPU, by how much the process
    grew.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        with contextlib.suppress(OSError):
            CLEAR.write_text("5")  # the kernel's peak starts anew, from what is taken now
        self._before = _resident()

    def peak(self) -> tuple[int, int | None]:
        """Return the peak of tensors or process, and on CUDA of what was held, in bytes."""
        if self.device.type == "cuda":
            return (
                torch.cuda.max_memory_allocated(self.device),
                torch.cuda.max_memory_reserved(self.device),
            )
        return max(0, _most_resident() - self._before), None


def _resident() -> int:
    """Return the bytes that the process takes now; where they cannot be told, the most so far."""
    return _of_status("VmRSS") or _most_resident()


def _most_resident() -> int:
    # Linux hands the parent's peak down to a new process in ru_maxrss, but not in its status.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _of_status("VmHWM") or most * (1 if sys.platform == "darwin" else 1024)


def _of_status(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


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
    with _rounding(device, "tf32" if precision == "tf32" else "ieee"):
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        torch.mm(a, b, out=out)
        taken: list[float] = []
        while len(taken) < BEST_OF or sum(taken) < BEST_IN:  # a GPU that rests is clocked down
            start = synchronised(device)
            torch.mm(a, b, out=out)
            taken.append(synchronised(device) - start)
    return 2 * side**3 / min(taken)


@contextlib.contextmanager
def _rounding(device: torch.device, how: str) -> Iterator[None]:
    """Say how a GPU rounds the factors of float32 products, while the block runs."""
    setting: Any = torch.backends.cuda.matmul
    if device.type != "cuda":
        yield
        return
    before, setting.fp32_precision = setting.fp32_precision, how
    try:
        yield
    finally:
        setting.fp32_precision = before


def described(device: torch.device) -> tuple[str, int | None]:
    """Return a device's name and, on CUDA, all of its memory in bytes."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return properties.name, properties.total_memory
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}", None
