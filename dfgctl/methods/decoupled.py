"""What ``crt`` and ``smote`` share: the representation first, and then its head anew, alone."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, Schedule, first_networks, optimizer
from dfgctl.networks.backbones import seeded
from dfgctl.pack import descend
from dfgctl.settings import CrtSettings, SmoteSettings

S = TypeVar("S", bound=CrtSettings | SmoteSettings)


class Decoupled(Method[S]):
    """Two stages, as Kang et al. 2020 decouple representation and classifier.

    1. The whole network is trained plainly, on images as they are.
    2. The head begins anew from its random weights, also where its first ones were the source's;
       all else is fixed, in evaluation mode, batch norms' statistics and all.

    Stage 1 takes its share of all steps, stage 2 the rest, at least one.
    """

    needs_source = False

    def __init__(self, context: Context, settings: S) -> None:
        self.context, self.settings = context, settings
        self.batches, self.clock = context.batches, context.clock
        self.head = context.backbone.head
        self.end_1 = min(round(settings.steps * settings.share_1), settings.steps - 1)
        self.E, self.C = first_networks(context, settings.init)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]
        self.schedule = Schedule(settings.lr_decay_step, *self.optimizers)
        self.head_optimizer = optimizer(
            self.C, settings.head_lr, settings, wanted=lambda name: name.startswith(f"{self.head}.")
        )

    def stage(self, step: int) -> Hashable | None:
        """Return a step's stage, in stage 1 with that of the rates; None where stage 2 begins."""
        if step <= self.end_1:
            return 1, self.schedule.stage(step)
        return None if step == self.end_1 + 1 else 2

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step of the stage that it falls in."""
        now = self.clock.at(step)
        if step <= self.end_1:
            self.schedule.at(step)
            x, y = self.batches.draw(now, 0)
            loss = cross_entropy(self.C(self.E(x)), y)
            descend(self.optimizers, loss)
            return {"loss": loss.detach()}
        if step == self.end_1 + 1:
            self.begin_head()
        features, y = self.draw_features(now)
        loss = cross_entropy(self.classified(features), y)
        descend(self.head_optimizer, loss)
        return {"loss_head": loss.detach()}

    @torch.no_grad()
    def begin_head(self) -> None:
        """Give the head its random weights."""
        for name, tensor in random_head(self.context).items():
            self.C.tensor(f"{self.head}.{name}").copy_(tensor)

    @abstractmethod
    def draw_features(self, now: int | Tensor) -> tuple[Tensor, Tensor]:
        """Draw what the head learns from: features (R, B, hidden) and labels (R, B)."""

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images in evaluation mode, (R, B, hidden)."""
        for network in (self.E, self.C):
            network.eval()
        _, hidden = self.C(self.E(x), hidden=True)
        self.training_mode()
        features: Tensor = hidden
        return features

    def classified(self, features: Tensor) -> Tensor:
        """Classify features by the head alone: logits (R, B, K)."""
        weight = self.C.tensor(f"{self.head}.weight")  # (R, K, hidden)
        bias = self.C.tensor(f"{self.head}.bias")
        return features @ weight.transpose(1, 2) + bias[:, None]


def random_head(context: Context) -> Mapping[str, Tensor]:
    """Return the weights that each run's head has before training, by name, each (R, ...)."""
    backbone = context.backbone
    heads = [
        seeded(lambda: backbone.classifier(context.classes), key, "C")
        .get_submodule(backbone.head)
        .state_dict()
        for key in context.run_keys
    ]
    return {name: torch.stack([own[name] for own in heads]) for name in heads[0]}
