"""``original``: plain training from random weights."""

import torch
import torch.nn.functional as F
from torch import nn

from dfgctl.settings import OriginalSettings
from plain.data import Draw
from plain.descent import descend
from plain.given import Given


class PlainOriginal:
    """One run of ``original``."""

    def __init__(self, given: Given, settings: OriginalSettings) -> None:
        self.E, self.C = given.lenet()
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.optimizer = torch.optim.Adam(
            [*self.E.parameters(), *self.C.parameters()],
            lr=settings.lr,
            betas=(settings.beta1, settings.beta2),
        )
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        loss = F.cross_entropy(self.C(self.E(x)), y)
        return {"loss": descend(self.optimizer, loss)}
