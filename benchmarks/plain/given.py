"""What a plain training is given, and what it is to its caller."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dfgctl.networks.backbones import seeded
from plain.data import Draw, DrawnBatches, Pictures
from plain.networks import Classifier, Extractor
from plain.randomness import integers, uniform

N = TypeVar("N", bound=nn.Module)
Batch = tuple[Tensor, Tensor]
"""Images (B, 1, 32, 32) and labels (B,)."""


class PlainMethod(Protocol):
    """A plain training of one run.

    Attributes:
        networks: the networks by the paper's letters.
    """

    networks: dict[str, nn.Module]

    def step(self, step: int) -> dict[str, float]:
        """Train one step, the next of those that were given, and return its losses by name."""
        ...


@dataclass(frozen=True)
class Given:
    """What a plain training is given.

    Attributes:
        pixels: the training set, (N, 1, 32, 32) in 0 to 255.
        labels: its labels, (N,).
        subset: indices of the images that the run may see.
        key: the run's key, from which its random streams grow.
        classes: K.
        batch_size: images in a batch.
        source: the source network's weights by name (``E.conv.weight``, ...).
        device: where to train.
        dtype: the type of weights and activations.
        workers: processes that load images; 0 for none beside this one.
        steps: the steps in the order in which they are trained.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    subset: NDArray[np.int64]
    key: int
    classes: int
    batch_size: int
    source: Mapping[str, Tensor]
    device: torch.device
    dtype: torch.dtype
    workers: int
    steps: Iterable[int]

    def batches(self, draws: Iterable[Draw], stream: str = "batches") -> Iterator[Batch]:
        """Load the batches of some draws, one after the other."""
        sampler = DrawnBatches(self.labels, self.subset, self.key, self.batch_size, draws, stream)
        pictures = Pictures(self.pixels, self.labels, self.dtype)
        for x, y in DataLoader(pictures, batch_sampler=sampler, num_workers=self.workers):
            yield x.to(self.device), y.to(self.device)

    def all_images(self, per_class: int = 0) -> Iterator[Batch]:
        """Load the run's images once, all or the first of each class."""
        chosen = self.subset
        if per_class:
            own = self.labels[self.subset]
            chosen = np.concatenate(
                [self.subset[own == c][:per_class] for c in range(self.classes)]
            )
        pictures = Pictures(self.pixels, self.labels, self.dtype)
        for x, y in DataLoader(pictures, batch_size=500, sampler=chosen.tolist()):
            yield x.to(self.device), y.to(self.device)

    def network(self, make: Callable[[], N], name: str) -> N:
        """Make a network with the run's own random weights."""
        made: Any = seeded(make, self.key, name)
        return made.to(self.device, self.dtype)

    def lenet(self, bounded: bool = False, cosine: bool = False) -> tuple[Extractor, Classifier]:
        """Make E and C with random weights."""
        extractor = self.network(Extractor, "E")
        return extractor, self.network(lambda: Classifier(self.classes, bounded, cosine), "C")

    def source_lenet(
        self, bounded: bool = False, cosine: bool = False
    ) -> tuple[Extractor, Classifier]:
        """Make E and C with the source's weights; a head of cosines keeps its own."""
        networks = self.lenet(bounded, cosine)
        for letter, network in zip("EC", networks, strict=True):
            state = network.state_dict()
            taken = [n for n in state if not (cosine and n.startswith("head."))]
            network.load_state_dict({**state, **{n: self.source[f"{letter}.{n}"] for n in taken}})
        return networks

    def first_lenet(self, init: str, cosine: bool = False) -> tuple[Extractor, Classifier]:
        """Make E and C with random weights, or with the source's."""
        make = self.source_lenet if init == "source" else self.lenet
        return make(cosine=cosine)

    def counts(self) -> list[int]:
        """Return how many images of each class the run may see."""
        return [int(n) for n in np.bincount(self.labels[self.subset], minlength=self.classes)]

    def tensor(self, values: list[float]) -> Tensor:
        """Return numbers as a tensor."""
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    def uniform(
        self, name: str, draw: int, shape: tuple[int, ...], low: float = 0, high: float = 1
    ) -> Tensor:
        """Draw numbers of the run's stream ``name``, uniform from low to high."""
        drawn = uniform(self.key, name, draw, shape, self.dtype, low, high)
        return drawn.to(self.device)

    def random_labels(self, draw: int) -> Tensor:
        """Draw labels (B,), uniform over the classes."""
        drawn = integers(self.key, "generated labels", draw, (self.batch_size,))
        return torch.from_numpy(drawn % self.classes).to(self.device)
