"""``logitadjust``: training with logits that are shifted by the classes' log frequencies."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.methods.base import Context, Method, Schedule, first_networks, optimizer
from dfgctl.pack import descend
from dfgctl.rival_losses import adjusted_cross_entropy, log_priors
from dfgctl.settings import LogitAdjustSettings


class LogitAdjust(Method[LogitAdjustSettings]):
    """Menon et al., "Long-tail learning via logit adjustment", ICLR 2021: the loss of eq. 10.

    The logits are shifted in the loss alone; what classifies are the plain ones. (The paper's other
    way, eq. 9, shifts those of a network that was trained plainly.)

    Departures: F22 from the source's weights; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "logitadjust"
    title = "Logit adjustment"
    Settings = LogitAdjustSettings
    needs_source = False

    def __init__(self, context: Context, settings: LogitAdjustSettings) -> None:
        self.settings = settings
        self.batches, self.clock = context.batches, context.clock
        self.E, self.C = first_networks(context, settings.init)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)
        counts = self.batches.class_counts(context.classes)
        self.priors = log_priors(counts).to(self.batches.dtype)  # (R, K)

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        loss = adjusted_cross_entropy(self.C(self.E(x)), y, self.priors, self.settings.tau)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
