"""``cbloss``: the class-balanced loss, which weighs classes by their effective number of images."""

from collections.abc import Hashable
from math import log

import torch
from torch import Tensor

from dfgctl.methods.base import Context, Method, Schedule, first_networks, optimizer
from dfgctl.pack import descend
from dfgctl.rival_losses import effective_weights, focal_loss, weighted_cross_entropy
from dfgctl.settings import CbLossSettings


class CbLoss(Method[CbLossSettings]):
    """Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019.

    The losses of sections 4.1 (``loss`` softmax) and 4.3 (focal), each image's times its class's
    weight, (1 - beta) / (1 - beta^n_y). As there, the head's bias begins at -log(K - 1) for the
    focal loss, so that K sigmoids first give a chance of 1 / K each.

    Departures: no weight decay, as all methods here; F22 from the source's weights; F09, F14, F16,
    F27 and F29 can be read both ways.
    """

    name = "cbloss"
    title = "CB loss"
    Settings = CbLossSettings
    needs_source = False

    def __init__(self, context: Context, settings: CbLossSettings) -> None:
        self.settings = settings
        self.batches, self.clock = context.batches, context.clock
        self.E, self.C = first_networks(context, settings.init)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)
        counts, dtype = self.batches.class_counts(context.classes), self.batches.dtype
        self.class_weights = effective_weights(counts, settings.beta).to(dtype)  # (R, K)
        if settings.loss == "focal":
            with torch.no_grad():
                self.C.tensor(f"{context.backbone.head}.bias").fill_(-log(context.classes - 1))

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        logits = self.C(self.E(x))
        if self.settings.loss == "focal":
            loss = focal_loss(logits, y, self.class_weights, self.settings.gamma)
        else:
            loss = weighted_cross_entropy(logits, y, self.class_weights)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
