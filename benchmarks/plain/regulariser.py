"""DELTA's regulariser (F17 to F19)."""

import torch
from torch import Tensor, nn

from dfgctl.settings import RegSettings
from plain.attention import loss_increases
from plain.data import Draw
from plain.given import Given


def channel_weights(increases: Tensor, temperature: float) -> Tensor:
    """Mean increase of the loss (B, n_f) by channel, standardised, then a softmax: (n_f,)."""
    mean = increases.mean(0)
    standard = (mean - mean.mean()) / mean.std(correction=0)
    return torch.softmax(standard / temperature, dim=0)


def distance(target: Tensor, source: Tensor, weights: Tensor) -> Tensor:
    """Half the weighted squared distance of feature maps (B, C, H, W), summed over the batch."""
    _, channels, height, width = target.shape
    squared = ((target - source) ** 2).sum(dim=(2, 3))
    return 0.5 * (weights * channels * squared / (height * width)).sum()


class Regulariser:
    """The terms that are added to the losses of E and of C.

    Args:
        given: the run.
        settings: the section ``reg``.
    """

    def __init__(self, given: Given, settings: RegSettings) -> None:
        self.settings = settings
        self.E_S, self.C_S = given.source_lenet()
        draws = [Draw(i, 0) for i in range(settings.weight_batches)]
        batches = list(given.batches(draws, "channel weights"))
        x, y = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
        self.w_E, self.w_C = (
            channel_weights(loss_increases(self.E_S, self.C_S, part, x, y), settings.temperature)
            for part in "EC"
        )

    def source_maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E_S's features and the output of C_S's convolution."""
        with torch.no_grad():
            features = self.E_S(x)
            return features, self.C_S.conv(features)

    def of_E(self, features: Tensor, source: Tensor) -> Tensor:
        """Distance of E's features from E_S's."""
        return self.settings.alpha * distance(features, source, self.w_E)

    def of_C(self, conv: Tensor, source: Tensor, head: nn.Linear) -> Tensor:
        """Distance of C's convolution from C_S's, and the head's L2 term."""
        penalty = 0.5 * ((head.weight**2).sum() + (head.bias**2).sum())
        far = self.settings.alpha * distance(conv, source, self.w_C)
        return far + self.settings.beta * penalty
