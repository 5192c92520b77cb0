"""``balanced``: plain training on class-balanced batches."""

import torch.nn.functional as F
from torch import nn

from dfgctl.settings import BalancedSettings
from plain.data import Draw
from plain.descent import adam, descend
from plain.given import Given


class PlainBalanced:
    """One run of ``balanced``."""

    def __init__(self, given: Given, settings: BalancedSettings) -> None:
        self.E, self.C = given.first_lenet(settings.init)
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.optimizer = adam([self.E, self.C], settings.lr, settings)
        self.batches = given.batches(Draw(step, 0, balanced=True) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        loss = F.cross_entropy(self.C(self.E(x)), y)
        return {"loss": descend(self.optimizer, loss)}
