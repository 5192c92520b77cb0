"""Measures what a pack takes, by a few of its training steps, which are thrown away."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from dfgctl.data.arrays import ImageArrays
from dfgctl.devices import Meter
from dfgctl.lookup import CLASSES, backbone_of
from dfgctl.methods.base import SourceWeights
from dfgctl.phases import Phase, phases
from dfgctl.records import RunSpec
from dfgctl.training import Trainer

RARE = 0.01
"""Share of the steps below which one step of a phase is measured, and none before it."""


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


def shortened(spec: RunSpec) -> RunSpec:
    """Return a run that takes the same memory and is set up sooner; its results are of no use.

    Its filter weights are those of fewer images, a chunk of them where there are as many, and new
    heads of a source network are trained for one epoch.
    """
    settings = {name: dict(values) for name, values in spec.settings.items()}
    if spec.method in CLASSES and "dfg" in settings:
        chunk = backbone_of(spec).weight_chunk
        settings["dfg"]["weight_images"] = min(
            settings["dfg"].get("weight_images", 0) or chunk, chunk
        )
    if spec.method in CLASSES and "reg" in settings:
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
        torch.OutOfMemoryError: the pack does not fit; ``is_memory`` knows what else says so.
    """
    meter.reset()
    start = time.perf_counter()
    made = Trainer(specs, class_counts, data, source, device, torch.float32)
    with contextlib.closing(made) as trainer:
        meter.wait()
        setup = time.perf_counter() - start
        per_step = math.fsum(
            phase.share * _timed(trainer, phase, warm_up, meter, check)
            for phase in phases(trainer.method.phase, trainer.steps, warm_up + steps)
        )
        check()
        evaluator = trainer.evaluator
        with evaluator.only(chunks) if chunks else contextlib.nullcontext(1.0) as share:
            start = time.perf_counter()
            trainer.evaluate(trainer.steps)
            meter.wait()
            evaluation = (time.perf_counter() - start) / share
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
