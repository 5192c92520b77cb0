"""``crt``: the representation on all images, then the classifier anew on balanced batches."""

from collections.abc import Hashable

from torch import Tensor

from dfgctl.methods.decoupled import Decoupled
from dfgctl.settings import CrtSettings


class Crt(Decoupled[CrtSettings]):
    """Kang et al., "Decoupling representation and classifier for long-tailed recognition", ICLR
    2020: classifier re-training (cRT, section 4).

    Stage 1 draws images uniformly (eq. 1 with q = 1), stage 2 classes uniformly (q = 0).

    Departures: stage 2 keeps its learning rate, where the paper has a cosine schedule; F22 from the
    source's weights; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "crt"
    title = "cRT"
    Settings = CrtSettings

    def phase(self, step: int) -> Hashable | None:
        """Return the stage; None where stage 2 begins."""
        return self.stage(step)

    def draw_features(self, now: int | Tensor) -> tuple[Tensor, Tensor]:
        """Draw a class-balanced batch of images, and see their features."""
        x, y = self.batches.draw_balanced(now, 0)
        return self.features(x), y
