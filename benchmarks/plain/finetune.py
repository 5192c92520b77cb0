"""``finetune``: from the source's weights, with E fixed."""

import torch
import torch.nn.functional as F
from torch import nn

from dfgctl.settings import FinetuneSettings
from plain.data import Draw
from plain.descent import descend
from plain.given import Given


class PlainFinetune:
    """One run of ``finetune``; LeNet-5's last convolution block is all of C."""

    def __init__(self, given: Given, settings: FinetuneSettings) -> None:
        self.E, self.C = given.source_lenet()
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.optimizer = torch.optim.Adam(
            self.C.parameters(), lr=settings.lr, betas=(settings.beta1, settings.beta2)
        )
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        loss = F.cross_entropy(self.C(self.E(x).detach()), y)
        return {"loss": descend(self.optimizer, loss)}
