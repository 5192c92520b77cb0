"""What is read of pictures that stay in the host's memory: batches, and chunks of a pass."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl.data.augment import crops, is_random
from dfgctl.data.views import View
from dfgctl.draws import Stream

Parts = tuple[Tensor, ...]
"""The tensors that one reading fills."""


class Source(Protocol):
    """Something whose readings are told apart by a number, and depend on nothing else.

    Readings are filled by several threads at once, so that ``fill`` changes nothing but its parts.
    """

    def empty(self, place: int, pinned: bool) -> Parts:
        """Return room for a reading, in memory that a GPU can copy from if ``pinned``."""
        ...

    def fill(self, place: int, parts: Parts) -> None:
        """Read."""
        ...


def gather(
    pixels: NDArray[np.uint8],
    index: NDArray[np.int64],
    corners: NDArray[np.int64] | None,
    out: NDArray[np.uint8],
) -> None:
    """Copy pictures, or a window of each, while other Python threads run.

    Args:
        pixels: (N, C, H, W).
        index: which pictures, (n,).
        corners: the upper row and left column of their windows, (n, 2); None for all of them.
        out: (n, C, h, w), filled; h and w are those of the windows.

    Raises:
        IndexError: there is no such picture.
    """
    if len(index) and not 0 <= index.min() <= index.max() < len(pixels):
        raise IndexError(f"there are {len(pixels)} pictures, not {index.max() + 1}")
    if corners is None:
        np.take(pixels, index, axis=0, out=out, mode="clip")  # "raise" would copy a second time
        return
    height, width = out.shape[2:]
    windows = zip(out, index.tolist(), *corners.T.tolist(), strict=True)
    for window, i, top, left in windows:
        window[...] = pixels[i, :, top : top + height, left : left + width]


def _empty(shape: tuple[int, ...], pixels: NDArray[np.uint8], pinned: bool) -> Tensor:
    """Return room for pictures (..., C, h, w)."""
    room = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
    if shape[-3] > 1:
        return room
    # Kernels are chosen by strides, and so is rounding: that of a single channel stays as it is.
    return room.as_strided(shape, (*room.stride()[:-3], pixels.strides[1], *room.stride()[-2:]))


class Drawn:
    """The batches of a pack that are drawn in one way; ``place`` is where in its stream.

    Its parts are pixels (R, B, C, h, w), labels (R, B) and, where pictures are cropped while they
    are read, which are to be mirrored (R, B). A crop of what is stored is a quarter less to move.

    Args:
        choose: returns the indices of a batch, (R, B), on the CPU.
        pixels: the images, (N, C, H, W).
        labels: their labels, (N,), on the CPU.
        shape: R and B.
        view: how the network sees pictures.
        changes: the stream of crops and flips, on the CPU.
    """

    def __init__(
        self,
        choose: Callable[[int], Tensor],
        pixels: NDArray[np.uint8],
        labels: Tensor,
        shape: tuple[int, int],
        view: View,
        changes: Stream,
    ) -> None:
        self.choose, self.pixels, self.labels, self.shape = choose, pixels, labels, shape
        self.view, self.changes = view, changes
        self.cropped = is_random(view) and view.padding == 0

    def empty(self, place: int, pinned: bool) -> Parts:
        """Return room for a batch."""
        sides = (self.view.crop,) * 2 if self.cropped else self.pixels.shape[2:]
        pictures = (*self.shape, self.pixels.shape[1], *sides)
        parts = (
            _empty(pictures, self.pixels, pinned),
            torch.empty(self.shape, dtype=torch.int64, pin_memory=pinned),
        )
        if not self.cropped:
            return parts
        return *parts, torch.empty(self.shape, dtype=torch.bool, pin_memory=pinned)

    def fill(self, place: int, parts: Parts) -> None:
        """Read a batch."""
        index = self.choose(place)
        corners = None
        if self.cropped:
            room = self.pixels.shape[-1] - self.view.crop + 1
            offset, mirrored = crops(self.view, self.changes, place, self.shape[1], room)
            parts[2].copy_(mirrored)
            corners = offset.flatten(0, 1).numpy()
        parts[1].copy_(self.labels[index])
        gather(self.pixels, index.flatten().numpy(), corners, parts[0].flatten(0, 1).numpy())


class Swept:
    """A pass over images, ``chunk`` of them from ``place`` on at a time.

    Its only part is pixels: (R, b, C, h, w), or (b, C, h, w) where all replicas see the same.

    Args:
        pixels: the images, (N, C, H, W).
        index: which each replica sees, (R, n), on the CPU; None for all of them by all.
        chunk: images of a replica at a time.
        crop: height and width of what is taken from the middle of larger pictures; None for all.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], index: Tensor | None, chunk: int, crop: int | None
    ) -> None:
        self.pixels, self.index, self.chunk = pixels, index, chunk
        side = pixels.shape[-1]
        self.edge = max(0, (side - crop) // 2) if crop is not None else 0
        self.sides = (crop, crop) if self.edge and crop is not None else pixels.shape[2:]

    def _chosen(self, place: int) -> Tensor:
        if self.index is not None:
            return self.index[:, place : place + self.chunk]
        return torch.arange(place, min(place + self.chunk, len(self.pixels)))

    def empty(self, place: int, pinned: bool) -> Parts:
        """Return room for a chunk."""
        shape = (*self._chosen(place).shape, self.pixels.shape[1], *self.sides)
        return (_empty(shape, self.pixels, pinned),)

    def fill(self, place: int, parts: Parts) -> None:
        """Read a chunk."""
        index = self._chosen(place).flatten().numpy()
        corners = np.full((len(index), 2), self.edge) if self.edge else None
        gather(self.pixels, index, corners, parts[0].view(len(index), *parts[0].shape[-3:]).numpy())
