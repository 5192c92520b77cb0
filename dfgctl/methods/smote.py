"""``smote``: SMOTE in the space of the last features, then the classifier anew on what it gives."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl import seeding
from dfgctl.draws import Stream
from dfgctl.methods.base import Context
from dfgctl.methods.decoupled import Decoupled
from dfgctl.settings import SmoteSettings


class Smote(Decoupled[SmoteSettings]):
    """Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 2002.

    After stage 1 the last hidden layer's features of all training images, which are seen as in an
    evaluation, are oversampled by imbalanced-learn's SMOTE until every class is as large as the
    largest; the head then learns from batches drawn uniformly from all of them.

    Departures: the paper resamples what a decision tree or a rule learner is given, not a network's
    features. F22 from the source's weights; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "smote"
    title = "SMOTE"
    Settings = SmoteSettings
    aside = ("oversampled",)

    def __init__(self, context: Context, settings: SmoteSettings) -> None:
        super().__init__(context, settings)
        self.stream = Stream(context.run_keys, "oversampled", self.batches.device)
        # Features (R, N, hidden), labels (R, N), and how many of them each run has, (R, 1).
        self.oversampled: tuple[Tensor, Tensor, Tensor] | None = None

    def phase(self, step: int) -> Hashable | None:
        """Return the stage; None where stage 2 begins."""
        return self.stage(step)

    def begin_head(self) -> None:
        """Give the head its random weights, and oversample."""
        super().begin_head()
        self._oversample()

    def draw_features(self, now: int | Tensor) -> tuple[Tensor, Tensor]:
        """Draw features, real and synthetic alike."""
        if self.oversampled is None:
            self._oversample()
        assert self.oversampled is not None
        features, labels, sizes = self.oversampled
        chosen = self.stream.integers(now, (self.batches.batch_size,), sizes)  # (R, B)
        drawn = features.gather(1, chosen[..., None].expand(-1, -1, features.shape[2]))
        return drawn, labels.gather(1, chosen)

    def _oversample(self) -> None:
        """Oversample each run's features alone; where there are some already, in their place."""
        seen = [
            (self.features(x).to(self.batches.dtype).cpu(), y.cpu(), real.cpu())
            for x, y, real in self.batches.sweep(self.context.backbone.evaluation_chunk)
        ]
        features, labels, real = (torch.cat(parts, dim=1) for parts in zip(*seen, strict=True))
        made = []
        for r, key in enumerate(self.context.run_keys):
            own = features[r][real[r]].numpy(), labels[r][real[r]].numpy()
            seed = seeding.substream(key, "smote") % 2**32
            made.append(oversampled(*own, self.settings.neighbours, seed))
        longest = max(len(y) for _, y in made)
        wide = [np.pad(x, ((0, longest - len(x)), (0, 0)), mode="edge") for x, _ in made]
        tall = [np.pad(y, (0, longest - len(y)), mode="edge") for _, y in made]
        found = (
            torch.from_numpy(np.stack(wide)),
            torch.from_numpy(np.stack(tall)),
            torch.tensor([[len(y)] for _, y in made]),
        )
        if self.oversampled is None:
            on_device = (part.to(self.batches.device) for part in found)
            x, y, sizes = on_device
            self.oversampled = x, y, sizes
        else:  # recordings of steps may know where they lie
            for held, part in zip(self.oversampled, found, strict=True):
                held.copy_(part)

    def saved_aside(self, replica: int) -> dict[str, Any]:
        """Say whether stage 2 has begun: its features follow from the network, which is fixed."""
        return {"begun": self.oversampled is not None}

    def restore_aside(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Oversample once more where stage 2 had begun."""
        if all(own["begun"] for own in saved):
            self._oversample()


def oversampled(
    features: NDArray[Any], labels: NDArray[np.int64], neighbours: int, seed: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Oversample features by SMOTE until every class has as many as the largest.

    A class with too few images for its neighbours has all its others as neighbours; one with a
    single image is repeated, as SMOTE needs two.

    Args:
        features: (n, hidden); left as they are where one is not finite.
        labels: (n,).
        neighbours: k.
        seed: of the synthetic ones.

    Returns:
        The features, real ones first, and their labels.
    """
    from imblearn.over_sampling import SMOTE, RandomOverSampler  # late: scikit-learn takes seconds

    counts = np.bincount(labels)
    wanted: dict[int, dict[int, int]] = {}  # by how many neighbours: class to number
    for label in np.flatnonzero((counts > 0) & (counts < counts.max())):
        k = min(neighbours, int(counts[label]) - 1)
        wanted.setdefault(k, {})[int(label)] = int(counts.max())
    if not np.isfinite(features).all():  # a run that diverged: its losses will say so
        return features, labels
    for k, numbers in sorted(wanted.items(), reverse=True):
        sampler = (
            SMOTE(sampling_strategy=numbers, k_neighbors=k, random_state=seed)
            if k
            else RandomOverSampler(sampling_strategy=numbers, random_state=seed)
        )
        features, labels = sampler.fit_resample(features, labels)
    return features, labels
