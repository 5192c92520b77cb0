"""What a finished run left: its networks, and the pictures as they see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl.data.augment import centred
from dfgctl.data.batches import scaled
from dfgctl.data.views import View
from dfgctl.inference import Classifier, of_run, state_of
from dfgctl.records import Run

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Trained:
    """A run's networks, on the CPU.

    Attributes:
        run: the run.
        classifier: E and C, in evaluation mode.
        state: all weights of its file (``G.dense.weight``, ``W_star``, ...).
    """

    run: Run
    classifier: Classifier
    state: Mapping[str, Tensor]

    def part(self, letter: str) -> dict[str, Tensor]:
        """Return the weights of one network by their names in it; empty if it was not kept."""
        prefix = f"{letter}."
        return {n.removeprefix(prefix): t for n, t in self.state.items() if n.startswith(prefix)}

    def seen(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return loaded pictures (N, C, H, W) as the run was tested on them, in [-1, 1] (F29)."""
        held = torch.from_numpy(np.array(pixels))
        card = self.classifier.card
        cut = centred(held, View(card.channels, held.shape[-1], card.crop, 0, False))
        return scaled(cut, torch.float32)


def trained(run: Run, weights: Path, classes: tuple[str, ...]) -> Trained:
    """Read what a finished run left.

    Args:
        run: the run.
        weights: the file of its newest finished attempt.
        classes: the classes' names.

    Raises:
        InputError: its weights are not there, or broken.
    """
    return Trained(run, of_run(run, weights, classes), state_of(run, weights))
