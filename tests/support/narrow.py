"""Narrow copies of the large networks: the same layers, few filters, so that tests are quick."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet, vgg

from dfgctl import seeding
from dfgctl.data.batches import Batches, Images
from dfgctl.data.views import View
from dfgctl.ledger import PAPER_READINGS, Readings
from dfgctl.methods.base import Context, SourceWeights
from dfgctl.networks import discriminator, generator
from dfgctl.networks.backbones import Backbone, backbone, seeded
from dfgctl.networks.dropout import StreamDropout
from dfgctl.networks.generator import Deconv, Shape
from dfgctl.networks.heads import head
from dfgctl.networks.resnet50 import ResNet50Classifier
from dfgctl.networks.vgg16 import SPLIT, Vgg16Classifier, _features

LAST = {"vgg16": 8, "resnet50": 128}
"""Channels of the last convolution."""


class NarrowResNet(resnet.ResNet):
    """torchvision's ResNet with a sixteenth of the filters in its blocks."""

    def _make_layer(self, block: Any, planes: int, *rest: Any, **named: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // 16, *rest, **named)


def whole_resnet50(weights: None = None) -> NarrowResNet:
    """Make a narrow ResNet-50, whose block i has 16, 32, 64 or 128 channels."""
    network = NarrowResNet(resnet.Bottleneck, [3, 4, 6, 3])
    network.fc = nn.Linear(LAST["resnet50"], 1000)
    return network


def narrow(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    split: str = "",
    readings: Readings = PAPER_READINGS,
    bounded: bool = False,
    cosine: bool = False,
) -> Backbone:
    """Return a backbone with few filters, and let the code make such networks from now on.

    G and D fit E's features of pictures 32x32.
    """
    full = backbone(name, split, readings, bounded, cosine)
    if name == "lenet5":
        return full
    if name == "resnet50":
        monkeypatch.setattr("torchvision.models.resnet50", whole_resnet50)
        shape = Shape(8, (Deconv(8, 4, 2, 1), Deconv(16, 3, 1, 1)))  # 4 -> 8 -> 8
        monkeypatch.setitem(generator.SHAPES, ("resnet50", "block1"), shape)

        def resnet_classifier(classes: int) -> nn.Module:
            network = ResNet50Classifier(classes, full.split, bounded, cosine)
            network.fc = head(LAST[name], classes, cosine)
            return network

        return replace(full, classifier=resnet_classifier, hidden=LAST[name])
    cfg = [4, 4, "M", 4, 4, "M", 6, 6, 6, "M", 8, 8, 8, "M", 8, 8, 8, "M"]
    monkeypatch.setitem(vgg.cfgs, "D", cfg)
    shape = Shape(8, (Deconv(8, 4, 2, 1), Deconv(4, 4, 2, 1)))  # 4 -> 8 -> 16
    monkeypatch.setitem(generator.SHAPES, ("vgg16", "block1"), shape)
    dropout = "F27" in readings

    def vgg_classifier(classes: int) -> nn.Module:
        with torch.device("meta"):
            network = Vgg16Classifier(classes, dropout, bounded, cosine)
        network.features = _features(SPLIT, None)
        dense = network.classifier
        dense[0] = nn.Linear(LAST[name] * 49, 24)
        dense[3], dense[6] = nn.Linear(24, 12), head(12, classes, cosine)
        if dropout:
            dense[2], dense[5] = StreamDropout(0.5), StreamDropout(0.5)
        return network

    return replace(full, classifier=vgg_classifier, hidden=12)


def narrow_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give G and D few filters on LeNet-5, for tests in which they need not learn much."""
    shape = Shape(16, (Deconv(8, 3, 2), Deconv(6, 3), Deconv(6, 4)))  # 4 -> 9 -> 11 -> 14
    monkeypatch.setitem(generator.SHAPES, ("lenet5", "block1"), shape)
    monkeypatch.setattr(discriminator, "WIDTHS", (4, 8, 8))


def both(network: Backbone, classes: int, key: int = 1) -> tuple[nn.Module, nn.Module]:
    """Make E and C in evaluation mode, with random statistics in their batch norms."""
    parts = (
        seeded(network.extractor, key, "E"),
        seeded(lambda: network.classifier(classes), key, "C"),
    )
    shake = torch.Generator().manual_seed(key)
    for part in parts:
        for norm in part.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3, generator=shake)
                norm.running_var.uniform_(0.5, 2, generator=shake)
    return parts[0].double().eval(), parts[1].double().eval()


def source_of(network: Backbone, classes: int) -> SourceWeights:
    """Return a source network with random weights."""
    extractor, classifier = both(network, classes)
    state = {f"E.{n}": t for n, t in extractor.state_dict().items()}
    state |= {f"C.{n}": t for n, t in classifier.state_dict().items()}
    return SourceWeights(state, classes)


def small_context(
    network: Backbone,
    replicas: Sequence[int],
    counts: tuple[int, ...] = (8, 3, 5),
    side: int = 32,
    batch_size: int = 4,
    source: SourceWeights | None = None,
) -> Context:
    """Return the context of a pack in float64, on random colour pictures."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), [2 * n for n in counts])
    pixels = rng.integers(0, 256, (len(labels), 3, side + 2, side + 2), dtype=np.uint8)
    images = Images.on(torch.device("cpu"), pixels, labels)
    keys = tuple(seeding.run_key(r, (0,)) for r in replicas)
    subsets = [
        np.concatenate(
            [np.flatnonzero(labels == c)[r % 2 : r % 2 + n] for c, n in enumerate(counts)]
        )
        for r in replicas
    ]
    view = View(channels=3, stored=side + 2, crop=side, padding=0, flip=True)
    batches = Batches(images, subsets, keys, batch_size, torch.float64, view=view)
    source = source or source_of(network, len(counts))
    return Context(network, len(counts), keys, batches, source)
