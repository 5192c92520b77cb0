"""``crt`` and ``smote``: plain training, then the head anew on features of a fixed network."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from imblearn.over_sampling import SMOTE
from torch import Tensor, nn

from dfgctl import seeding
from dfgctl.settings import CrtSettings, SmoteSettings
from plain.data import Draw
from plain.descent import adam, descend
from plain.given import Given
from plain.networks import Classifier
from plain.randomness import integers


class PlainCrt:
    """One run of ``crt``: in stage 2 the batches are class-balanced."""

    def __init__(self, given: Given, settings: CrtSettings | SmoteSettings) -> None:
        self.given, self.s = given, settings
        self.E, self.C = given.first_lenet(settings.init)
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C}
        self.adam_whole = adam([self.E, self.C], settings.lr, settings)
        self.adam_head = adam([self.C.head], settings.head_lr, settings)
        self.end_1 = min(round(settings.steps * settings.share_1), settings.steps - 1)
        self.batches = given.batches(self.draws(given.steps))

    def draws(self, steps: Iterable[int]) -> Iterator[Draw]:
        """Yield the batches of images that the steps use."""
        for step in steps:
            yield Draw(step, 0, balanced=step > self.end_1)

    def step(self, step: int) -> dict[str, float]:
        """Train one step of the stage that it falls in."""
        if step <= self.end_1:
            x, y = next(self.batches)
            loss = F.cross_entropy(self.C(self.E(x)), y)
            return {"loss": descend(self.adam_whole, loss)}
        if step == self.end_1 + 1:
            self.begin_head()
        features, y = self.draw_features(step)
        loss = F.cross_entropy(self.C.head(features), y)
        return {"loss_head": descend(self.adam_head, loss)}

    def begin_head(self) -> None:
        """Give the head its random weights."""
        first = self.given.network(lambda: Classifier(self.given.classes), "C")
        self.C.head.load_state_dict(first.head.state_dict())

    def draw_features(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw a batch, and see its features, (B, 84)."""
        x, y = next(self.batches)
        return self.features(x), y

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images."""
        return self.C.hidden(self.C.conv(self.E(x)))


class PlainSmote(PlainCrt):
    """One run of ``smote``: stage 2 draws from oversampled features."""

    s: SmoteSettings

    def draws(self, steps: Iterable[int]) -> Iterator[Draw]:
        """Yield the batches of images that the steps use: none in stage 2."""
        return (Draw(step, 0) for step in steps if step <= self.end_1)

    def begin_head(self) -> None:
        """Give the head its random weights, and oversample the features of all images."""
        super().begin_head()
        seen = [(self.features(x), y) for x, y in self.given.all_images()]
        features, labels = (torch.cat(parts).cpu() for parts in zip(*seen, strict=True))
        smote = SMOTE(
            k_neighbors=min(self.s.neighbours, min(self.given.counts()) - 1),
            random_state=seeding.substream(self.given.key, "smote") % 2**32,
        )
        found = smote.fit_resample(features.numpy(), labels.numpy())
        self.found, self.labels = (torch.from_numpy(part).to(self.given.device) for part in found)

    def draw_features(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw real and synthetic features alike."""
        chance = integers(self.given.key, "oversampled", step, (self.given.batch_size,))
        chosen = torch.from_numpy(chance % len(self.labels)).to(self.given.device)
        return self.found[chosen], self.labels[chosen]
