"""The feature discriminator D, a critic (Table A2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.networks.generator import LRELU_SLOPE, xavier


class LeNet5Discriminator(nn.Module):
    """D for LeNet-5 (Table A2): (B, 6, 14, 14) features to (B,) scores.

    Convolutions have no bias, the dense layer has one (F21); no normalisation, as WGAN-GP asks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 32, 5, stride=2, padding=2, bias=False)
        self.conv2 = nn.Conv2d(32, 64, 5, stride=2, padding=2, bias=False)
        self.conv3 = nn.Conv2d(64, 128, 5, stride=2, padding=2, bias=False)
        self.dense = nn.Linear(128 * 2 * 2, 1)
        xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Score features: high for real ones."""
        h = F.leaky_relu(self.conv1(x), LRELU_SLOPE)  # (B, 32, 7, 7)
        h = F.leaky_relu(self.conv2(h), LRELU_SLOPE)  # (B, 64, 4, 4)
        h = F.leaky_relu(self.conv3(h), LRELU_SLOPE)  # (B, 128, 2, 2)
        scores: Tensor = self.dense(h.flatten(1)).squeeze(-1)
        return scores


DISCRIMINATORS = {"lenet5": LeNet5Discriminator}
