"""Batches of a pack: images at hand, one table of indices for each replica."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl.data.ahead import DRAWS_PER_STEP, Ahead, Waiting
from dfgctl.data.augment import centred, mirrored, randomly
from dfgctl.data.reading import Drawn, Swept
from dfgctl.data.views import VIEWS, View
from dfgctl.draws import Stream

DEVICE_BYTES = 4 * 2**30
"""Images larger than this are read from the host's memory (or its file cache) when needed."""

DEVICE_SHARE = 0.25
"""Share of a GPU's memory that training images, or test images, may take; else they stay too."""


def room_on(device: torch.device) -> int:
    """Return how many bytes of training images, or of test images, lie on a device."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * DEVICE_SHARE)
    return DEVICE_BYTES


@dataclass(frozen=True)
class Images:
    """Images: pixels (N, C, H, W) as uint8, labels (N,) on the device.

    The pixels of a large data set stay where they are, and only what is taken is moved.

    Attributes:
        pixels: the pixels.
        labels: the labels.
        ahead: reads pixels that are not on the device; None where they are.
    """

    pixels: Tensor
    labels: Tensor
    ahead: Ahead | None = None

    @classmethod
    def on(
        cls, device: torch.device, pixels: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> "Images":
        """Move arrays to a device, as far as they fit there."""
        held = torch.from_numpy(np.ascontiguousarray(pixels))
        on_device = torch.from_numpy(labels).to(device)
        if pixels.nbytes > room_on(device):
            return cls(held, on_device, Ahead(device))
        return cls(held.to(device), on_device)

    @property
    def device(self) -> torch.device:
        """Where images are taken to."""
        return self.labels.device

    @property
    def at_hand(self) -> bool:
        """Whether the pixels lie on the device."""
        return self.ahead is None

    def raw(self, index: Tensor | slice) -> Tensor:
        """Return pixels as they are stored, on the device."""
        if isinstance(index, Tensor):
            index = index.to(self.pixels.device)
        return self.pixels[index].to(self.device)

    def swept(
        self,
        index: Tensor | None,
        chunk: int,
        view: View | None = None,
        waiting: Waiting | None = None,
    ) -> Iterator[Tensor]:
        """Go through images once.

        Args:
            index: which of them each replica sees, (R, n); None for all images by all replicas.
            chunk: images of a replica at a time.
            view: pictures larger than its crop are cut to their middle; None for whole ones.
            waiting: measures how long the device waits; None to count it as draws are.

        Yields:
            Pixels as they are stored, on the device: (R, b, C, H, W), or (b, C, H, W) where all
            replicas see the same.
        """
        places = range(0, len(self.labels) if index is None else index.shape[1], chunk)
        if self.ahead is not None:
            held = None if index is None else index.cpu()
            source = Swept(self.pixels.numpy(), held, chunk, view.crop if view else None)
            for (pixels,) in self.ahead.each(source, places, waiting or self.ahead.waiting):
                yield pixels
            return
        for start in places:
            part = slice(start, start + chunk)
            pixels = self.raw(part if index is None else index[:, part])
            yield centred(pixels, view) if view else pixels

    @property
    def waited(self) -> float:
        """Seconds that the device waited for images that were drawn, or swept by ``Batches``."""
        return self.ahead.waiting.seconds if self.ahead else 0.0

    def close(self) -> None:
        """End the threads that read ahead, if there are any."""
        if self.ahead is not None:
            self.ahead.close()


def scaled(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring pixels from 0..255 to [-1, 1] (appendix A)."""
    return pixels.to(dtype) / 127.5 - 1


