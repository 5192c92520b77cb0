"""``delta``: fine-tuning whose feature maps stay near the source's."""

import torch
import torch.nn.functional as F
from torch import nn

from dfgctl.settings import DeltaSettings, RegSettings
from plain.data import Draw
from plain.descent import descend
from plain.given import Given
from plain.regulariser import Regulariser


class PlainDelta:
    """One run of ``delta``."""

    def __init__(self, given: Given, settings: DeltaSettings, reg: RegSettings) -> None:
        self.E, self.C = given.source_lenet()
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.regulariser = Regulariser(given, reg)
        self.optimizer = torch.optim.Adam(
            [*self.E.parameters(), *self.C.parameters()],
            lr=settings.lr,
            betas=(settings.beta1, settings.beta2),
        )
        self.batches = given.batches(Draw(step, 0) for step in given.steps)

    def step(self, step: int) -> dict[str, float]:
        """Train one step."""
        x, y = next(self.batches)
        source_features, source_conv = self.regulariser.source_maps(x)
        features = self.E(x)
        conv = self.C.conv(features)
        entropy = F.cross_entropy(self.C.head(self.C.hidden(conv)), y)
        omega = self.regulariser.of_E(features, source_features)
        omega = omega + self.regulariser.of_C(conv, source_conv, self.C.head)
        descend(self.optimizer, entropy + omega)
        return {"loss": entropy.item(), "omega": omega.item()}
