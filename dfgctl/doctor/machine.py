"""Processors, devices, memory and disks."""

import contextlib
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dfgctl.processor import cores
from dfgctl.records import Finding
from dfgctl.registry.mounts import network_kind

MEMINFO = Path("/proc/meminfo")
LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux tells what a container may take."""

LITTLE_MEMORY = 2e9
"""Free bytes below which a worker may be killed."""

FULL, SCARCE = 5e8, 5e9
"""Free bytes of a disk below which runs fail, or data sets have no room."""

SECONDS = 20
"""How long nvidia-smi is waited for."""


@dataclass(frozen=True)
class Gpu:
    """A CUDA device, its memory in bytes."""

    name: str
    total: float
    free: float


def examine(folder: Path, data_dir: Path) -> Iterator[Finding]:
    """Look at the machine.

    Args:
        folder: where the registry's files lie.
        data_dir: the data directory.
    """
    yield processors()
    yield from devices()
    yield memory()
    yield disk("beside the registry", folder, "--registry")
    yield disk("in the data directory", data_dir, "--data-dir")


def processors() -> Finding:
    """Say how many cores this process may use, and how many threads torch takes."""
    here, may = os.cpu_count() or 1, cores()
    said = f"{may} of {here} CPU cores" if may != here else f"{here} CPU cores"
    with contextlib.suppress(ImportError):
        import torch

        threads = torch.get_num_threads()
        said += f", torch takes {threads} thread{'s' * (threads != 1)}"
    limit = os.environ.get("OMP_NUM_THREADS")
    return Finding("ok", "devices", said + (f" (OMP_NUM_THREADS={limit})" if limit else ""))


def devices() -> Iterator[Finding]:
    """Hold the CUDA devices that torch sees against those that the driver has."""
    driver = driver_gpus()
    try:
        seen, reason, build = torch_gpus()
    except ImportError as error:
        yield Finding(
            "problem",
            "devices",
            f"torch cannot be imported ({error})",
            "install it anew, as https://pytorch.org says for this machine",
        )
        return
    for i, gpu in enumerate(seen):
        yield Finding(
            "ok",
            "devices",
            f"cuda:{i} is {gpu.name}, {_size(gpu.free)} of {_size(gpu.total)} free",
        )
    if seen:
        return
    if not driver:
        said = "no CUDA device: training runs on the CPU"
        yield Finding("ok", "devices", said)
        return
    listed = f"nvidia-smi lists {len(driver)} ({driver[0]}), torch sees none"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        yield Finding(
            "note",
            "devices",
            f"{listed}: CUDA_VISIBLE_DEVICES={hidden or repr('')} hides them",
            "unset CUDA_VISIBLE_DEVICES to train on them",
        )
    elif build is None:
        yield Finding(
            "problem",
            "devices",
            f"{listed}: this torch was built for CPUs only",
            "install one for CUDA, as https://pytorch.org says for this machine",
        )
    else:
        yield Finding(
            "problem",
            "devices",
            f"{listed}: {reason or f'the driver does not serve CUDA {build}'}",
            f"upgrade NVIDIA's driver, or install a torch for an older CUDA than {build}",
        )


def driver_gpus() -> list[str]:
    """Return the names of the devices that NVIDIA's driver has."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        asked = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in asked.stdout.splitlines() if line.strip()]


def torch_gpus() -> tuple[list[Gpu], str, str | None]:
    """Return the devices that torch sees, what it warns of, and the CUDA that it was built for.

    Raises:
        ImportError: there is no torch, or a broken one.
    """
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = []
        if torch.cuda.is_available():
            for i in range(torch.cuda.device_count()):
                free, total = torch.cuda.mem_get_info(i)
                found.append(Gpu(torch.cuda.get_device_name(i), total, free))
    reason = " ".join(str(caught[0].message).split()) if caught else ""
    build: str | None = torch.version.cuda
    return found, reason.partition(" (Triggered")[0].rstrip("."), build


def memory() -> Finding:
    """Say how much memory there is, and how much is free."""
    total, free = _memory()
    said = f"{_size(free)} of {_size(total)} free"
    limit = _limit()
    if limit is not None and limit < total:
        said += f", of which this process may use {_size(limit)}"
        free = min(free, limit)
    if free < LITTLE_MEMORY:
        return Finding(
            "note",
            "memory",
            said,
            "end other programs, or train in fewer workers: large networks may not fit",
        )
    return Finding("ok", "memory", said)


def disk(what: str, folder: Path, option: str) -> Finding:
    """Say how much room is on a folder's disk, and whether it can be written."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(
            "problem",
            "disk",
            f"{what}: {folder} cannot be looked at ({error.strerror})",
            f"name another folder with {option}",
        )
    said = f"{_size(free)} free {what} ({folder})"
    if not os.access(there, os.W_OK):
        level = "problem" if option == "--registry" else "note"
        said = f"{said}, which cannot be written"
        return Finding(level, "disk", said, f"name a folder of yours with {option} to write there")
    if free < FULL:
        return Finding("problem", "disk", said, f"make room, or name another disk with {option}")
    if free < SCARCE:
        return Finding("note", "disk", said, "dfgctl gc clears what no run needs")
    kind = network_kind(folder)
    if kind is not None and option == "--data-dir":
        said = f"{said}, on a network ({kind})"
    return Finding("ok", "disk", said)


def _memory() -> tuple[float, float]:
    """Return all and free memory in bytes."""
    with contextlib.suppress(OSError, KeyError, ValueError, IndexError):
        lines = MEMINFO.read_text().splitlines()
        values = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return values["MemTotal"], values["MemAvailable"]
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page


def _limit() -> float | None:
    for file in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text())
    return None


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count < 1e10 else f"{count / 1e9:,.0f} GB"
