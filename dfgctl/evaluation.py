"""Classifies the test and validation images of a pack in training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl import metrics
from dfgctl.data.ahead import Waiting
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Images, scaled
from dfgctl.data.views import View
from dfgctl.ledger import Readings
from dfgctl.losses import sample_cross_entropy
from dfgctl.numerics import numerics

Classify = Callable[[Tensor], Tensor]
"""Images (R, B, C, H, W) to logits (R, B, K)."""


class Evaluator:
    """The images that a pack is evaluated on.

    Args:
        data: the target data set.
        images: its training images, on the device.
        validation: which of them each replica holds out; empty without a validation share.
        replicas: R.
        classes: K.
        chunk: images of a replica at a time.
        view: how the network sees pictures.
        readings: how the ledger's switches are read.
        dtype: the type of the images that the network is given.
        blind: whether held-out images stand for the test images, which are not looked at.

    Attributes:
        waiting: how long evaluations waited for images.
    """

    def __init__(
        self,
        data: ImageArrays,
        images: Images,
        validation: Sequence[NDArray[np.int64]],
        replicas: int,
        classes: int,
        chunk: int,
        view: View,
        readings: Readings,
        dtype: torch.dtype,
        blind: bool = False,
    ) -> None:
        self.images = images
        self.device = images.device
        known = slice(0) if blind else slice(None)
        self.test = Images.on(self.device, data.test[known], data.test_labels[known])
        self.test_seen = None if blind else data.test_seen
        self.validation, self.blind = validation, blind
        self.waiting = Waiting(self.device)
        self.replicas, self.classes, self.chunk = replicas, classes, chunk
        self.view, self.readings, self.dtype = view, readings, dtype

    @contextmanager
    def only(self, chunks: int) -> Iterator[float]:
        """Look at no more than so many chunks of test and of held-out images meanwhile.

        Args:
            chunks: the chunks, at least 1.

        Yields:
            Their share of all images that an evaluation goes through, in (0, 1].
        """
        test, validation, whole = self.test, self.validation, self._images()
        most = chunks * self.chunk
        self.test = replace(test, pixels=test.pixels[:most], labels=test.labels[:most])
        self.validation = [held_out[:most] for held_out in validation]
        try:
            yield self._images() / whole
        finally:
            self.test, self.validation = test, validation

    def _images(self) -> int:
        """Return how many images of a replica an evaluation goes through."""
        return len(self.test.labels) + max((len(v) for v in self.validation), default=0)

    def tested(self, classify: Classify) -> tuple[Tensor, Tensor]:
        """Count the test images, (R, K, K), and take their mean loss, (R,); see ``_confusion``."""
        if self.blind:
            return self._confusion(classify, self.images, self._held_out())
        return self._confusion(classify, self.test, None)

    def validation_accuracies(self, classify: Classify) -> list[float]:
        """Balanced accuracy of each replica on its own held-out images; empty without any."""
        if not self.validation:
            return []
        confusion, _ = self._confusion(classify, self.images, self._held_out())
        return [metrics.balanced_accuracy(m) for m in confusion.cpu().numpy()]

    def _held_out(self) -> Tensor:
        """Return which images each replica holds out, (R, N), padded by repeating the last."""
        longest = max(len(v) for v in self.validation)
        padded = np.stack([np.pad(v, (0, longest - len(v)), mode="edge") for v in self.validation])
        return torch.from_numpy(padded).to(self.device)

    def unseen_accuracies(self, classify: Classify) -> list[float] | None:
        """Test accuracies where the source never trained; None if that is everywhere or nowhere."""
        if self.test_seen is None or not 0 < self.test_seen.sum() < len(self.test_seen):
            return None
        index = torch.from_numpy(np.flatnonzero(~self.test_seen)).to(self.device)
        confusion, _ = self._confusion(classify, self.test, index.expand(self.replicas, -1))
        return [float(m.diagonal().sum() / m.sum()) for m in confusion.cpu().numpy()]

    @torch.no_grad()
    def _confusion(
        self, classify: Classify, images: Images, index: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Count true class by predicted class, (R, K, K), and take the mean loss, (R,).

        Args:
            classify: classifies.
            images: the images.
            index: which of them each replica sees, (R, N), padded by repeating the last; None for
                all images by all replicas.
        """
        replicas, k = self.replicas, self.classes
        count = len(images.labels) if index is None else index.shape[1]
        view = None if "F29" in self.readings else self.view
        confusion = torch.zeros(replicas, k * k, dtype=torch.int64, device=self.device)
        loss = torch.zeros(replicas, dtype=torch.float64, device=self.device)
        chunk = self.chunk
        fresh = None if index is None else self._first_of(index)
        for i, pixels in enumerate(images.swept(index, chunk, view, self.waiting)):
            part = slice(i * chunk, (i + 1) * chunk)
            x = scaled(pixels, self.dtype)  # nothing is random (F29)
            if index is None:
                x = x.expand(replicas, *x.shape)
                y = images.labels[part].expand(replicas, -1)
                counted = torch.ones_like(y)
            else:
                y = images.labels[index[:, part]]
                assert fresh is not None
                counted = fresh[:, part].to(y.dtype)
            # In float32 whatever the training's precision: results are those of the weights.
            with numerics(self.device):
                logits = classify(x)
            confusion.scatter_add_(1, y * k + logits.argmax(2), counted)
            loss += (sample_cross_entropy(logits, y) * counted).double().sum(1)
        total = count if fresh is None else fresh.sum(1)
        return confusion.view(replicas, k, k), loss / total

    @staticmethod
    def _first_of(index: Tensor) -> Tensor:
        """Mark each entry that does not repeat the one before it (padding repeats the last)."""
        fresh = torch.ones_like(index, dtype=torch.bool)
        fresh[:, 1:] = index[:, 1:] != index[:, :-1]
        return fresh
