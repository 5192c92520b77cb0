"""DELTA's regulariser: feature maps stay near the source network's, weighed by channel (F18)."""

import torch
from torch import Tensor
from torch.nn.functional import relu

from dfgctl.attention import ablation_gaps, channel_weights
from dfgctl.losses import feature_distance, head_penalty
from dfgctl.methods.base import Context, frozen_source
from dfgctl.pack import Replicated
from dfgctl.settings import RegSettings

Maps = tuple[Tensor, ...]


class Regulariser:
    """The terms that DELTA adds to the losses of E and of C.

    Args:
        context: the pack.
        settings: the section ``reg``.
        convolutions: whether E is compared at its convolutions, as DELTA's authors do, instead of
            at its output.
        opposite: whether the weights of E's filters have the released code's sign (F01).
    """

    def __init__(
        self,
        context: Context,
        settings: RegSettings,
        convolutions: bool = False,
        opposite: bool = False,
    ) -> None:
        self.settings = settings
        self.convolutions = convolutions
        self.E_S, self.C_S = frozen_source(context, settings)
        backbone = context.backbone
        self._head = backbone.head
        self._after_relu = "F19" in context.readings and not backbone.extractor_maps
        inner = backbone.extractor_maps if convolutions else (backbone.filter_layer,)
        layers = [f"E.{name}" for name in inner] + [f"C.{name}" for name in backbone.map_layers]
        batches = context.batches.renamed("channel weights")
        draws = [batches.draw(i, 0) for i in range(settings.weight_batches)]
        x, y = (torch.cat(parts, dim=1) for parts in zip(*draws, strict=True))
        self._weights = []
        with torch.no_grad():
            for layer in layers:
                gaps = ablation_gaps(self.E_S, self.C_S, layer, x, y)
                sign = -1 if opposite and layer.startswith("E.") else 1
                self._weights.append(channel_weights(sign * gaps, settings.temperature))
        self._inner = len(inner)

    def extract(self, extractor: Replicated, images: Tensor) -> tuple[Tensor, Maps]:
        """Return an extractor's output, and what of it is compared."""
        if not self.convolutions:
            features: Tensor = extractor(images)
            return features, (features,)
        output, *convs = extractor(images, maps=True)
        return output, tuple(convs)

    @torch.no_grad()
    def source_maps(self, images: Tensor) -> tuple[Maps, Maps]:
        """Return what the source makes of images: E_S's compared maps, and C_S's."""
        features, inner = self.extract(self.E_S, images)
        _, *outer = self.C_S(features, maps=True)
        return inner, tuple(outer)

    def extractor_term(self, maps: Maps, source_maps: tuple[Maps, Maps]) -> Tensor:
        """Weighted distance of E's compared maps from E_S's (F19), (R,)."""
        return self._distance(maps, source_maps[0], self._weights[: self._inner])

    def classifier_term(
        self, classifier: Replicated, maps: Maps, source_maps: tuple[Maps, Maps]
    ) -> Tensor:
        """Weighted distance of C's compared maps from C_S's, and the head's L2 term, (R,)."""
        term = self.settings.beta * head_penalty(
            classifier.tensor(f"{self._head}.weight"), classifier.tensor(f"{self._head}.bias")
        )
        if not maps:
            return term
        if self._after_relu:
            maps = tuple(map(relu, maps))
            source_maps = (source_maps[0], tuple(map(relu, source_maps[1])))
        return term + self._distance(maps, source_maps[1], self._weights[self._inner :])

    def _distance(self, maps: Maps, source: Maps, weights: list[Tensor]) -> Tensor:
        parts = [feature_distance(*each) for each in zip(maps, source, weights, strict=True)]
        total: Tensor = self.settings.alpha * sum(parts[1:], start=parts[0])
        return total
