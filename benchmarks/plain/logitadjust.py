"""``logitadjust``: logits that are shifted in the loss."""

import math

import torch.nn.functional as F
from torch import nn

from dfgctl.settings import LogitAdjustSettings
from plain.data import Draw
from plain.descent import adam, descend
from plain.given import Given


class PlainLogitAdjust:
    """One run of ``logitadjust``."""

    def __init__(self, given: Given, settings: LogitAdjustSettings) -> None:
        self.E, self.C = given.first_lenet(settings.init)
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.optimizer = adam([self.E, self.C], settings.lr, settings)
        counts = given.counts()
        self.shift = given.tensor([settings.tau * math.log(n / sum(counts)) for n in counts])
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        loss = F.cross_entropy(self.C(self.E(x)) + self.shift, y)
        return {"loss": descend(self.optimizer, loss)}
