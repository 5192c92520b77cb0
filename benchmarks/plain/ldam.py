"""``ldam``: margins by class, and weights of the classes at the end."""

import torch.nn.functional as F
from torch import nn

from dfgctl.settings import LdamSettings
from plain.cbloss import effective_weights
from plain.data import Draw
from plain.descent import adam, descend
from plain.given import Given

SCALE = 30
"""What cosines are multiplied by."""


class PlainLdam:
    """One run of ``ldam``."""

    def __init__(self, given: Given, settings: LdamSettings) -> None:
        self.E, self.C = given.first_lenet(settings.init, cosine=True)
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.optimizer = adam([self.E, self.C], settings.lr, settings)
        counts = given.counts()
        margins = [settings.margin * (min(counts) / n) ** 0.25 for n in counts]
        self.margins = given.tensor(margins)
        self.weights = given.tensor(effective_weights(counts, settings.beta))
        self.end_1 = round(settings.steps * settings.share_1)
        self.classes = given.classes
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        cosines = self.C(self.E(x)) / SCALE
        less = F.one_hot(y, self.classes) * self.margins
        weights = self.weights if step > self.end_1 else None
        loss = F.cross_entropy(SCALE * (cosines - less), y, weight=weights)
        return {"loss": descend(self.optimizer, loss)}
