"""The feature generator G (Table A2, Eq. 8 and 9)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LRELU_SLOPE = 0.2
"""Slope of the leaky ReLU in G and D (F08: DCGAN's; the paper gives none)."""


class LeNet5Generator(nn.Module):
    """G for LeNet-5 (Table A2): noise, classes and filter weights to (B, 6, 14, 14) features.

    A hidden layer is transposed convolution, leaky ReLU, batch norm (F24); the last one is Eq. 9,
    norm[W* . tanh(TransConv)] (F05). Transposed convolutions have no bias, the dense layer has one
    (F21). Weights are initialised Xavier-uniform, biases zero.

    Args:
        noise: noise numbers of an input.
        classes: number of classes K.
    """

    def __init__(self, noise: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(noise + classes, 128 * 4 * 4)
        self.dense_norm = nn.BatchNorm1d(128 * 4 * 4)
        self.deconv1 = nn.ConvTranspose2d(128, 48, 3, stride=2, bias=False)
        self.norm1 = nn.BatchNorm2d(48)
        self.deconv2 = nn.ConvTranspose2d(48, 12, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(12)
        self.deconv3 = nn.ConvTranspose2d(12, 6, 4, bias=False)
        self.norm3 = nn.BatchNorm2d(6)
        xavier(self)

    def forward(self, z: Tensor, one_hot: Tensor, weights: Tensor) -> Tensor:
        """Generate features.

        Args:
            z: noise, (B, noise).
            one_hot: classes, (B, K).
            weights: the filter weights W* of each row's class, (B, 6).
        """
        h = self.dense_norm(self.dense(torch.cat([z, one_hot], dim=-1)))
        h = h.unflatten(-1, (128, 4, 4))
        h = self.norm1(F.leaky_relu(self.deconv1(h), LRELU_SLOPE))  # (B, 48, 9, 9)
        h = self.norm2(F.leaky_relu(self.deconv2(h), LRELU_SLOPE))  # (B, 12, 11, 11)
        h = weights[:, :, None, None] * torch.tanh(self.deconv3(h))  # (B, 6, 14, 14)
        features: Tensor = self.norm3(h)
        return features


def xavier(network: nn.Module) -> None:
    """Initialise (transposed) convolutions and dense layers Xavier-uniform, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


GENERATORS = {"lenet5": LeNet5Generator}
