"""The pictures and the source network that a measurement trains with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfgctl import seeding
from dfgctl.bench.records import Job
from dfgctl.data import sources
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.views import VIEWS, View
from dfgctl.ledger import Readings
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import backbone, seeded


def load(job: Job) -> ImageArrays:
    """Return the data set of a job: its own pictures, or random ones of their shape.

    Raises:
        InputError: it cannot be read.
    """
    view = VIEWS[job.runs[0].spec.backbone]
    if job.synthetic:
        return random_pictures(*job.counts, view)
    cache = ChecksumCache(job.folder / "manifests" / "checksums.json")
    return sources.load(job.info, job.data_dir, view, job.folder / "prepared", cache)


def random_pictures(train: Sequence[int], test: Sequence[int], view: View) -> ImageArrays:
    """Return pictures drawn uniformly from 0 to 255, always the same.

    Args:
        train: training images of each class.
        test: test images of each class.
        view: how the backbone sees pictures.
    """
    rng = np.random.default_rng(seeding.key("random pictures"))
    shape = (view.channels, view.stored, view.stored)

    def drawn(counts: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        return rng.integers(0, 256, (len(labels), *shape), dtype=np.uint8), labels

    (train_pixels, train_labels), (test_pixels, test_labels) = drawn(train), drawn(test)
    return ImageArrays(train_pixels, train_labels, test_pixels, test_labels)


def random_source(name: str, readings: Readings, classes: int) -> SourceWeights:
    """Return a source network with random weights, which takes as long as a trained one."""
    network = backbone(name, readings=readings)
    key = seeding.key("random source")
    parts = {
        "E": seeded(network.extractor, key, "E"),
        "C": seeded(lambda: network.classifier(classes), key, "C"),
    }
    state = {f"{p}.{n}": t for p, part in parts.items() for n, t in part.state_dict().items()}
    return SourceWeights(state, classes)
