"""The feature discriminators D, critics (Tables A2, A4 and A6)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.ledger import PAPER_READINGS, Readings
from dfgctl.networks.generator import SHAPES, initialise, sizes, slope

WIDTHS = (32, 64, 128)
"""Filters of the three convolutions (Tables A2, A4 and A6)."""


class Discriminator(nn.Module):
    """D: features to one score an image, (B, C, H, H) to (B,).

    Three convolutions 5x5 of stride 2 with leaky ReLU (F08), then one dense layer. Convolutions
    have no bias, the dense layer has one (F21); no normalisation, as WGAN-GP asks.

    Args:
        channels: C.
        size: H.
        he: whether weights are initialised by He's procedure instead of Xavier's; biases are zero.
        readings: F08.
    """

    def __init__(
        self, channels: int, size: int, he: bool = False, readings: Readings = PAPER_READINGS
    ) -> None:
        super().__init__()
        self.slope = slope(readings)
        first, second, third = WIDTHS
        self.conv1 = nn.Conv2d(channels, first, 5, stride=2, padding=2, bias=False)
        self.conv2 = nn.Conv2d(first, second, 5, stride=2, padding=2, bias=False)
        self.conv3 = nn.Conv2d(second, third, 5, stride=2, padding=2, bias=False)
        self.sizes = [size]
        for _ in range(3):
            size = -(-size // 2)
            self.sizes.append(size)
        self.dense = nn.Linear(third * size * size, 1)
        initialise(self, he)

    def forward(self, x: Tensor, gradient: bool = False) -> Tensor:
        """Score features: high for real ones.

        Args:
            x: features, (B, C, H, H).
            gradient: whether to return the gradient of each score with respect to its features,
                (B, C, H, H), instead of the scores, (B,): what Eq. 1 takes the norm of. It is a
                plain expression of the weights: D is linear between the kinks of its leaky ReLUs,
                so their slopes are constants, and what learns from the gradient needs no second
                derivative.
        """
        if gradient:
            return self._gradient(x)
        h = F.leaky_relu(self.conv1(x), self.slope)
        h = F.leaky_relu(self.conv2(h), self.slope)
        h = F.leaky_relu(self.conv3(h), self.slope)
        scores: Tensor = self.dense(h.flatten(1)).squeeze(-1)
        return scores

    def _gradient(self, x: Tensor) -> Tensor:
        convs = (self.conv1, self.conv2, self.conv3)
        slopes = []
        with torch.no_grad():
            h = x
            for conv in convs:
                h = conv(h)
                slopes.append(torch.ones_like(h).masked_fill(h <= 0, self.slope))
                h = h * slopes[-1]
        # The chain rule from the score down: each convolution is met by its transpose.
        g = self.dense.weight.view(slopes[-1].shape[1:])
        for conv, kept, size in zip(convs[::-1], slopes[::-1], self.sizes[-2::-1], strict=True):
            odd = 1 - size % 2
            g = F.conv_transpose2d(g * kept, conv.weight, None, 2, 2, odd)
        return g


def discriminator(backbone: str, split: str, readings: Readings = PAPER_READINGS) -> Discriminator:
    """Make the discriminator for a backbone and a split."""
    layers = SHAPES[backbone, split].layers
    return Discriminator(layers[-1].channels, sizes(layers)[-1], backbone != "lenet5", readings)
