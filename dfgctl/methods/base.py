"""What every method is given, what it must do, and the networks that methods start from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from dfgctl.clock import Clock
from dfgctl.contenders import SOURCE
from dfgctl.data.batches import Batches
from dfgctl.ledger import PAPER_READINGS, Readings
from dfgctl.losses import cross_entropy
from dfgctl.networks.backbones import Backbone, seeded
from dfgctl.networks.weights import OWN_STREAM
from dfgctl.pack import Replicated, descend
from dfgctl.settings import RegSettings, Section, TrainingSettings

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
        readings: how the ledger's switches are read.
        first_batches: images behind the first filter weights, where they are others (F15).
        clock: tells which step a step's draws are those of.
    """

    backbone: Backbone
    classes: int
    run_keys: tuple[int, ...]
    batches: Batches
    source: SourceWeights | None
    readings: Readings = PAPER_READINGS
    first_batches: Batches | None = None
    clock: Clock = field(default_factory=Clock)

    def singles(self) -> list["Context"]:
        """Return the context of each run alone."""
        return [
            replace(self, run_keys=self.run_keys[r : r + 1], batches=self.batches.single(r))
            for r in range(len(self.run_keys))
        ]

    def place(self, networks: Replicated) -> Replicated:
        """Move networks to the device and type of the batches."""
        return networks.to(self.batches.device, self.batches.dtype)


