"""VGG-16 for 32x32 images, split after its first block (Table A3)."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from dfgctl.networks.dropout import StreamDropout
from dfgctl.networks.heads import CosineHead

SPLIT = 5
"""Layers of torchvision's ``features`` that belong to E: two convolutions and a pooling."""

DENSE = (4096, 512)
"""Units of the two hidden dense layers (Table A3)."""

LAST_CONV = "28"
"""Name of the last convolution of block 5 in torchvision's ``features``."""


def _features(start: int, stop: int | None) -> nn.Sequential:
    """Return torchvision's layers under their own names, none of them in place.

    An activation in place would overwrite the feature maps that DELTA compares.
    """
    from torchvision.models import vgg

    layers: Any = vgg.make_layers(vgg.cfgs["D"], batch_norm=False)
    named = list(layers.named_children())[start:stop]
    return nn.Sequential(
        OrderedDict(
            (name, nn.ReLU() if isinstance(layer, nn.ReLU) else layer) for name, layer in named
        )
    )


def _after(features: nn.Sequential, resume: str) -> list[tuple[str, nn.Module]]:
    """Return the named layers after the one that is named, all if none is."""
    layers = list(features.named_children())
    names = [f"features.{name}" for name, _ in layers]
    return layers[names.index(resume) + 1 :] if resume else layers


def _initialise(network: nn.Module) -> None:
    """Initialise as torchvision does."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.01)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Vgg16Extractor(nn.Module):
    """E of VGG-16 (Table A3): (B, 3, 32, 32) images to (B, 64, 16, 16) features."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features(0, SPLIT)
        _initialise(self)

    def forward(self, x: Tensor, stop: str = "", resume: str = "") -> Tensor | tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: images, or with ``resume`` a convolution's output.
            stop: name of the convolution whose output is returned instead, in a tuple.
            resume: name of the convolution whose output x is.
        """
        h = x
        for name, layer in _after(self.features, resume):
            h = layer(h)
            if stop == f"features.{name}":
                return (h,)
        return h


class Vgg16Classifier(nn.Module):
    """C of VGG-16 (Table A3): (B, 64, 16, 16) features to (B, K) logits.

    Parameters have torchvision's names, the dense layers are Table A3's: 4096, 512, K.

    Args:
        classes: K.
        dropout: whether the two hidden dense layers have dropout of 0.5 (F27).
        bounded: whether the head sees tanh of the last hidden layer (``difa``).
        cosine: whether the head compares directions alone (``ldam``).
    """

    def __init__(
        self, classes: int, dropout: bool = False, bounded: bool = False, cosine: bool = False
    ) -> None:
        super().__init__()
        self.bounded = bounded
        self.features = _features(SPLIT, None)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, DENSE[0]),
            nn.ReLU(),
            StreamDropout(0.5) if dropout else nn.Identity(),
            nn.Linear(*DENSE),
            nn.ReLU(),
            StreamDropout(0.5) if dropout else nn.Identity(),
            nn.Linear(DENSE[1], classes),
        )
        _initialise(self)
        if cosine:  # last, so that all other weights are those of a plain head's network
            self.classifier[6] = CosineHead(DENSE[1], classes)

    def forward(
        self,
        x: Tensor,
        maps: bool = False,
        hidden: bool = False,
        stop: str = "",
        resume: str = "",
    ) -> Tensor | tuple[Tensor, ...]:
        """Classify features.

        Args:
            x: features, or with ``resume`` a convolution's output.
            maps: whether to return the compared feature maps behind the logits.
            hidden: whether to return the last hidden layer, (B, 512), behind the logits.
            stop: name of the convolution whose output is returned instead, in a tuple.
            resume: name of the convolution whose output x is.
        """
        conv = h = x
        for name, layer in _after(self.features, resume):
            h = layer(h)
            if stop == f"features.{name}":
                return (h,)
            if name == LAST_CONV:
                conv = h  # (B, 512, 2, 2), before the ReLU (F19)
        h = self._pooled(h).flatten(1)  # (B, 512, 1, 1) -> (B, 25088)
        *dense, head = self.classifier
        for layer in dense:
            h = layer(h)
        h = torch.tanh(h) if self.bounded else h
        logits: Tensor = head(h)
        if maps:
            return logits, conv
        return (logits, h) if hidden else logits

    def _pooled(self, h: Tensor) -> Tensor:
        if torch.are_deterministic_algorithms_enabled() and h.is_cuda:
            return self.repeated(h)
        pooled: Tensor = self.avgpool(h)
        return pooled

    @staticmethod
    def repeated(h: Tensor) -> Tensor:
        """Do what ``avgpool`` does with one number a channel, (B, 512, 1, 1) to (B, 512, 7, 7).

        On a GPU the pooling's gradient is not deterministic, and this one's is.
        """
        return h.expand(-1, -1, 7, 7)
