"""A device, as training sees it: its name, its memory, and how to wait for it."""

import contextlib
import ctypes
import functools
import gc
import os
import resource
import sys
from pathlib import Path
from typing import Protocol

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Where Linux tells what a process takes, and forgets what it took at the most."""

NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",
)
"""What errors say that are not of the class for it."""


def device_name(device: torch.device) -> str:
    """Return a device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


class Meter(Protocol):
    """Measures a device's memory, in bytes."""

    @property
    def measures(self) -> bool:
        """Whether ``peak`` can be told, and packs are worth choosing by it."""

    @property
    def total(self) -> int:
        """The device's memory."""

    def available(self) -> int:
        """Free what nobody uses, and return what a pack may have, others' memory not counted."""

    def reset(self) -> None:
        """Free what nobody uses, and forget the peaks."""

    def peak(self) -> int | None:
        """Return the most that this process has held since ``reset``; None if it cannot be told."""

    def used(self) -> int:
        """Return the most that was in use since ``reset``."""

    def wait(self) -> None:
        """Wait until the device has done what it was given."""


class CudaMeter:
    """Measures a CUDA device.

    What PyTorch's allocator holds counts, used or not: to others it is gone.

    Args:
        device: the device.
    """

    measures = True

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def total(self) -> int:
        """The device's memory."""
        return int(torch.cuda.mem_get_info(self.device)[1])

    def available(self) -> int:
        """Free what nobody uses, and return what is free then or is held by this process."""
        self._free_unused()
        free = torch.cuda.mem_get_info(self.device)[0]
        return int(free + torch.cuda.memory_reserved(self.device))

    def reset(self) -> None:
        """Free what nobody uses, and forget the peaks."""
        self._free_unused()
        torch.cuda.current_device()  # starts CUDA: before, there are no peaks to forget
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        """Return the most that the allocator has held since ``reset``."""
        return int(torch.cuda.max_memory_reserved(self.device))

    def used(self) -> int:
        """Return the most that tensors took since ``reset``."""
        return int(torch.cuda.max_memory_allocated(self.device))

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        torch.cuda.synchronize(self.device)

    def _free_unused(self) -> None:
        _collect()
        torch.cuda.empty_cache()


class HostMeter:
    """Stands for a CPU, where packs gain nothing and are not chosen by memory."""

    measures = False

    def __init__(self) -> None:
        self._before = 0

    @property
    def total(self) -> int:
        """The machine's memory."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def available(self) -> int:
        """Return all of the machine's memory: what others hold may be written to disk."""
        return self.total

    def reset(self) -> None:
        """Free what nobody uses, and forget the peak."""
        _collect()
        _give_back()
        with contextlib.suppress(OSError):
            CLEAR.write_text("5")  # the kernel's peak starts anew, from what is taken now
        self._before = _resident()

    def peak(self) -> None:
        """Tell nothing: a CPU's memory is not held, but taken as it is written to."""

    def used(self) -> int:
        """Return by how much the process has grown since ``reset``, at the most."""
        return max(0, _most_resident() - self._before)

    def wait(self) -> None:
        """Do nothing: a CPU is done when a call returns."""


def meter_of(device: torch.device) -> Meter:
    """Return what measures a device's memory."""
    return CudaMeter(device) if device.type == "cuda" else HostMeter()


def is_memory(error: BaseException) -> bool:
    """Say whether memory ran out, the device's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(says in str(error) for says in NO_MEMORY)


def _collect() -> None:
    """Free what only holds itself."""
    gc.collect()
    _leave_out_what_stays()


@functools.cache
def _leave_out_what_stays() -> None:
    """Spare later collections what has been imported until now, once: a third of a second each."""
    gc.freeze()


def _give_back() -> None:
    """Give the system what glibc keeps of freed memory, which would hide a later growth."""
    with contextlib.suppress(AttributeError, OSError):  # other C libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)


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
