"""Trains source networks: the weights that all methods but ``original`` start from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dfgctl import seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Batches, Images, scaled
from dfgctl.errors import InputError
from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, SourceWeights, adam, random_networks
from dfgctl.networks.backbones import Backbone
from dfgctl.pack import descend
from dfgctl.settings import SourceSettings


def pretrain(
    backbone: Backbone,
    data: ImageArrays,
    classes: int,
    settings: SourceSettings,
    device: torch.device,
    progress: Callable[[int], None],
) -> tuple[SourceWeights, float]:
    """Train a source network on all training images of the source data set.

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
    keys = (seeding.key("source", settings.seed),)
    images = Images.on(device, data.train, data.train_labels)
    everything = [np.arange(len(data.train_labels))]
    batches = Batches(images, everything, keys, settings.batch_size, torch.float32)
    context = Context(backbone, classes, keys, batches, None)
    extractor, classifier = random_networks(context)
    optimizers = [adam(n, settings.lr, settings) for n in (extractor, classifier)]
    for step in range(1, settings.steps + 1):
        x, y = batches.draw(step, 0)
        descend(optimizers, cross_entropy(classifier(extractor(x)), y))
        progress(step)

    right = 0
    test = Images.on(device, data.test, data.test_labels)
    with torch.no_grad():
        for start in range(0, len(test.labels), 1000):
            part = slice(start, start + 1000)
            logits = classifier(extractor(scaled(test.pixels[part], torch.float32)[None]))[0]
            right += int((logits.argmax(1) == test.labels[part]).sum())
    state = {
        f"{letter}.{name}": tensor.cpu()
        for letter, network in (("E", extractor), ("C", classifier))
        for name, tensor in network.replica_state(0).items()
    }
    return SourceWeights(state, classes), right / len(test.labels)


def read_weights(path: Path, backbone: Backbone) -> SourceWeights:
    """Read a network's weights from a safetensors file (``E.conv.weight``, ...).

    Raises:
        InputError: the file cannot be read, or is not of this backbone.
    """
    try:
        state = {n: t for n, t in load_file(path).items() if n.startswith(("E.", "C."))}
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read as safetensors ({error}): name a file of weights that dfgctl "
            "wrote, e.g. results/weights/ID.1.safetensors."
        ) from error
    head = state.get(f"C.{backbone.head}.bias")
    classes = len(head) if head is not None and head.dim() == 1 else 1
    expected = {
        f"{letter}.{name}": tuple(tensor.shape)
        for letter, network in (("E", backbone.extractor()), ("C", backbone.classifier(classes)))
        for name, tensor in network.state_dict().items()
    }
    if expected != {name: tuple(tensor.shape) for name, tensor in state.items()}:
        raise InputError(f"{path} holds no weights of {backbone.name}: name a file that does.")
    return SourceWeights(state, classes)
