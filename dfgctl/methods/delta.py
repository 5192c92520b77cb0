"""``delta``: fine-tuning whose feature maps stay near the source's (DELTA, Li et al. 2019)."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, Schedule, optimizer, source_networks
from dfgctl.methods.regulariser import Regulariser
from dfgctl.pack import descend
from dfgctl.settings import DeltaSettings, RegSettings


class Delta(Method[DeltaSettings]):
    """DELTA: cross-entropy + alpha * feature distance + beta * 1/2 ||head||^2.

    The distance is taken at E's output and at the layers of F19, weighed by channel (F18). On
    ResNet-50 it is taken as its authors' code does: at the last convolution of all four blocks.

    Departures: F17, F18, F19, F22; F09, F14, F16, F19, F27 and F29 can be read both ways.
    """

    name = "delta"
    title = "DELTA"
    Settings = DeltaSettings
    sections = ("reg",)

    def __init__(self, context: Context, settings: DeltaSettings, reg: RegSettings) -> None:
        self.batches, self.clock = context.batches, context.clock
        self.E, self.C = source_networks(context)
        self.regulariser = Regulariser(
            context, reg, convolutions=bool(context.backbone.extractor_maps)
        )
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)

    def phase(self, step: int) -> Hashable:
        """Return the stage of the rates: all else is the same in all steps."""
        return self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        self.schedule.at(step)
        x, y = self.batches.draw(self.clock.at(step), 0)
        source_maps = self.regulariser.source_maps(x)
        features, compared = self.regulariser.extract(self.E, x)
        logits, *maps = self.C(features, maps=True)
        entropy = cross_entropy(logits, y)
        omega = self.regulariser.extractor_term(compared, source_maps)
        omega = omega + self.regulariser.classifier_term(self.C, tuple(maps), source_maps)
        descend(self.optimizers, entropy + omega)
        return {"loss": entropy.detach(), "omega": omega.detach()}
