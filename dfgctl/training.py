"""Trains one pack: steps, evaluations, and what is left at the end."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl import metrics, plugins, seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.augment import centred
from dfgctl.data.batches import Batches, Images, scaled
from dfgctl.data.imbalance import first_counts, subset, validation_counts
from dfgctl.data.views import VIEWS
from dfgctl.ledger import readings_of
from dfgctl.losses import sample_cross_entropy
from dfgctl.methods.base import Context, Method, SourceWeights
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.original import Original
from dfgctl.networks.backbones import Backbone, backbone
from dfgctl.pretraining import split_at
from dfgctl.records import Measurement, Metrics, RunSpec
from dfgctl.settings import SHARED_SECTIONS, Section, TrainingSettings

METHODS: Mapping[str, type[Method[Any]]] = {
    "original": Original,
    "finetune": Finetune,
    "delta": Delta,
    "difa": Difa,
    "dfg": Dfg,
}


@dataclass(frozen=True)
class Stepped:
    """A step is done."""

    step: int


@dataclass(frozen=True)
class Evaluated:
    """All replicas were evaluated; ``diverged`` ones have no measurement from here on."""

    step: int
    measurements: Mapping[int, Measurement]
    diverged: frozenset[int]


@dataclass(frozen=True)
class Done:
    """The pack is trained: metrics and weights of each replica that did not diverge."""

    metrics: Mapping[int, Metrics]
    weights: Mapping[int, Mapping[str, Tensor]]


Event = Stepped | Evaluated | Done


def train(
    specs: Sequence[RunSpec],
    class_counts: Sequence[Sequence[int]],
    data: ImageArrays,
    source: SourceWeights | None,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Generator[Event, None, None]:
    """Train runs of one group as a pack.

    Closing the iterator stops the training.

    Args:
        specs: the runs; they differ only in combination and seed.
        class_counts: images of each class that each run keeps.
        data: the target data set.
        source: the source network; None for a method that needs none.
        device: where to train.
        dtype: the type of weights and activations.

    Yields:
        An event after each step and each evaluation, and at the end ``Done``.
    """
    trainer = Trainer(specs, class_counts, data, source, device, dtype)
    yield trainer.evaluate(0)
    for step in range(1, trainer.steps + 1):
        trainer.step(step)
        yield Stepped(step)
        if step % trainer.eval_every == 0 or step == trainer.steps:
            yield trainer.evaluate(step)
            if trainer.all_diverged:
                break
    yield trainer.done()


def method_of(spec: RunSpec) -> type[Method[Any]]:
    """Return the class of a run's method, ours or one's own.

    Raises:
        InputError: one's own cannot be imported, or has changed since the run was planned.
    """
    if spec.method in METHODS:
        return METHODS[spec.method]
    found: type[Method[Any]] = plugins.load_for(spec.settings["code"])
    return found


def backbone_of(spec: RunSpec) -> Backbone:
    """Return the network that a run trains, split and read as it says.

    Raises:
        InputError: its method is one's own and cannot be imported, or has changed.
    """
    split = spec.settings.get("network", {}).get("split", "")
    return backbone(spec.backbone, split, readings_of(spec), method_of(spec).bounded)


def sections_of(spec: RunSpec) -> tuple[TrainingSettings, list[Section]]:
    """Return a run's settings: its method's own section, and the others that the method reads."""
    own, *others = plugins.sections_of(spec.settings, spec.method)
    main = method_of(spec).Settings.model_validate({**spec.settings[own], "steps": spec.steps})
    return main, [SHARED_SECTIONS[name].model_validate(spec.settings[name]) for name in others]


class Trainer:
    """The state of a pack in training; ``train`` drives it."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        class_counts: Sequence[Sequence[int]],
        data: ImageArrays,
        source: SourceWeights | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        first = specs[0]
        self.specs = specs
        self.steps, self.eval_every = first.steps, first.eval_every
        self.classes = len(class_counts[0])
        self.device, self.dtype = device, dtype
        self.readings = readings_of(first)
        self.view = VIEWS[first.backbone]
        self.backbone = backbone_of(first)

        keys = tuple(seeding.run_key(spec.seed, spec.combination) for spec in specs)
        self.pairs = [
            subset(
                data.train_labels,
                counts,
                validation_counts(counts, first.validation),
                key,
                in_order="F16" in self.readings,
            )
            for counts, key in zip(class_counts, keys, strict=True)
        ]
        self.images = Images.on(device, data.train, data.train_labels)
        self.test = Images.on(device, data.test, data.test_labels)
        self.test_seen = data.test_seen
        self.validation = [validation for _, validation in self.pairs] if first.validation else []
        own, others = sections_of(first)
        batches = Batches(
            self.images,
            [train for train, _ in self.pairs],
            keys,
            own.batch_size,
            dtype,
            view=self.view,
        )
        context = Context(
            backbone=self.backbone,
            classes=self.classes,
            run_keys=keys,
            batches=batches,
            source=split_at(source, self.backbone) if source else None,
            readings=self.readings,
            first_batches=self._first_batches(data, batches, keys),
        )
        start = time.perf_counter()
        self.method = method_of(first)(context, own, *others)
        self.train_seconds = time.perf_counter() - start
        self.eval_seconds = 0.0
        self.finite = torch.ones(len(specs), dtype=torch.bool, device=device)
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.best: dict[int, tuple[float, int]] = {}
        self.chosen: dict[int, tuple[float, float, int]] = {}  # validation, test, step
        self.confusion: NDArray[np.int64] = np.zeros((0,), dtype=np.int64)
        self.gone: frozenset[int] = frozenset()

    @property
    def all_diverged(self) -> bool:
        """Whether no replica is left."""
        return len(self.gone) == len(self.specs)

    def step(self, step: int) -> None:
        """Train one step, without a look at its losses' values (that would wait for the device)."""
        start = time.perf_counter()
        for name, loss in self.method.step(step).items():
            self.sums[name] = self.sums[name] + loss if name in self.sums else loss
            self.counts[name] = self.counts.get(name, 0) + 1
            self.finite = self.finite & loss.isfinite()
        self.train_seconds += time.perf_counter() - start

    def evaluate(self, step: int) -> Evaluated:
        """Classify the test images, and look whether losses are still finite."""
        waiting = time.perf_counter()
        losses = {name: (s / self.counts[name]).tolist() for name, s in self.sums.items()}
        self.sums, self.counts = {}, {}
        start = time.perf_counter()
        self.train_seconds += start - waiting  # the device finishes its steps here

        confusion, test_loss = self._confusion(self.test, None)
        matrices = confusion.cpu().numpy()
        mean_loss = test_loss.tolist()
        val = self._validation_accuracies()
        # A loss of the last few steps may not be there to look at; wrong logits always are.
        self.finite = self.finite & test_loss.isfinite()
        finite = self.finite.tolist()
        self.gone = frozenset(r for r, ok in enumerate(finite) if not ok)
        self.confusion = matrices
        measurements = {}
        for r in range(len(self.specs)):
            if r in self.gone:
                continue
            accuracy = float(matrices[r].diagonal().sum() / matrices[r].sum())
            if accuracy > self.best.get(r, (-1.0, 0))[0]:
                self.best[r] = (accuracy, step)
            if val and val[r] > self.chosen.get(r, (-1.0,))[0]:
                self.chosen[r] = (val[r], accuracy, step)
            measurements[r] = Measurement(
                step=step,
                accuracy=accuracy,
                loss=mean_loss[r],
                val_accuracy=val[r] if val else None,
                losses={name: values[r] for name, values in losses.items()},
                seconds=self.train_seconds,
            )
        self.eval_seconds += time.perf_counter() - start
        return Evaluated(step, measurements, self.gone)

    def done(self) -> Done:
        """Return the metrics and weights of the replicas that are left."""
        left = [r for r in range(len(self.specs)) if r not in self.gone]
        share = len(self.specs)
        start = time.perf_counter()
        unseen = self._unseen_accuracies() if left else None
        self.eval_seconds += time.perf_counter() - start
        return Done(
            metrics={
                r: metrics.final_metrics(
                    self.confusion[r],
                    self.specs[r].combination,
                    self.best[r],
                    self.train_seconds / share,
                    self.eval_seconds / share,
                    self.chosen[r][1:] if r in self.chosen else None,
                    unseen[r] if unseen else None,
                )
                for r in left
            },
            weights={r: self.method.weights(r) for r in left},
        )

    def _first_batches(
        self, data: ImageArrays, batches: Batches, keys: tuple[int, ...]
    ) -> Batches | None:
        """Return the images of other majority classes, behind the first filter weights (F15)."""
        if "F15" not in self.readings or not self.specs[0].combination:
            return None
        available = np.bincount(data.train_labels, minlength=self.classes).tolist()
        subsets = []
        for spec, key, (_, held_out) in zip(self.specs, keys, self.pairs, strict=True):
            counts, none = first_counts(available, spec, key), (0,) * self.classes
            kept, _ = subset(data.train_labels, counts, none, key, "F16" in self.readings)
            subsets.append(kept[~np.isin(kept, held_out)])
        return Batches(self.images, subsets, keys, batches.batch_size, self.dtype, view=self.view)

    def _validation_accuracies(self) -> list[float]:
        """Balanced accuracy of each replica on its own held-out images; empty without any."""
        if not self.validation:
            return []
        longest = max(len(v) for v in self.validation)
        padded = np.stack([np.pad(v, (0, longest - len(v)), mode="edge") for v in self.validation])
        index = torch.from_numpy(padded).to(self.device)
        confusion, _ = self._confusion(self.images, index)
        return [metrics.balanced_accuracy(m) for m in confusion.cpu().numpy()]

    def _unseen_accuracies(self) -> list[float] | None:
        """Test accuracies where the source never trained; None if that is everywhere or nowhere."""
        if self.test_seen is None or not 0 < self.test_seen.sum() < len(self.test_seen):
            return None
        index = torch.from_numpy(np.flatnonzero(~self.test_seen)).to(self.device)
        confusion, _ = self._confusion(self.test, index.expand(len(self.specs), -1))
        return [float(m.diagonal().sum() / m.sum()) for m in confusion.cpu().numpy()]

    @torch.no_grad()
    def _confusion(self, images: Images, index: Tensor | None) -> tuple[Tensor, Tensor]:
        """Count true class by predicted class, (R, K, K), and take the mean loss, (R,).

        Args:
            images: the images.
            index: which of them each replica sees, (R, N), padded by repeating the last; None for
                all images by all replicas.
        """
        replicas, k = len(self.specs), self.classes
        count = len(images.labels) if index is None else index.shape[1]
        confusion = torch.zeros(replicas, k * k, dtype=torch.int64, device=self.device)
        loss = torch.zeros(replicas, dtype=torch.float64, device=self.device)
        chunk = self.backbone.evaluation_chunk
        fresh = None if index is None else self._first_of(index)
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            if index is None:
                x = self._tested(images.raw(part))
                x = x.expand(replicas, *x.shape)
                y = images.labels[part].expand(replicas, -1)
                counted = torch.ones_like(y)
            else:
                x, y = self._tested(images.raw(index[:, part])), images.labels[index[:, part]]
                assert fresh is not None
                counted = fresh[:, part].to(y.dtype)
            logits = self.method.classify(x)
            confusion.scatter_add_(1, y * k + logits.argmax(2), counted)
            loss += (sample_cross_entropy(logits, y) * counted).double().sum(1)
        return confusion.view(replicas, k, k), loss / count

    def _tested(self, pixels: Tensor) -> Tensor:
        """Return images as they are tested: nothing is random (F29)."""
        shown = pixels if "F29" in self.readings else centred(pixels, self.view)
        return scaled(shown, self.dtype)

    @staticmethod
    def _first_of(index: Tensor) -> Tensor:
        """Mark each entry that does not repeat the one before it (padding repeats the last)."""
        fresh = torch.ones_like(index, dtype=torch.bool)
        fresh[:, 1:] = index[:, 1:] != index[:, :-1]
        return fresh
