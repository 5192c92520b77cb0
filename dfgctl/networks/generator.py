"""The feature generators G (Tables A2, A4 and A6; Eq. 8 and 9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.ledger import PAPER_READINGS, Readings

LRELU_SLOPE, RELEASED_SLOPE = 0.2, 1.0
"""Slope of the leaky ReLU in G and D (F08: DCGAN's; the paper gives none)."""


@dataclass(frozen=True)
class Deconv:
    """A transposed convolution: output channels, kernel, stride, padding."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Shape:
    """What a generator is made of: its dense layer's maps (4x4 each), then its layers."""

    maps: int
    layers: tuple[Deconv, ...]


SHAPES: dict[tuple[str, str], Shape] = {
    # 4 -> 9 -> 11 -> 14
    ("lenet5", "block1"): Shape(128, (Deconv(48, 3, 2), Deconv(12, 3), Deconv(6, 4))),
    # 4 -> 8 -> 16 -> 17 -> 16
    ("vgg16", "block1"): Shape(
        128, (Deconv(128, 4, 2, 1), Deconv(128, 4, 2, 1), Deconv(64, 4, 1, 1), Deconv(64, 4, 1, 2))
    ),
    # 4 -> 8 -> 16 -> 30 -> 56
    ("resnet50", "block1"): Shape(
        512,
        (Deconv(512, 4, 2, 1), Deconv(256, 4, 2, 1), Deconv(256, 2, 2, 1), Deconv(256, 2, 2, 2)),
    ),
    # The other splits extend Table A6's pattern to the shapes of Table 3. 4 -> 8 -> 16 -> 28
    ("resnet50", "block2"): Shape(
        512, (Deconv(512, 4, 2, 1), Deconv(512, 4, 2, 1), Deconv(512, 2, 2, 2))
    ),
    # 4 -> 8 -> 14
    ("resnet50", "block3"): Shape(512, (Deconv(1024, 4, 2, 1), Deconv(1024, 2, 2, 1))),
    # 4 -> 4 -> 7
    ("resnet50", "block4"): Shape(512, (Deconv(1024, 3, 1, 1), Deconv(2048, 3, 2, 1))),
}
"""Generators by backbone and split; the paddings follow from the tables' output shapes."""

NOISE = {"lenet5": 100, "vgg16": 100, "resnet50": 4900}
"""Noise numbers of an input (F20)."""


class Generator(nn.Module):
    """G: noise, classes and filter weights to features of E's output shape.

    A hidden layer is transposed convolution, leaky ReLU, batch norm (F24); the last one is Eq. 9,
    norm[W* . tanh(TransConv)] (F05). Transposed convolutions have no bias, the dense layer has one
    (F21).

    Args:
        shape: its layers.
        noise: noise numbers of an input.
        classes: number of classes K.
        he: whether weights are initialised by He's procedure instead of Xavier's; biases are zero.
        readings: F05, F08 and F24.
    """

    def __init__(
        self,
        shape: Shape,
        noise: int,
        classes: int,
        he: bool = False,
        readings: Readings = PAPER_READINGS,
    ) -> None:
        super().__init__()
        self.maps = shape.maps
        self.depth = len(shape.layers)
        self.slope = slope(readings)
        self.norm_first = "F24" in readings
        self.weight_last = "F05" in readings
        self.dense = nn.Linear(noise + classes, shape.maps * 4 * 4)
        self.dense_norm = nn.BatchNorm1d(shape.maps * 4 * 4)
        channels = shape.maps
        for i, layer in enumerate(shape.layers, start=1):
            deconv = nn.ConvTranspose2d(
                channels, layer.channels, layer.kernel, layer.stride, layer.padding, bias=False
            )
            self.add_module(f"deconv{i}", deconv)
            self.add_module(f"norm{i}", nn.BatchNorm2d(layer.channels))
            channels = layer.channels
        initialise(self, he)

    def forward(self, z: Tensor, one_hot: Tensor, weights: Tensor) -> Tensor:
        """Generate features.

        Args:
            z: noise, (B, noise).
            one_hot: classes, (B, K).
            weights: the filter weights W* of each row's class, (B, channels).
        """
        h = self.dense_norm(self.dense(torch.cat([z, one_hot], dim=-1)))
        h = h.unflatten(-1, (self.maps, 4, 4))
        for i in range(1, self.depth):
            h = self.get_submodule(f"deconv{i}")(h)
            norm = self.get_submodule(f"norm{i}")
            if self.norm_first:
                h = F.leaky_relu(norm(h), self.slope)
            else:
                h = norm(F.leaky_relu(h, self.slope))
        h = torch.tanh(self.get_submodule(f"deconv{self.depth}")(h))
        norm, weight = self.get_submodule(f"norm{self.depth}"), weights[:, :, None, None]
        features: Tensor = weight * norm(h) if self.weight_last else norm(weight * h)
        return features


def generator(
    backbone: str, split: str, noise: int, classes: int, readings: Readings = PAPER_READINGS
) -> Generator:
    """Make the generator for a backbone and a split."""
    return Generator(SHAPES[backbone, split], noise, classes, backbone != "lenet5", readings)


def slope(readings: Readings) -> float:
    """Return the slope of the leaky ReLU (F08)."""
    return RELEASED_SLOPE if "F08" in readings else LRELU_SLOPE


def initialise(network: nn.Module, he: bool) -> None:
    """Initialise (transposed) convolutions and dense layers by He or Xavier, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if he:
                nn.init.kaiming_normal_(layer.weight)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def sizes(layers: Sequence[Deconv]) -> list[int]:
    """Return the height and width after each layer, from 4."""
    found, size = [], 4
    for layer in layers:
        size = (size - 1) * layer.stride - 2 * layer.padding + layer.kernel
        found.append(size)
    return found
