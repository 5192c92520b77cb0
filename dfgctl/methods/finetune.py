"""``finetune``: the source's network with all weights before the last convolution block fixed."""

from collections.abc import Hashable

import torch
from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, Schedule, optimizer, source_networks
from dfgctl.pack import descend
from dfgctl.settings import FinetuneSettings


class Finetune(Method[FinetuneSettings]):
    """Traditional transfer learning (section 4.2): the last convolution block and the head learn.

    What is fixed stays in evaluation mode, so that its batch norms' statistics are fixed too.

    Departures: F22; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "finetune"
    title = "Fine-tuning"
    Settings = FinetuneSettings

    def __init__(self, context: Context, settings: FinetuneSettings) -> None:
        self.batches, self.clock = context.batches, context.clock
        self.fixed = context.backbone.fixed_in_classifier
        self.E, self.C = source_networks(context)
        self.E.requires_grad_(False)
        self.optimizer = optimizer(
            self.C, settings.lr, settings, wanted=lambda name: not name.startswith(self.fixed)
        )
        self.schedule = Schedule(settings.lr_decay_step, self.optimizer)
        self.training_mode()

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        with torch.no_grad():
            features = self.E(x)
        loss = cross_entropy(self.C(features), y)
        descend(self.optimizer, loss)
        return {"loss": loss.detach()}

    def training_mode(self) -> None:
        """Set to training mode what learns."""
        self.E.eval()
        self.C.train()
        for prefix in self.fixed:
            self.C.module.get_submodule(prefix.removesuffix(".")).eval()
