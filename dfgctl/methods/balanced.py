"""``balanced``: plain training on batches in which all classes are equally likely."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, Schedule, first_networks, optimizer
from dfgctl.pack import descend
from dfgctl.settings import BalancedSettings


class Balanced(Method[BalancedSettings]):
    """Class-balanced sampling: each image's class is uniform over the classes, then the image.

    It is random oversampling without end, eq. 1 with q = 0 of Kang et al., "Decoupling
    representation and classifier for long-tailed recognition", ICLR 2020, in all steps.

    Departures: F22 from the source's weights; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "balanced"
    title = "Balanced batches"
    Settings = BalancedSettings
    needs_source = False

    def __init__(self, context: Context, settings: BalancedSettings) -> None:
        self.batches, self.clock = context.batches, context.clock
        self.E, self.C = first_networks(context, settings.init)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw_balanced(self.clock.at(step), 0)
        loss = cross_entropy(self.C(self.E(x)), y)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
