"""Measures what a pack takes, by a few of its training steps, which are thrown away."""

import contextlib
import gc
import math
import os
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import torch

from dfgctl.data.arrays import ImageArrays
from dfgctl.lookup import METHODS, backbone_of, sections_of
from dfgctl.methods.base import SourceWeights
from dfgctl.records import RunSpec
from dfgctl.settings import DfgSettings, DifaSettings, OptimizerSettings
from dfgctl.training import Trainer

NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What errors say that are not of the class for it."""

RARE = 0.01
"""Share of the steps below which one step of a phase is measured, and none before it."""


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
        """Free what nobody uses, and forget the peak."""

    def peak(self) -> int | None:
        """Return the most that this process has held since ``reset``; None if it cannot be told."""

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
        """Free what nobody uses, and forget the peak."""
        self._free_unused()
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        """Return the most that the allocator has held since ``reset``."""
        return int(torch.cuda.max_memory_reserved(self.device))

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        torch.cuda.synchronize(self.device)

    def _free_unused(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()


class HostMeter:
    """Stands for a CPU, where packs gain nothing and the machine's memory is not measured."""

    measures = False

    @property
    def total(self) -> int:
        """The machine's memory."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def available(self) -> int:
        """Return all of the machine's memory: what others hold may be written to disk."""
        gc.collect()
        return self.total

    def reset(self) -> None:
        """Do nothing."""

    def peak(self) -> None:
        """Tell nothing."""

    def wait(self) -> None:
        """Do nothing: a CPU is done when a call returns."""


def meter_of(device: torch.device) -> Meter:
    """Return what measures a device's memory."""
    return CudaMeter(device) if device.type == "cuda" else HostMeter()


@dataclass(frozen=True)
class Measured:
    """What a pack takes.

    Attributes:
        pack: R, its runs.
        seconds_per_step: seconds a step of the whole pack, each phase by its share of the steps.
        evaluation_seconds: seconds of one evaluation.
        setup_seconds: seconds until the first step.
        peak_bytes: the most memory that the process held; None where that cannot be told.
    """

    pack: int
    seconds_per_step: float
    evaluation_seconds: float
    setup_seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class Phase:
    """Steps that do the same work.

    Attributes:
        share: their share of a run's steps, in (0, 1].
        steps: the first of their numbers, ascending.
    """

    share: float
    steps: tuple[int, ...]


def phases_of(spec: RunSpec, most: int) -> list[Phase]:
    """Divide a run's steps into phases, in the order in which they begin.

    Args:
        spec: the run.
        most: how many numbers of each phase are returned at the most.
    """
    key = _phase_key(spec)
    counts: dict[Hashable, int] = {}
    first: dict[Hashable, list[int]] = {}
    for step in range(1, spec.steps + 1):
        phase = key(step)
        counts[phase] = counts.get(phase, 0) + 1
        numbers = first.setdefault(phase, [])
        if len(numbers) < most:
            numbers.append(step)
    return [Phase(counts[phase] / spec.steps, tuple(steps)) for phase, steps in first.items()]


def _phase_key(spec: RunSpec) -> Callable[[int], Hashable]:
    """Return what names the phase of a step; a method of one's own has only one."""
    own, _ = sections_of(spec)
    if spec.method not in METHODS:
        return lambda step: None
    decay = own.lr_decay_step if isinstance(own, OptimizerSettings | DfgSettings) else 0

    def key(step: int) -> Hashable:
        late = 0 < decay < step
        if isinstance(own, DfgSettings):
            return late, *(step % n == 0 for n in (own.n_C1, own.n_C2, own.n_W))
        if isinstance(own, DifaSettings):
            ends = (round(own.steps * share) for share in (own.share_0, own.share_0 + own.share_1))
            return late, sum(step > end for end in ends)
        return late

    return key


def shortened(spec: RunSpec) -> RunSpec:
    """Return a run that takes the same memory and is set up sooner; its results are of no use.

    Its filter weights are those of fewer images, a chunk of them where there are as many, and new
    heads of a source network are trained for one epoch.
    """
    settings = {name: dict(values) for name, values in spec.settings.items()}
    if spec.method in METHODS and "dfg" in settings:
        chunk = backbone_of(spec).weight_chunk
        settings["dfg"]["weight_images"] = min(
            settings["dfg"].get("weight_images", 0) or chunk, chunk
        )
    if spec.method in METHODS and "reg" in settings:
        settings["reg"]["head_epochs"] = 1
    return replace(spec, settings=settings)


def measure(
    specs: Sequence[RunSpec],
    class_counts: Sequence[Sequence[int]],
    data: ImageArrays,
    source: SourceWeights | None,
    device: torch.device,
    meter: Meter,
    *,
    warm_up: int = 2,
    steps: int = 2,
    chunks: int | None = 1,
    check: Callable[[], None] = lambda: None,
) -> Measured:
    """Train a pack for a few steps of every phase, evaluate it, and throw it away.

    Args:
        specs: the runs; they differ only in combination and seed.
        class_counts: images of each class that each run keeps.
        data: the target data set.
        source: the source network; None for a method that needs none.
        device: where to train.
        meter: measures the device.
        warm_up: steps of each phase before those that are timed: libraries choose their ways, and
            graphs are recorded.
        steps: steps of each phase that are timed, at least 1.
        chunks: chunks of images that are classified; the evaluation's time is that of all. None for
            all of them.
        check: called between steps; what it raises ends the measuring.

    Raises:
        torch.OutOfMemoryError: the pack does not fit; see ``is_memory`` for what else says so.
    """
    meter.reset()
    start = time.perf_counter()
    made = Trainer(specs, class_counts, data, source, device, torch.float32)
    with contextlib.closing(made) as trainer:
        meter.wait()
        setup = time.perf_counter() - start
        per_step = math.fsum(
            phase.share * _timed(trainer, phase, warm_up, meter, check)
            for phase in phases_of(specs[0], warm_up + steps)
        )
        check()
        part = _cut(trainer, chunks) if chunks is not None else 1.0
        start = time.perf_counter()
        trainer.evaluate(trainer.steps)
        meter.wait()
        evaluation = (time.perf_counter() - start) / part
    return Measured(len(specs), per_step, evaluation, setup, meter.peak())


def _timed(
    trainer: Trainer, phase: Phase, warm_up: int, meter: Meter, check: Callable[[], None]
) -> float:
    """Train steps of a phase, and return the seconds of one, those of the warm-up left out."""
    steps = phase.steps[:1] if phase.share < RARE else phase.steps
    before = min(warm_up, len(steps) - 1)

    def train(numbers: Iterator[int]) -> None:
        for step in numbers:
            check()
            trainer.step(step)

    left = iter(steps)
    train(islice(left, before))
    meter.wait()
    start = time.perf_counter()
    train(left)
    meter.wait()
    return (time.perf_counter() - start) / (len(steps) - before)


def _cut(trainer: Trainer, chunks: int) -> float:
    """Leave an evaluation so many chunks of images; return their share of the whole."""
    evaluator = trainer.evaluator
    keep, images = chunks * evaluator.chunk, evaluator.test
    held_out = max((len(v) for v in evaluator.validation), default=0)
    whole = len(images.labels) + held_out
    evaluator.test = replace(images, pixels=images.pixels[:keep], labels=images.labels[:keep])
    evaluator.validation = [v[:keep] for v in evaluator.validation]
    return (len(evaluator.test.labels) + min(keep, held_out)) / whole


def is_memory(error: BaseException) -> bool:
    """Say whether memory ran out, the device's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(says in str(error) for says in NO_MEMORY)
