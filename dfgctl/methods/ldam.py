"""``ldam``: margins that are larger for rare classes, and weights of the classes at the end."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.methods.base import Context, Method, Schedule, first_networks, optimizer
from dfgctl.networks.heads import CosineHead
from dfgctl.pack import descend
from dfgctl.rival_losses import effective_weights, ldam_loss, ldam_margins
from dfgctl.settings import LdamSettings


class Ldam(Method[LdamSettings]):
    """LDAM-DRW: Cao et al., "Learning imbalanced datasets with label-distribution-aware margin loss
    and deferred re-weighting", NeurIPS 2019.

    The loss and the margins of section 3.2; after ``share_1`` of the steps (algorithm 1, DRW)
    also with class-balanced weights, as in the released code. As there, the last layer compares
    directions alone, and s is 30 (``CosineHead``).

    Departures: algorithm 1 lowers the learning rate where the weights begin; here it falls as the
    recipe says. F22: the head is never the source's. F09, F14, F16, F27 and F29 can be read both
    ways.
    """

    name = "ldam"
    title = "LDAM-DRW"
    Settings = LdamSettings
    needs_source = False
    cosine = True

    def __init__(self, context: Context, settings: LdamSettings) -> None:
        self.batches, self.clock = context.batches, context.clock
        self.end_1 = round(settings.steps * settings.share_1)
        self.E, self.C = first_networks(context, settings.init)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)
        counts, dtype = self.batches.class_counts(context.classes), self.batches.dtype
        self.margins = ldam_margins(counts, settings.margin).to(dtype)  # (R, K)
        self.class_weights = effective_weights(counts, settings.beta).to(dtype)  # (R, K)

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates, and whether classes are weighed."""
        return self.schedule.stage(step), step > self.end_1

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        weights = self.class_weights if step > self.end_1 else None
        loss = ldam_loss(self.C(self.E(x)), y, self.margins, CosineHead.SCALE, weights)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
