"""Batches of a pack: images on the device, one table of indices for each replica."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl.draws import Stream

DRAWS_PER_STEP = 64
"""Batches that one training step may draw from the ``batches`` stream."""


@dataclass(frozen=True)
class Images:
    """Images on the device: pixels (N, C, H, W) as uint8 and labels (N,)."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def on(
        cls, device: torch.device, pixels: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> "Images":
        """Move arrays to a device."""
        return cls(
            torch.from_numpy(np.ascontiguousarray(pixels)).to(device),
            torch.from_numpy(labels).to(device),
        )

    def take(self, index: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return images in [-1, 1] and labels at indices of any shape."""
        return scaled(self.pixels[index], dtype), self.labels[index]


def scaled(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring pixels from 0..255 to [-1, 1] (appendix A)."""
    return pixels.to(dtype) / 127.5 - 1


class Batches:
    """Draws the batches of a pack.

    A batch is drawn independently and with replacement, x ~ P_r as Algorithm 1 writes it, so that
    it depends on the run, the step and its number in the step alone.

    Args:
        images: the training set that all replicas share.
        subsets: for each replica, indices of the images that it may see.
        run_keys: the runs' keys.
        batch_size: images in a batch.
        dtype: type of the images drawn.
        stream: names the stream; batches of different names are independent.
    """

    def __init__(
        self,
        images: Images,
        subsets: Sequence[NDArray[np.int64]],
        run_keys: Sequence[int],
        batch_size: int,
        dtype: torch.dtype,
        stream: str = "batches",
    ) -> None:
        self.images = images
        self.subsets = subsets
        self.run_keys = run_keys
        self.batch_size = batch_size
        self.dtype = dtype
        device = images.pixels.device
        longest = max(len(s) for s in subsets)
        padded = np.stack([np.pad(s, (0, longest - len(s)), mode="edge") for s in subsets])
        sizes = torch.tensor([len(s) for s in subsets], device=device)
        self.index = torch.from_numpy(padded).to(device)  # (R, longest)
        self.real = torch.arange(longest, device=device) < sizes[:, None]  # (R, longest)
        self._sizes = sizes[:, None]
        self._stream = Stream(run_keys, stream, device)

    def renamed(self, stream: str) -> "Batches":
        """Return batches of the same images from another stream."""
        return Batches(
            self.images, self.subsets, self.run_keys, self.batch_size, self.dtype, stream
        )

    def draw(self, step: int, number: int) -> tuple[Tensor, Tensor]:
        """Draw batch ``number`` of a step: images (R, B, C, H, W) in [-1, 1], labels (R, B)."""
        if number >= DRAWS_PER_STEP:
            raise ValueError(f"a step may draw {DRAWS_PER_STEP} batches, not {number + 1}")
        position = self._stream.integers(
            step * DRAWS_PER_STEP + number, (self.batch_size,), self._sizes
        )
        return self.images.take(self.index.gather(1, position), self.dtype)

    def sweep(self, chunk: int, per_class: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Go through all images once: images, labels, and which are real, as (R, B, ...).

        Args:
            chunk: images of a replica at a time.
            per_class: images of each class at the most; 0 for all.
        """
        real = self.real
        if per_class:
            labels = self.images.labels[self.index]
            one_hot = torch.nn.functional.one_hot(labels) * real[:, :, None]
            rank = (one_hot.cumsum(1) * one_hot).sum(2)
            real = real & (rank <= per_class)
        for start in range(0, self.index.shape[1], chunk):
            part = slice(start, start + chunk)
            if bool(real[:, part].any()):
                x, y = self.images.take(self.index[:, part], self.dtype)
                yield x, y, real[:, part]
