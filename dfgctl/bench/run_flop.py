"""Counts the FLOP of a whole run's training steps, from a few steps on a few random pictures."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean

import torch

from dfgctl.attention import gaps_unseen
from dfgctl.bench import flops
from dfgctl.bench.flop_cache import swept_images
from dfgctl.bench.pictures import random_pictures, random_source
from dfgctl.bench.sketch import Sketch
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.views import VIEWS
from dfgctl.ledger import readings_of
from dfgctl.phases import phases
from dfgctl.records import RunSpec
from dfgctl.training import Trainer

BATCHES = 2, 4
"""Images of the two batches whose FLOP are counted; those of any other lie on their line."""

IMAGES = 1, 2
"""Images of a class where a step goes through all images, likewise."""

ALONE = 2
"""Steps that no phase has which are counted: they may differ, and their mean stands for all."""

SHOWN = 2
"""Classes that have images: more would take time and show nothing new."""


def flop_of(spec: RunSpec, class_counts: Sequence[int]) -> float:
    """Return the FLOP of all training steps of a run that trains alone.

    A step of each of its phases is counted (see ``flops.count`` for what of it) and taken as often
    as the phase has steps. Of steps that no phase has (updates of DFG's filter weights, a head that
    begins anew, all of a method of one's own that tells no phases) the first ones stand for all.
    FLOP are linear in the images of a batch, and in those that a step goes through beside it.

    Left out: what comes before the first step (the first filter weights, DELTA's new head and
    weights), evaluations, and what is no product of matrices, such as SMOTE's neighbours. Where
    F07 is read as released, updates of the filter weights that the loss would let through are, too.

    Args:
        spec: the run, of any pack and device.
        class_counts: training images of each class, those held out included.

    Raises:
        InputError: its method is one's own and cannot be imported, or has changed.
    """
    own, images = spec.settings[spec.method], swept_images(spec, class_counts)
    classes, (first, more), (few, many) = len(class_counts), BATCHES, IMAGES
    base, wider = (_counted(spec, classes, size, few) for size in BATCHES)
    swept = _counted(spec, classes, first, many) if any(s.alone for s in base) else base
    total = 0.0
    for one, two, three in zip(base, wider, swept, strict=True):
        of_image = (two.flop - one.flop) / (more - first)
        of_swept = (three.flop - one.flop) / (min(SHOWN, classes) * (many - few))
        beyond = images - min(SHOWN, classes) * few
        flop = one.flop + of_image * (own["batch_size"] - first) + of_swept * beyond
        total += one.count * flop
    return total


@dataclass(frozen=True)
class _Steps:
    """Steps of a run that do the same work.

    Attributes:
        count: how many there are.
        flop: the FLOP of one, on average.
        alone: whether no phase has them, so that they may go through all images.
    """

    count: int
    flop: float
    alone: bool


def _counted(spec: RunSpec, classes: int, batch: int, images: int) -> list[_Steps]:
    """Count a step of each phase, in the order in which they begin.

    Args:
        spec: the run.
        classes: K.
        batch: images in a batch.
        images: images of each class that has some.
    """
    own = {**spec.settings[spec.method], "batch_size": batch}
    settings = {**spec.settings, spec.method: own}
    settings.pop("numerics", None)  # a product has as many FLOP in each precision
    small = replace(spec, settings=settings, combination=(), validation=0.0)
    counts = [images if c < SHOWN else 0 for c in range(classes)]
    pictures = random_pictures(counts, counts, VIEWS[spec.backbone])
    found = []
    sketch: AbstractContextManager[object] = Sketch()  # type: ignore[no-untyped-call]
    with sketch, closing(_trainer(small, counts, pictures)) as trainer:
        phase_of = trainer.stepper.phase_of
        for phase in phases(phase_of, spec.steps, most=ALONE):
            alone = phase_of(phase.steps[0]) is None
            taken = phase.steps if alone else phase.steps[:1]
            flop = mean(flops.count(partial(trainer.step, step)) for step in taken)
            found.append(_Steps(round(phase.share * spec.steps), flop, alone))
    return found


def _trainer(spec: RunSpec, counts: Sequence[int], pictures: ImageArrays) -> Trainer:
    """Return a trainer of a run, with a random source network where it has one."""
    source = None
    if spec.source_identity is not None:
        source = random_source(spec.backbone, readings_of(spec), len(counts))
    cpu = torch.device("cpu")
    with gaps_unseen():
        return Trainer([spec], [counts], pictures, source, cpu, torch.float32, graphs=False)