class Method(ABC, Generic[S]):
    """A way to train a pack of classifiers.

    A subclass builds its networks in ``__init__(self, context, settings, *sections)``, E and C
    among them, which are those of ``context.backbone``, and trains them in ``step``. All tensors
    have a leading replica axis, (R, B, ...), and losses are one number a replica, (R,).

    A stopped run goes on from a checkpoint without any code of the method's: ``Replicated``
    networks, optimisers of their parameters, tensors (cut by replica where the first axis is as
    long as the pack), numbers, strings, and lists, tuples and dicts of these in its attributes are
    saved. What follows from the run and the step (context, settings, batches, streams, schedules)
    is made again by ``__init__``; gradients are not saved. Where an attribute holds anything else,
    a random generator say, or a global generator is drawn from, there are no checkpoints; the
    attributes that ``aside`` names are left to ``saved_aside`` and ``restore_aside``.

    Attributes:
        name: its id on the command line and in ``--set name.key=value``.
        title: its name in tables.
        Settings: its settings, each with a default where it is a method of one's own.
        sections: sections of the recipe that it reads beside its own, e.g. ``reg``.
        needs_source: whether it starts from a source network.
        bounded: whether C's head sees tanh of the last hidden layer.
        cosine: whether C's head compares directions alone.
        resumable: whether there are checkpoints.
        aside: attributes that the method saves by code of its own.
        E: the feature extractor.
        C: the feature classifier.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[TrainingSettings]]
    sections: ClassVar[tuple[str, ...]] = ()
    needs_source: ClassVar[bool] = True
    bounded: ClassVar[bool] = False
    cosine: ClassVar[bool] = False
    resumable: ClassVar[bool] = True
    aside: ClassVar[tuple[str, ...]] = ()

    E: Replicated
    C: Replicated

    @abstractmethod
    def __init__(self, context: Context, settings: S, *sections: Any) -> None:
        """Build the networks.

        Args:
            context: the pack.
            settings: the method's own settings.
            sections: the other sections that it reads, in the order of ``sections``.
        """

    def phase(self, step: int) -> Hashable | None:
        """Say which steps are alike; only where a class says it itself, not its parent.

        On a CUDA device one step stands for all of its phase: it is recorded, and later ones are
        done without a call of ``step``. So they must do the same work in the same memory, draw with
        ``context.clock.at(step)`` instead of the step's number, write what later steps need into
        tensors that there are, never look at a tensor's values, and leave nothing else behind.

        Returns:
            What steps of one phase have in common; None for a step that is always called.
        """
        return None

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

    def saved_aside(self, replica: int) -> dict[str, Any]:
        """Return one replica's part of ``aside`` by name; tensors have no replica axis."""
        return {}

    def restore_aside(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Set the attributes in ``aside``; all others are restored by then.

        Args:
            saved: for each replica what ``saved_aside`` returned, its tensors on the CPU.
        """

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
        self.training_mode()
        return logits

    def training_mode(self) -> None:
        """Set E and C to training mode, after an evaluation."""
        for network in (self.E, self.C):
            network.train()


def first_networks(context: Context, init: str) -> tuple[Replicated, Replicated]:
    """Return E and C with each run's own random weights, or with the source's (``init``)."""
    return source_networks(context) if init == SOURCE else random_networks(context)


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

    The head stays random where the source has another number of classes, and always on ResNet-50
    (F22).
    """
    assert context.source is not None
    backbone = context.backbone
    extractor = [seeded(backbone.extractor, key, "E") for key in context.run_keys]
    classifier = [
        seeded(lambda: backbone.classifier(context.classes), key, "C") for key in context.run_keys
    ]
    for network in extractor:
        network.load_state_dict(context.source.part("E"))
    for network in classifier:
        own = network.state_dict()
        for name, tensor in context.source.part("C").items():
            # A dropout's stream is the run's own, not the source's.
            if not name.endswith(OWN_STREAM) and not _new_head(context, name):
                own[name] = tensor
        network.load_state_dict(own)
    return context.place(Replicated(extractor)), context.place(Replicated(classifier))


def _new_head(context: Context, name: str) -> bool:
    """Say whether a parameter of C belongs to a head that is not the source's (F22)."""
    return not _keeps_head(context) and name.startswith(f"{context.backbone.head}.")


def _keeps_head(context: Context) -> bool:
    assert context.source is not None
    return context.backbone.keeps_head and context.source.classes == context.classes


def frozen_source(context: Context, reg: RegSettings) -> tuple[Replicated, Replicated]:
    """Return E_S and C_S for reference, able to classify the target's classes (F17).

    Where the source's head is not kept (F22), a new one is trained alone on the target's training
    images, as DELTA's authors do: SGD (momentum 0.9, weight decay 1e-4) whose rate falls to a tenth
    in 6 epochs. Each run's head is trained by itself, as its epochs depend on its own images.
    """
    if _keeps_head(context):
        extractor, classifier = source_networks(context)
    else:
        singles = [_with_new_head(single, reg) for single in context.singles()]
        extractor = context.place(Replicated([e.module for e, _ in singles]))
        classifier = context.place(Replicated([c.module for _, c in singles]))
    for network in (extractor, classifier):
        network.requires_grad_(False).eval()
    return extractor, classifier


def _with_new_head(context: Context, reg: RegSettings) -> tuple[Replicated, Replicated]:
    """Return one run's E_S and C_S with a new head, trained alone."""
    extractor, classifier = source_networks(context)
    for network in (extractor, classifier):
        network.eval()
    head = classifier.parameter_list(lambda name: name.startswith(f"{context.backbone.head}."))
    optimizer = torch.optim.SGD(head, lr=reg.head_lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1 ** (1 / 6))
    batches = context.batches.renamed("head batches")
    per_epoch = -(-batches.count // batches.batch_size)
    for epoch in range(reg.head_epochs):
        for i in range(per_epoch):
            x, y = batches.draw(epoch * per_epoch + i, 0)
            with torch.no_grad():
                features = extractor(x)
            descend(optimizer, cross_entropy(classifier(features), y))
        schedule.step()
    return extractor, classifier


Wanted = Callable[[str], bool]


def adam(
    networks: Replicated, lr: float, settings: Any, wanted: Wanted | None = None
) -> torch.optim.Adam:
    """Return Adam over a network's parameters, all or those that are wanted."""
    parameters, betas = networks.parameter_list(wanted), (settings.beta1, settings.beta2)
    made: Any = torch.optim.Adam(
        parameters, lr=lr, betas=betas, fused=True, capturable=_on_cuda(parameters)
    )
    # Steps outside of a recording cost nothing more: the fused kernel is the same.
    made._warned_capturable_if_run_uncaptured = True
    adam: torch.optim.Adam = made
    return adam


def optimizer(
    networks: Replicated, lr: float, settings: Any, wanted: Wanted | None = None
) -> torch.optim.Optimizer:
    """Return the settings' optimiser over a network's parameters, all or those that are wanted."""
    if settings.optimizer == "adam":
        return adam(networks, lr, settings, wanted)
    parameters = networks.parameter_list(wanted)
    fused = True if _on_cuda(parameters) else None
    return torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum, fused=fused)


def _on_cuda(parameters: Sequence[Tensor]) -> bool:
    return any(parameter.is_cuda for parameter in parameters)


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return labels (..., B) as rows of zeros and a one, (..., B, K).

    PyTorch's own looks at the labels' values on some devices, which would wait for the device.
    """
    return (labels[..., None] == torch.arange(classes, device=labels.device)).to(dtype)


class Schedule:
    """Learning rates that fall to a tenth after a step, as the step alone says.

    Args:
        decay_step: the last step at the full rates; 0 for no fall.
        optimizers: those that are changed.
    """

    def __init__(self, decay_step: int, *optimizers: torch.optim.Optimizer) -> None:
        self.decay_step = decay_step
        self._groups = [(group, group["lr"]) for o in optimizers for group in o.param_groups]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups whose rates it sets."""
        return [group for group, _ in self._groups] if self.decay_step else []

    def stage(self, step: int) -> bool:
        """Say whether the rates have fallen at a step; between, they stay the same."""
        return 0 < self.decay_step < step

    def at(self, step: int) -> None:
        """Set the rates of a step."""
        if self.decay_step:
            for group, rate in self._groups:
                group["lr"] = rate * 0.1 if self.stage(step) else rate
