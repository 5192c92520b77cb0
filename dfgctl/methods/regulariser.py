"""DELTA's regulariser: feature maps stay near the source network's, weighed by channel (F18)."""

import torch
from torch import Tensor

from dfgctl.attention import ablation_gaps, channel_weights
from dfgctl.losses import feature_distance, head_penalty
from dfgctl.methods.base import Context, frozen_source
from dfgctl.pack import Replicated
from dfgctl.settings import RegSettings


class Regulariser:
    """The terms that DELTA adds to the losses of E and of C.

    Args:
        context: the pack.
        settings: the section ``reg``.
    """

    def __init__(self, context: Context, settings: RegSettings) -> None:
        self.settings = settings
        self.E_S, self.C_S = frozen_source(context, settings)
        self._head = context.backbone.head
        layers = (
            f"E.{context.backbone.filter_layer}",
            *(f"C.{name}" for name in context.backbone.map_layers),
        )
        batches = context.batches.renamed("channel weights")
        draws = [batches.draw(i, 0) for i in range(settings.weight_batches)]
        x, y = (torch.cat(parts, dim=1) for parts in zip(*draws, strict=True))
        with torch.no_grad():
            self._weights = [
                channel_weights(
                    ablation_gaps(self.E_S, self.C_S, layer, x, y), settings.temperature
                )
                for layer in layers
            ]

    @torch.no_grad()
    def source_maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the source makes of images: E_S's output, then C_S's compared maps."""
        features = self.E_S(images)
        _, *maps = self.C_S(features, maps=True)
        return (features, *maps)

    def extractor_term(self, features: Tensor, source_maps: tuple[Tensor, ...]) -> Tensor:
        """Weighted distance of E's output from E_S's (F19), (R,)."""
        distance = feature_distance(features, source_maps[0], self._weights[0])
        return self.settings.alpha * distance

    def classifier_term(
        self, classifier: Replicated, maps: tuple[Tensor, ...], source_maps: tuple[Tensor, ...]
    ) -> Tensor:
        """Weighted distance of C's compared maps from C_S's, and the head's L2 term, (R,)."""
        term = self.settings.beta * head_penalty(
            classifier.tensor(f"{self._head}.weight"), classifier.tensor(f"{self._head}.bias")
        )
        for target, source, weights in zip(maps, source_maps[1:], self._weights[1:], strict=True):
            term = term + self.settings.alpha * feature_distance(target, source, weights)
        return term
