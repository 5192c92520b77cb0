"""``delta``: fine-tuning of all weights, with feature maps held near the source's (Li et al.)."""

from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, adam, source_networks
from dfgctl.methods.regulariser import Regulariser
from dfgctl.pack import descend
from dfgctl.settings import DeltaSettings, RegSettings


class Delta(Method[DeltaSettings]):
    """DELTA: cross-entropy + alpha * feature distance + beta * 1/2 ||head||^2.

    The distance is taken at E's output and at the layers of F19, weighed by channel (F18).

    Departures: F17, F18, F19, F22.
    """

    def __init__(self, context: Context, settings: DeltaSettings, reg: RegSettings) -> None:
        self.batches = context.batches
        self.E, self.C = source_networks(context)
        self.regulariser = Regulariser(context, reg)
        self.optimizers = [adam(self.E, settings.lr, settings), adam(self.C, settings.lr, settings)]

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        x, y = self.batches.draw(step, 0)
        source_maps = self.regulariser.source_maps(x)
        features = self.E(x)
        logits, *maps = self.C(features, maps=True)
        entropy = cross_entropy(logits, y)
        omega = self.regulariser.extractor_term(features, source_maps)
        omega = omega + self.regulariser.classifier_term(self.C, tuple(maps), source_maps)
        descend(self.optimizers, entropy + omega)
        return {"loss": entropy.detach(), "omega": omega.detach()}
