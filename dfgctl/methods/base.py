"""What every method is given, what it must do, and the networks that methods start from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from dfgctl.data.batches import Batches
from dfgctl.losses import cross_entropy
from dfgctl.networks.backbones import Backbone, seeded
from dfgctl.pack import Replicated, descend
from dfgctl.settings import RegSettings, Section

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class SourceWeights:
    """A source network: its parameters by name (``E.conv.weight``, ...) and number of classes."""

    state: Mapping[str, Tensor]
    classes: int

    def part(self, part: str) -> dict[str, Tensor]:
        """Return the parameters of ``E`` or ``C``."""
        prefix = f"{part}."
        return {n.removeprefix(prefix): t for n, t in self.state.items() if n.startswith(prefix)}


@dataclass(frozen=True)
class Context:
    """What a method is given to train a pack.

    Attributes:
        backbone: the network and its split.
        classes: K.
        run_keys: the runs' keys, R of them.
        batches: draws the pack's batches.
        source: the source network; None for a method that starts from random weights.
    """

    backbone: Backbone
    classes: int
    run_keys: tuple[int, ...]
    batches: Batches
    source: SourceWeights | None

    def place(self, networks: Replicated) -> Replicated:
        """Move networks to the device and type of the batches."""
        return networks.to(self.batches.images.pixels.device, self.batches.dtype)


class Method(ABC, Generic[S]):
    """A way to train a pack of classifiers.

    A subclass builds its networks in ``__init__``, E and C among them, and trains them in ``step``.
    """

    E: Replicated
    C: Replicated

    @abstractmethod
    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step.

        Args:
            step: 1 to the number of steps.

        Returns:
            Losses by name, each (R,) and without gradient.
        """

    def networks(self) -> dict[str, Replicated]:
        """Return the networks by the paper's letters."""
        return {"E": self.E, "C": self.C}

    def extra_state(self, replica: int) -> dict[str, Tensor]:
        """Return what else of a replica is worth keeping with its weights."""
        return {}

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return one replica's networks (``E.conv.weight``, ...) and its extra state."""
        state = {
            f"{letter}.{name}": tensor
            for letter, network in self.networks().items()
            for name, tensor in network.replica_state(replica).items()
        }
        return {**state, **self.extra_state(replica)}

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """Classify images (R, B, C, H, W): logits (R, B, K), by E and C in evaluation mode."""
        for network in (self.E, self.C):
            network.eval()
        logits: Tensor = self.C(self.E(images))
        for network in (self.E, self.C):
            network.train()
        return logits


def random_networks(context: Context) -> tuple[Replicated, Replicated]:
    """Return E and C with each run's own random weights (PyTorch's default initialisation)."""
    backbone = context.backbone
    extractor = [seeded(backbone.extractor, key, "E") for key in context.run_keys]
    classifier = [
        seeded(lambda: backbone.classifier(context.classes), key, "C") for key in context.run_keys
    ]
    return context.place(Replicated(extractor)), context.place(Replicated(classifier))


def source_networks(context: Context) -> tuple[Replicated, Replicated]:
    """Return E and C with the source's weights.

    The head stays random where the source has another number of classes (F22).
    """
    assert context.source is not None
    backbone = context.backbone
    extractor = [seeded(backbone.extractor, key, "E") for key in context.run_keys]
    classifier = [
        seeded(lambda: backbone.classifier(context.classes), key, "C") for key in context.run_keys
    ]
    keep_head = context.source.classes == context.classes
    for network in extractor:
        network.load_state_dict(context.source.part("E"))
    for network in classifier:
        own = network.state_dict()
        for name, tensor in context.source.part("C").items():
            if keep_head or not name.startswith(f"{backbone.head}."):
                own[name] = tensor
        network.load_state_dict(own)
    return context.place(Replicated(extractor)), context.place(Replicated(classifier))


def frozen_source(context: Context, reg: RegSettings) -> tuple[Replicated, Replicated]:
    """Return E_S and C_S for reference, able to classify the target's classes (F17).

    Where the source has another number of classes, a new head is trained alone on the target's
    training images, as DELTA's authors do: SGD (momentum 0.9, weight decay 1e-4) whose rate falls
    to a tenth in 6 epochs.
    """
    extractor, classifier = source_networks(context)
    assert context.source is not None
    if context.source.classes != context.classes:
        _train_head(context, reg, extractor, classifier)
    for network in (extractor, classifier):
        network.requires_grad_(False).eval()
    return extractor, classifier


def _train_head(
    context: Context, reg: RegSettings, extractor: Replicated, classifier: Replicated
) -> None:
    head = classifier.parameter_list(lambda name: name.startswith(f"{context.backbone.head}."))
    optimizer = torch.optim.SGD(head, lr=reg.head_lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1 ** (1 / 6))
    batches = context.batches.renamed("head batches")
    per_epoch = -(-batches.index.shape[1] // batches.batch_size)
    for epoch in range(reg.head_epochs):
        for i in range(per_epoch):
            x, y = batches.draw(epoch * per_epoch + i, 0)
            with torch.no_grad():
                features = extractor(x)
            descend(optimizer, cross_entropy(classifier(features), y))
        schedule.step()


def adam(networks: Replicated, lr: float, settings: Any, **only: Any) -> torch.optim.Adam:
    """Return Adam over a network's parameters with the settings' decay rates."""
    return torch.optim.Adam(
        networks.parameter_list(**only), lr=lr, betas=(settings.beta1, settings.beta2), fused=True
    )
