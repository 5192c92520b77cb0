"""Images one by one, and the batches that a run draws of them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from dfgctl.data.batches import DRAWS_PER_STEP
from plain.randomness import integers


class Draw(NamedTuple):
    """A batch: its step, its number in the step, and whether its classes are balanced."""

    step: int
    number: int
    balanced: bool = False


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images (1, 32, 32) in [-1, 1] and their labels.

    Args:
        pixels: (N, 1, 32, 32) in 0 to 255.
        labels: (N,).
        dtype: type of the images.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], dtype: torch.dtype
    ) -> None:
        self.pixels, self.labels, self.dtype = pixels, labels, dtype

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.pixels[index]).to(self.dtype) / 127.5 - 1
        return image, int(self.labels[index])


class DrawnBatches(Sampler[list[int]]):
    """Yields the indices of the images in each batch, drawn with replacement.

    Args:
        labels: the training set's labels, (N,).
        subset: indices of the images that the run may see, class by class.
        key: the run's key.
        batch_size: images in a batch.
        draws: the batches, in the order in which they are used.
        stream: names the random stream.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        subset: NDArray[np.int64],
        key: int,
        batch_size: int,
        draws: Iterable[Draw],
        stream: str,
    ) -> None:
        self.subset, self.key, self.batch_size = subset, key, batch_size
        self.draws, self.stream = draws, stream
        members = [subset[labels[subset] == c] for c in np.unique(labels[subset])]
        self.members = members

    def __iter__(self) -> Iterator[list[int]]:
        for draw in self.draws:
            place = draw.step * DRAWS_PER_STEP + draw.number
            if draw.balanced:
                yield self._balanced(place)
            else:
                chance = integers(self.key, self.stream, place, (self.batch_size,))
                yield self.subset[chance % len(self.subset)].tolist()

    def _balanced(self, place: int) -> list[int]:
        """Choose a class that has images, then one of its images."""
        chosen = []
        for which, position in integers(self.key, self.stream, place, (self.batch_size, 2)):
            members = self.members[which % 2**62 % len(self.members)]
            chosen.append(int(members[position % 2**62 % len(members)]))
        return chosen
