"""LeNet-5 and its G and D (Tables A1 and A2), and DIFA + cMWGAN's networks (N01), by the textbook.

Weights have the names that dfgctl gives them, and start as dfgctl's do under the same seed.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Extractor(nn.Module):
    """E: (B, 1, 32, 32) images to (B, 6, 14, 14) features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Extract features."""
        return F.max_pool2d(F.relu(self.conv(x)), 2)


class CosineHead(nn.Module):
    """The last layer of ``ldam``: 30 times the cosine of features (B, 84) and each class's row."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        weight = torch.rand(classes, 84) * 2 - 1
        self.weight = nn.Parameter(weight / weight.norm(dim=1, keepdim=True))

    def forward(self, h: Tensor) -> Tensor:
        """Compare directions."""
        lengths = h.norm(dim=1, keepdim=True) * self.weight.norm(dim=1)
        return 30 * (h @ self.weight.T) / lengths


class Classifier(nn.Module):
    """C: (B, 6, 14, 14) features to (B, K) logits.

    Args:
        classes: K.
        bounded: whether the head sees tanh of the last hidden layer (``difa``).
        cosine: whether the head compares directions alone (``ldam``).
    """

    def __init__(self, classes: int, bounded: bool = False, cosine: bool = False) -> None:
        super().__init__()
        self.bounded = bounded
        self.conv = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.head = CosineHead(classes) if cosine else nn.Linear(84, classes)

    def hidden(self, conv: Tensor) -> Tensor:
        """Return the last hidden layer (B, 84) behind the convolution's output."""
        h = F.max_pool2d(F.relu(conv), 2).flatten(1)
        h = F.relu(self.fc2(F.relu(self.fc1(h))))
        return torch.tanh(h) if self.bounded else h

    def forward(self, x: Tensor) -> Tensor:
        """Classify features."""
        logits: Tensor = self.head(self.hidden(self.conv(x)))
        return logits


def xavier(network: nn.Module) -> None:
    """Initialise weights by Xavier's procedure, biases by zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Generator(nn.Module):
    """G: noise (B, noise), classes (B, K) and filter weights (B, 6) to (B, 6, 14, 14) features."""

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
        """Generate features; the last layer is Eq. 9."""
        h = self.dense_norm(self.dense(torch.cat([z, one_hot], dim=1)))
        h = h.view(-1, 128, 4, 4)
        h = self.norm1(F.leaky_relu(self.deconv1(h), 0.2))  # (B, 48, 9, 9)
        h = self.norm2(F.leaky_relu(self.deconv2(h), 0.2))  # (B, 12, 11, 11)
        h = torch.tanh(self.deconv3(h))  # (B, 6, 14, 14)
        features: Tensor = self.norm3(weights[:, :, None, None] * h)
        return features


class Discriminator(nn.Module):
    """D: (B, 6, 14, 14) features to (B,) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 32, 5, stride=2, padding=2, bias=False)
        self.conv2 = nn.Conv2d(32, 64, 5, stride=2, padding=2, bias=False)
        self.conv3 = nn.Conv2d(64, 128, 5, stride=2, padding=2, bias=False)
        self.dense = nn.Linear(128 * 2 * 2, 1)
        xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Score features: high for real ones."""
        h = F.leaky_relu(self.conv1(x), 0.2)  # (B, 32, 7, 7)
        h = F.leaky_relu(self.conv2(h), 0.2)  # (B, 64, 4, 4)
        h = F.leaky_relu(self.conv3(h), 0.2)  # (B, 128, 2, 2)
        scores: Tensor = self.dense(h.flatten(1)).squeeze(1)
        return scores


class MixtureGenerator(nn.Module):
    """S: noise (B, noise) and classes (B, K) to features, row i by generator i mod M."""

    def __init__(
        self, components: int, noise: int, classes: int, units: int, features: int
    ) -> None:
        super().__init__()
        self.components, self.features = components, features
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise((noise + classes, units, units, features)):
            weight = torch.empty(components, inputs, outputs)
            for m in range(components):
                nn.init.xavier_uniform_(weight[m])
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(components, 1, outputs)))

    def forward(self, z: Tensor, one_hot: Tensor) -> Tensor:
        """Generate features."""
        inputs = torch.cat([z, one_hot], dim=1)
        out = inputs.new_empty(len(z), self.features)
        for m in range(self.components):
            h = inputs[m :: self.components]
            h = F.leaky_relu(h @ self.weights[0][m] + self.biases[0][m], 0.2)
            h = F.leaky_relu(h @ self.weights[1][m] + self.biases[1][m], 0.2)
            out[m :: self.components] = torch.tanh(h @ self.weights[2][m] + self.biases[2][m])
        return out


class FeatureCritic(nn.Module):
    """A critic: features, and if ``classes`` is not 0 their classes, to (B,) scores."""

    def __init__(self, features: int, classes: int, units: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(features + classes, units)
        self.layer2 = nn.Linear(units, units)
        self.layer3 = nn.Linear(units, 1)
        xavier(self)

    def forward(self, features: Tensor, *one_hot: Tensor) -> Tensor:
        """Score features."""
        h = F.leaky_relu(self.layer1(torch.cat([features, *one_hot], dim=1)), 0.2)
        h = F.leaky_relu(self.layer2(h), 0.2)
        scores: Tensor = self.layer3(h).squeeze(1)
        return scores
