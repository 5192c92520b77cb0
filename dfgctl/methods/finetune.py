"""``finetune``: the source's network with all weights before the last convolution block fixed."""

import torch
from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, adam, source_networks
from dfgctl.pack import descend
from dfgctl.settings import FinetuneSettings


class Finetune(Method[FinetuneSettings]):
    """Traditional transfer learning (section 4.2): E is fixed, the rest of the network learns.

    Departures: F22.
    """

    def __init__(self, context: Context, settings: FinetuneSettings) -> None:
        self.batches = context.batches
        self.E, self.C = source_networks(context)
        self.E.requires_grad_(False)
        fixed = context.backbone.fixed_in_classifier
        self.optimizer = adam(
            self.C, settings.lr, settings, wanted=lambda name: not name.startswith(fixed)
        )

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        x, y = self.batches.draw(step, 0)
        with torch.no_grad():
            features = self.E(x)
        loss = cross_entropy(self.C(features), y)
        descend(self.optimizer, loss)
        return {"loss": loss.detach()}
