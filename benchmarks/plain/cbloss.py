"""``cbloss``: the class-balanced loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.settings import CbLossSettings
from plain.data import Draw
from plain.descent import adam, descend
from plain.given import Given


class PlainCbLoss:
    """One run of ``cbloss``."""

    def __init__(self, given: Given, settings: CbLossSettings) -> None:
        self.s, self.classes = settings, given.classes
        self.E, self.C = given.first_lenet(settings.init)
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        if settings.loss == "focal":
            nn.init.constant_(self.C.head.bias, -math.log(given.classes - 1))
        self.optimizer = adam([self.E, self.C], settings.lr, settings)
        self.weights = given.tensor(effective_weights(given.counts(), settings.beta))
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        logits = self.C(self.E(x))
        if self.s.loss == "focal":
            loss = (self.weights[y] * self.focal(logits, y)).mean()
        else:
            loss = (self.weights[y] * F.cross_entropy(logits, y, reduction="none")).mean()
        return {"loss": descend(self.optimizer, loss)}

    def focal(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the focal loss of each image, (B,)."""
        p = torch.sigmoid(logits)
        p_t = torch.where(F.one_hot(y, self.classes).bool(), p, 1 - p)
        return -((1 - p_t) ** self.s.gamma * torch.log(p_t)).sum(1)


def effective_weights(counts: list[int], beta: float) -> list[float]:
    """Return each class's weight; they sum to the number of classes."""
    weights = [(1 - beta) / (1 - beta**n) for n in counts]
    return [w / sum(weights) * len(weights) for w in weights]
