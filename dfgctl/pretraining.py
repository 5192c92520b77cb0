"""Trains source networks: the weights that all methods but ``original`` start from."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dfgctl import seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Batches, Images, scaled
from dfgctl.data.views import VIEWS
from dfgctl.errors import InputError
from dfgctl.ledger import PROTOCOLS, SWITCHES, readings
from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Schedule, SourceWeights, optimizer, random_networks
from dfgctl.networks.backbones import Backbone, State
from dfgctl.networks.backbones import backbone as backbone_of
from dfgctl.networks.weights import divided, read
from dfgctl.numerics import numerics
from dfgctl.pack import Replicated, descend
from dfgctl.settings import SourceSettings


def pretrain(
    backbone: Backbone,
    data: ImageArrays,
    classes: int,
    settings: SourceSettings,
    device: torch.device,
    progress: Callable[[int], None],
) -> tuple[SourceWeights, float]:
    """Train a source network on all training images of the source data set, always in float32.

    So runs of every precision start from the same one.

    Args:
        backbone: the network.
        data: the source data set.
        classes: its number of classes.
        settings: the recipe's section ``source``.
        device: where to train.
        progress: called with the steps done.

    Returns:
        The weights, and the accuracy on the source's test images in [0, 1].
    """
    with contextlib.closing(Images.on(device, data.train, data.train_labels)) as images:
        extractor, classifier = _trained(backbone, images, classes, settings, progress)
    with numerics(device):
        accuracy = _accuracy(backbone, extractor, classifier, data, device)
    state = {
        f"{letter}.{name}": tensor.cpu()
        for letter, network in (("E", extractor), ("C", classifier))
        for name, tensor in network.replica_state(0).items()
    }
    return SourceWeights(state, classes), accuracy


def _trained(
    backbone: Backbone,
    images: Images,
    classes: int,
    settings: SourceSettings,
    progress: Callable[[int], None],
) -> tuple[Replicated, Replicated]:
    """Return E and C."""
    keys = (seeding.key("source", settings.seed),)
    everything = [np.arange(len(images.labels))]
    view = VIEWS[backbone.name]
    batches = Batches(images, everything, keys, settings.batch_size, torch.float32, view=view)
    context = Context(backbone, classes, keys, batches, None)
    extractor, classifier = random_networks(context)
    optimizers = [optimizer(n, settings.lr, settings) for n in (extractor, classifier)]
    schedule = Schedule(settings.lr_decay_step, *optimizers)
    for step in range(1, settings.steps + 1):
        schedule.at(step)
        x, y = batches.draw(step, 0)
        with numerics(images.device):
            descend(optimizers, cross_entropy(classifier(extractor(x)), y))
        progress(step)
    return extractor, classifier


@torch.no_grad()
def _accuracy(
    backbone: Backbone,
    extractor: Replicated,
    classifier: Replicated,
    data: ImageArrays,
    device: torch.device,
) -> float:
    """Return the share of test images that are classified rightly."""
    right = 0
    chunk = backbone.evaluation_chunk
    for network in (extractor, classifier):
        network.eval()
    with contextlib.closing(Images.on(device, data.test, data.test_labels)) as test:
        for i, pixels in enumerate(test.swept(None, chunk, VIEWS[backbone.name])):
            x = scaled(pixels, torch.float32)
            logits: Tensor = classifier(extractor(x[None]))[0]
            right += int((logits.argmax(1) == test.labels[i * chunk : (i + 1) * chunk]).sum())
    return right / len(test.labels)


def read_weights(path: Path, backbone: Backbone) -> SourceWeights:
    """Read a network's weights from a file, with dfgctl's names or torchvision's.

    Raises:
        InputError: the file cannot be read, or is not of this backbone in this reading.
    """
    state = read(path)
    found = divided(state, backbone)
    if found is None:
        if reading := _other_reading(state, backbone):
            raise InputError(
                f"{path} holds weights of {backbone.name} in the other reading of F09: add "
                f"--set fidelity.F09={reading}."
            )
        raise InputError(f"{path} holds no weights of {backbone.name}: name a file that does.")
    return SourceWeights(*found)


def _other_reading(state: State, backbone: Backbone) -> str | None:
    """Return the reading of F09 in which weights are a backbone's, if that is all that differs."""
    if backbone.name not in SWITCHES["F09"].backbones:
        return None
    for reading in PROTOCOLS:
        other = backbone_of(backbone.name, readings=readings(reading, {}))
        if divided(state, other) is not None:
            return reading
    return None


def split_at(source: SourceWeights, backbone: Backbone) -> SourceWeights:
    """Return a source network's weights, divided into E and C where a backbone is split.

    Raises:
        InputError: they are not this backbone's.
    """
    found = divided(source.state, backbone)
    if found is None:
        raise InputError(f"The source network is no {backbone.name} of this reading.")
    return SourceWeights(*found)