class Batches:
    """Draws the batches of a pack.

    A batch is drawn independently and with replacement, x ~ P_r as Algorithm 1 writes it, so that
    it depends on the run, the step and its number in the step alone; so do its crops and flips.

    Args:
        images: the training set that all replicas share.
        subsets: for each replica, indices of the images that it may see.
        run_keys: the runs' keys.
        batch_size: images in a batch.
        dtype: type of the images drawn.
        stream: names the stream; batches of different names are independent.
        view: how the network sees pictures.
    """

    def __init__(
        self,
        images: Images,
        subsets: Sequence[NDArray[np.int64]],
        run_keys: Sequence[int],
        batch_size: int,
        dtype: torch.dtype,
        stream: str = "batches",
        view: View = VIEWS["lenet5"],
    ) -> None:
        self.images = images
        self.subsets = subsets
        self.run_keys = run_keys
        self.batch_size = batch_size
        self.dtype = dtype
        self.stream = stream
        self.view = view
        self.device = images.device
        longest = max(len(s) for s in subsets)
        padded = np.stack([np.pad(s, (0, longest - len(s)), mode="edge") for s in subsets])
        sizes = torch.tensor([len(s) for s in subsets], device=self.device)
        self.index = torch.from_numpy(padded).to(self.device)  # (R, longest)
        self.real = torch.arange(longest, device=self.device) < sizes[:, None]  # (R, longest)
        self._sizes = sizes[:, None]
        self._stream = Stream(run_keys, stream, self.device)
        self._changes = Stream(run_keys, f"{stream} augmentation", self.device)
        self._by_class: tuple[Tensor, Tensor, Tensor] | None = None
        self._drawn: dict[bool, Drawn] = {}

    @property
    def count(self) -> int:
        """Images of the replica that has most."""
        return self.index.shape[1]

    def single(self, replica: int) -> "Batches":
        """Return the batches of one replica alone; its draws are the same."""
        part = slice(replica, replica + 1)
        return Batches(
            self.images,
            self.subsets[part],
            self.run_keys[part],
            self.batch_size,
            self.dtype,
            self.stream,
            self.view,
        )

    def renamed(self, stream: str) -> "Batches":
        """Return batches of the same images from another stream."""
        return Batches(
            self.images,
            self.subsets,
            self.run_keys,
            self.batch_size,
            self.dtype,
            stream,
            self.view,
        )

    def draw(self, step: int | Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Draw batch ``number`` of a step: images (R, B, C, H, W) in [-1, 1], labels (R, B).

        Args:
            step: the step; a tensor, (), int64, on the device draws the same (see ``Clock``).
            number: which of the step's batches.
        """
        return self._batch(self._place(step, number), balanced=False)

    def draw_balanced(self, step: int | Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Draw a batch whose classes are uniform over those that have images, like ``draw``."""
        return self._batch(self._place(step, number), balanced=True)

    def _batch(self, draw: int | Tensor, balanced: bool) -> tuple[Tensor, Tensor]:
        if self.images.ahead is not None:
            assert isinstance(draw, int)  # no recording reaches these images
            return self._read(self.images.ahead, draw, balanced)
        index = self._balanced(draw) if balanced else self._uniform(draw)
        return self._seen(index, draw), self.images.labels[index]

    def _uniform(self, draw: int | Tensor) -> Tensor:
        """Choose images, (R, B)."""
        position = self._stream.integers(draw, (self.batch_size,), self._sizes)
        return self.index.gather(1, position)

    def _balanced(self, draw: int | Tensor) -> Tensor:
        """Choose images, (R, B), of classes that are uniform over those that have images."""
        if self._by_class is None:
            self._by_class = self._sorted_by_class()
        index, starts, counts = self._by_class
        words = self._stream.integers(draw, (self.batch_size, 2), 2**62)
        present = (counts > 0).to(torch.int64)  # (R, K)
        which = words[..., 0] % present.sum(1, keepdim=True)  # the n-th class that has images
        label = (present.cumsum(1)[:, None, :] <= which[..., None]).sum(2)  # (R, B)
        position = starts.gather(1, label) + words[..., 1] % counts.gather(1, label)
        return index.gather(1, position)

    def class_counts(self, classes: int) -> Tensor:
        """Return the images of each class that each replica has, (R, K)."""
        hot = torch.nn.functional.one_hot(self.images.labels[self.index], classes)
        return (hot * self.real[:, :, None]).sum(1)

    @staticmethod
    def _place(step: int | Tensor, number: int) -> int | Tensor:
        """Return where in the stream a step's batch stands."""
        if number >= DRAWS_PER_STEP:
            raise ValueError(f"a step may draw {DRAWS_PER_STEP} batches, not {number + 1}")
        return step * DRAWS_PER_STEP + number

    def _seen(self, index: Tensor, draw: int | Tensor) -> Tensor:
        """Return images as a training step sees them."""
        pixels = self.images.raw(index)
        return scaled(randomly(pixels, self.view, self._changes, draw), self.dtype)

    def _read(self, ahead: Ahead, draw: int, balanced: bool) -> tuple[Tensor, Tensor]:
        """Return a batch whose pixels are not on the device."""
        if balanced not in self._drawn:
            self._drawn[balanced] = self._source(balanced)
        pixels, labels, *flipped = ahead.draw(self._drawn[balanced], draw)
        if flipped:
            pixels = mirrored(pixels, flipped[0])
        else:
            pixels = randomly(pixels, self.view, self._changes, draw)
        return scaled(pixels, self.dtype), labels

    def _source(self, balanced: bool) -> Drawn:
        """Return what is read for batches: they are chosen on the CPU, without the device."""
        images = Images(self.images.pixels, self.images.labels.cpu())
        twin = Batches(
            images, self.subsets, self.run_keys, self.batch_size, self.dtype, self.stream
        )
        return Drawn(
            twin._balanced if balanced else twin._uniform,
            images.pixels.numpy(),
            images.labels,
            (len(self.subsets), self.batch_size),
            self.view,
            twin._changes,
        )

    def _sorted_by_class(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return each replica's indices in the order of classes, and where each class lies."""
        counts = self.class_counts(int(self.images.labels.max()) + 1)
        labels = torch.where(self.real, self.images.labels[self.index], counts.shape[1])
        order = labels.argsort(dim=1, stable=True)
        return self.index.gather(1, order), counts.cumsum(1) - counts, counts

    def sweep(
        self, chunk: int, per_class: int = 0, shuffle: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Go through images once, unchanged but for a centre crop.

        Args:
            chunk: images of a replica at a time.
            per_class: images of each class at the most; 0 for all.
            shuffle: names the order in which the first of each class are chosen; None for the
                subset's own.

        Yields:
            Images (R, B, ...), labels (R, B), and which are real (R, B), since replicas may have
            different numbers.
        """
        index, real = self.index, self.real
        if shuffle is not None:
            order = Stream(self.run_keys, "sweep", self.device).words(shuffle, (self.count,))
            order = torch.where(real, order, torch.iinfo(torch.int64).max).argsort(1)
            index, real = index.gather(1, order), real.gather(1, order)
        if per_class:
            index, real = self._first_of_each_class(index, real, per_class)
        for i, pixels in enumerate(self.images.swept(index, chunk, self.view)):
            part = slice(i * chunk, (i + 1) * chunk)
            labels = self.images.labels[index[:, part]]
            yield scaled(pixels, self.dtype), labels, real[:, part]

    def _first_of_each_class(
        self, index: Tensor, real: Tensor, per_class: int
    ) -> tuple[Tensor, Tensor]:
        """Keep the first images of each class, moved together at the front."""
        one_hot = torch.nn.functional.one_hot(self.images.labels[index]) * real[:, :, None]
        rank = (one_hot.cumsum(1) * one_hot).sum(2)
        kept = real & (rank <= per_class)
        order = (~kept).to(torch.int8).argsort(dim=1, stable=True)
        longest = int(kept.sum(1).max())
        order = order[:, :longest]
        return index.gather(1, order), kept.gather(1, order)
