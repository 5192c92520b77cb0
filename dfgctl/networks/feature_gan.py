"""The feature generator S of DIFA + cMWGAN, a conditional mixture, and its critics (N01)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Slope of the leaky ReLU."""


class MixtureGenerator(nn.Module):
    """S: noise and classes to features of the last hidden layer, each by one of several generators.

    Row i of a batch comes from generator i mod M, so that all have the same share. Each is a
    network of three dense layers; features are bounded by tanh, as DIFA's are.

    Args:
        components: M.
        noise: noise numbers of an input.
        classes: K.
        units: hidden units of each generator.
        features: units of the layer whose features are generated.
    """

    def __init__(
        self, components: int, noise: int, classes: int, units: int, features: int
    ) -> None:
        super().__init__()
        self.components = components
        widths = (noise + classes, units, units, features)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for inputs, outputs in pairwise(widths):
            weight = torch.empty(components, inputs, outputs)
            for m in range(components):
                nn.init.xavier_uniform_(weight[m])
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(components, 1, outputs)))

    def forward(self, z: Tensor, one_hot: Tensor) -> Tensor:
        """Generate features.

        Args:
            z: noise, (B, noise).
            one_hot: classes, (B, K).
        """
        rows = torch.arange(z.shape[0], device=z.device)
        h = torch.cat([z, one_hot], dim=-1).expand(self.components, -1, -1)  # (M, B, noise + K)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = h @ weight + bias
            h = F.leaky_relu(h, SLOPE) if i < len(self.weights) - 1 else torch.tanh(h)
        return h[rows % self.components, rows]


class FeatureCritic(nn.Module):
    """A critic of features that sees the class, or does not.

    Args:
        features: units of the layer whose features are judged.
        classes: K where the critic sees the class, else 0.
        units: hidden units.
    """

    def __init__(self, features: int, classes: int, units: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(features + classes, units)
        self.layer2 = nn.Linear(units, units)
        self.layer3 = nn.Linear(units, 1)
        for layer in (self.layer1, self.layer2, self.layer3):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, *one_hot: Tensor, gradient: bool = False) -> Tensor:
        """Score features.

        Args:
            features: (B, features).
            one_hot: their classes, (B, K), if the critic sees them.
            gradient: whether to return the gradient of each score with respect to its features,
                (B, features), instead of the scores, (B,); see ``Discriminator``.
        """
        h = torch.cat([features, *one_hot], dim=-1)
        if gradient:
            return self._gradient(h)[:, : features.shape[1]]
        h = F.leaky_relu(self.layer1(h), SLOPE)
        h = F.leaky_relu(self.layer2(h), SLOPE)
        scores: Tensor = self.layer3(h).squeeze(-1)
        return scores

    def _gradient(self, h: Tensor) -> Tensor:
        layers = (self.layer1, self.layer2)
        slopes = []
        with torch.no_grad():
            for layer in layers:
                h = layer(h)
                slopes.append(torch.ones_like(h).masked_fill(h <= 0, SLOPE))
                h = h * slopes[-1]
        g = self.layer3.weight
        for layer, slope in zip(layers[::-1], slopes[::-1], strict=True):
            g = (g * slope) @ layer.weight
        return g
