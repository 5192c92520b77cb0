"""The classification networks, each split into feature extractor E and feature classifier C.

Where a network is split, and which layers are weighed or compared, is part of its entry in
``BACKBONES``. Feature maps that DELTA compares are returned by ``forward(x, maps=True)``: hooks
would depend on the order of calls, and in-place activations would overwrite what they caught.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl import seeding
from dfgctl.errors import UnknownNameError


class LeNet5Extractor(nn.Module):
    """E of LeNet-5 (Table A1): (B, 1, 32, 32) images to (B, 6, 14, 14) features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Extract features."""
        return F.max_pool2d(F.relu(self.conv(x)), 2)  # (B, 6, 28, 28) -> (B, 6, 14, 14)


class LeNet5Classifier(nn.Module):
    """C of LeNet-5 (Table A1; F09): (B, 6, 14, 14) features to (B, K) logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.head = nn.Linear(84, classes)

    def forward(self, x: Tensor, maps: bool = False) -> Tensor | tuple[Tensor, ...]:
        """Classify features; with ``maps``, return the compared feature maps behind the logits."""
        conv = self.conv(x)  # (B, 16, 10, 10), before the ReLU (F19)
        logits = self.head(self.hidden(conv))
        return (logits, conv) if maps else logits

    def hidden(self, conv: Tensor) -> Tensor:
        """Return the last hidden layer, (B, 84), from the convolution's output."""
        h = F.max_pool2d(F.relu(conv), 2).flatten(1)  # (B, 400)
        return F.relu(self.fc2(F.relu(self.fc1(h))))


@dataclass(frozen=True)
class Backbone:
    """A network and its split.

    Attributes:
        name: the name in recipes.
        extractor: makes E.
        classifier: makes C for a number of classes.
        filter_layer: name in E of its last convolution, whose filters Eq. 5 weighs.
        map_layers: names in C of the convolutions whose outputs DELTA compares (F19), in the
            order in which ``C(x, maps=True)`` returns them.
        fixed_in_classifier: prefixes of C's parameters that ``finetune`` keeps fixed, beside all
            of E's: the weights before the last convolution block.
        head: name of the last dense layer in C.
    """

    name: str
    extractor: Callable[[], nn.Module]
    classifier: Callable[[int], nn.Module]
    filter_layer: str
    map_layers: tuple[str, ...]
    fixed_in_classifier: tuple[str, ...]
    head: str


BACKBONES = {
    "lenet5": Backbone(
        name="lenet5",
        extractor=LeNet5Extractor,
        classifier=LeNet5Classifier,
        filter_layer="conv",
        map_layers=("conv",),
        fixed_in_classifier=(),
        head="head",
    ),
}


def backbone(name: str) -> Backbone:
    """Return a backbone by its name.

    Raises:
        UnknownNameError: there is no such backbone.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise UnknownNameError("backbone", name, BACKBONES) from None


def seeded(make: Callable[[], nn.Module], run_key: int, name: str) -> nn.Module:
    """Make a network whose initial weights depend on the run's key and the name alone.

    It is made on the CPU, so that every device starts from the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.substream(run_key, name) >> 1)
        return make()
