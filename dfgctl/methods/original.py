"""``original``: the network trained on the target from random weights (section 4.2)."""

from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, adam, random_networks
from dfgctl.pack import descend
from dfgctl.settings import OriginalSettings


class Original(Method[OriginalSettings]):
    """Plain training with cross-entropy and Adam; no source.

    Departures: none known; the paper gives no settings for it, the recipe says whose it has.
    """

    def __init__(self, context: Context, settings: OriginalSettings) -> None:
        self.batches = context.batches
        self.E, self.C = random_networks(context)
        self.optimizers = [adam(self.E, settings.lr, settings), adam(self.C, settings.lr, settings)]

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step."""
        x, y = self.batches.draw(step, 0)
        loss = cross_entropy(self.C(self.E(x)), y)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}
