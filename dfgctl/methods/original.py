"""``original``: the network trained on the target from random weights (section 4.2)."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, Schedule, optimizer, random_networks
from dfgctl.pack import descend
from dfgctl.settings import OriginalSettings


class Original(Method[OriginalSettings]):
    """Plain training with cross-entropy; no source.

    The paper gives no settings for it; the recipe says whose it has.

    Departures: F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "original"
    title = "Original"
    Settings = OriginalSettings
    needs_source = False

    def __init__(self, context: Context, settings: OriginalSettings) -> None:
        self.batches, self.clock = context.batches, context.clock
        self.E, self.C = random_networks(context)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        loss = cross_entropy(self.C(self.E(x)), y)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
