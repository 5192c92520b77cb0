"""Trains one pack: steps, evaluations, checkpoints, and what is left at the end."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence

import numpy as np
import torch
import torch._dynamo  # the first optimiser would: a second or two that are no run's
from numpy.typing import NDArray

from dfgctl import metrics, seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Batches, Images
from dfgctl.data.imbalance import first_counts, subset, validation_counts
from dfgctl.data.views import VIEWS
from dfgctl.evaluation import Evaluator
from dfgctl.events import Done, Evaluated, Event, Kept, Noted, Stepped
from dfgctl.ledger import readings_of
from dfgctl.lookup import backbone_of, method_of, sections_of, source_backbone_of
from dfgctl.methods.base import Context, SourceWeights
from dfgctl.networks.weights import fingerprint
from dfgctl.numerics import check_precision, numerics
from dfgctl.pretraining import split_at
from dfgctl.records import Measurement, RunSpec
from dfgctl.state import PackState, Saved, StateError, Tally
from dfgctl.stepping import Stepper, recorder_for


def never(step: int) -> bool:
    """Keep no state."""
    return False


def train(
    specs: Sequence[RunSpec],
    class_counts: Sequence[Sequence[int]],
    data: ImageArrays,
    source: SourceWeights | None,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    resume: Sequence[Saved] | None = None,
    keep: Callable[[int], bool] = never,
    graphs: bool | None = None,
    blind: bool = False,
) -> Generator[Event, None, None]:
    """Train runs of one group as a pack, in their precision; evaluations are always in float32.

    Closing the iterator stops the training. Where it is resumed from states that were kept, all
    that comes after is as if nothing had happened: bit for bit on the CPU with the same number of
    threads if the pack is the same, to rounding if it is another.

    Args:
        specs: the runs; they differ only in combination and seed.
        class_counts: images of each class that each run keeps.
        data: the target data set.
        source: the source network; None for a method that needs none.
        device: where to train.
        dtype: the type of weights and activations.
        resume: the runs' states, all of one step; None to start at step 0.
        keep: asked after each step but the last, and after its evaluation, whether to keep the
            states; no more once the method turns out to have state that cannot be saved.
        graphs: whether steps are recorded as CUDA graphs and replayed; None for wherever they can
            be. What is trained is the same.
        blind: whether the test images are never looked at, nor brought to the device: the held-out
            images of each run stand for them in all that is measured.

    Yields:
        An event after each step and each evaluation, ``Kept`` where states are kept, ``Noted``
        once if steps could not be recorded, and at the end ``Done``.

    Raises:
        StateError: the states do not fit the runs.
        InputError: the device cannot compute in the runs' precision.
        ValueError: CUDA graphs are asked for on another device, or nothing is held out to look at.
    """
    made = Trainer(specs, class_counts, data, source, device, dtype, graphs, blind)
    with contextlib.closing(made) as trainer:
        yield from _events(trainer, resume, keep)


def _events(
    trainer: "Trainer", resume: Sequence[Saved] | None, keep: Callable[[int], bool]
) -> Generator[Event, None, None]:
    told = False
    done = 0
    if resume is None:
        yield trainer.evaluate(0)
    else:
        done = trainer.restore(resume)
    for step in range(done + 1, trainer.steps + 1):
        trainer.step(step)
        if trainer.stepper.problem and not told:
            told = True
            why = trainer.stepper.problem
            yield Noted(f"Steps are not recorded as CUDA graphs, and so take longer ({why}).")
        yield Stepped(step)
        if step % trainer.eval_every == 0 or step == trainer.steps:
            yield trainer.evaluate(step)
            if trainer.all_diverged:
                break
        if step < trainer.steps and not trainer.unkept and keep(step):
            states = trainer.saved(step)
            if states:
                yield Kept(step, states)
    yield trainer.done()


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
        graphs: bool | None = None,
        blind: bool = False,
    ) -> None:
        first = specs[0]
        if blind and not first.validation:
            raise ValueError("a blind training needs a validation share")
        check_precision(device, first.precision)
        self.specs = specs
        self.steps, self.eval_every = first.steps, first.eval_every
        self.classes = len(class_counts[0])
        self.device, self.dtype = device, dtype
        self.readings = readings_of(first)
        view = VIEWS[first.backbone]
        self.backbone = backbone_of(first)
        self.source_weights = fingerprint(source.state) if source else None

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
        self.evaluator = Evaluator(
            data,
            self.images,
            [validation for _, validation in self.pairs] if first.validation else [],
            len(specs),
            self.classes,
            self.backbone.evaluation_chunk,
            view,
            self.readings,
            dtype,
            blind,
        )
        own, others = sections_of(first)
        batches = Batches(
            self.images,
            [train for train, _ in self.pairs],
            keys,
            own.batch_size,
            dtype,
            view=view,
        )
        context = Context(
            backbone=self.backbone,
            classes=self.classes,
            run_keys=keys,
            batches=batches,
            source=split_at(source, source_backbone_of(first)) if source else None,
            readings=self.readings,
            first_batches=self._first_batches(data, batches, keys),
        )
        start = time.perf_counter()
        try:
            with numerics(device, first.precision):
                self.method = method_of(first)(context, own, *others)
        except BaseException:
            self.close()
            raise
        self.tally = Tally(len(specs), device)
        self.tally.train_seconds = time.perf_counter() - start
        recorder = recorder_for(device, graphs, self.images.at_hand)
        self.stepper = Stepper(self.method, self.tally, context.clock, recorder, device)
        self.state = PackState(self.method, self.tally, len(specs), device)
        self.unkept = self.state.problem
        self.confusion: NDArray[np.int64] = np.zeros((0,), dtype=np.int64)
        self.gone: frozenset[int] = frozenset()

    def close(self) -> None:
        """End the threads that read images ahead."""
        self.images.close()
        self.evaluator.test.close()

    @property
    def waited(self) -> float:
        """Seconds that the device waited for images while training; see ``Evaluator.waiting``."""
        return self.images.waited

    @property
    def all_diverged(self) -> bool:
        """Whether no replica is left."""
        return len(self.gone) == len(self.specs)

    def step(self, step: int) -> None:
        """Train one step, without a look at its losses' values (that would wait for the device)."""
        start = time.perf_counter()
        with numerics(self.device, self.specs[0].precision):
            self.stepper.step(step)
        self.tally.train_seconds += time.perf_counter() - start

    def evaluate(self, step: int) -> Evaluated:
        """Classify the test images, or the held-out ones, and see if losses are still finite."""
        tally = self.tally
        waiting = time.perf_counter()
        losses = tally.take_means()
        start = time.perf_counter()
        tally.train_seconds += start - waiting  # the device finishes its steps here

        confusion, test_loss = self.evaluator.tested(self.method.classify)
        matrices = confusion.cpu().numpy()
        mean_loss = test_loss.tolist()
        if self.evaluator.blind:
            val = [metrics.balanced_accuracy(matrix) for matrix in matrices]
        else:
            val = self.evaluator.validation_accuracies(self.method.classify)
        # A loss of the last few steps may not be there to look at; wrong logits always are.
        tally.finite.logical_and_(test_loss.isfinite())
        finite = tally.finite.tolist()
        self.gone = frozenset(r for r, ok in enumerate(finite) if not ok)
        self.confusion = matrices
        measurements = {}
        for r in range(len(self.specs)):
            if r in self.gone:
                continue
            accuracy = float(matrices[r].diagonal().sum() / matrices[r].sum())
            tally.note(r, step, accuracy, val[r] if val else None)
            measurements[r] = Measurement(
                step=step,
                accuracy=accuracy,
                loss=mean_loss[r],
                val_accuracy=val[r] if val else None,
                losses={name: values[r] for name, values in losses.items()},
                seconds=tally.seconds_so_far(r),
            )
        tally.eval_seconds += time.perf_counter() - start
        return Evaluated(step, measurements, self.gone)

    def saved(self, step: int) -> dict[int, Saved]:
        """Return the states of the replicas that are left; none if they cannot be saved."""
        start = time.perf_counter()
        try:
            states = self.state.saved(step)
        except StateError as error:
            self.unkept = str(error)
            return {}
        self.tally.train_seconds += time.perf_counter() - start
        return {r: state for r, state in enumerate(states) if r not in self.gone}

    def restore(self, states: Sequence[Saved]) -> int:
        """Bring the pack to where its runs were, and return the steps that are done.

        Raises:
            StateError: the states do not fit the runs.
        """
        with numerics(self.device, self.specs[0].precision):  # some of it is computed again
            step = self.state.restore(states)
        self.stepper.forget()
        if not 0 < step < self.steps:
            raise StateError(f"step {step} is none of the first {self.steps - 1}")
        return step

    def done(self) -> Done:
        """Return the metrics and weights of the replicas that are left."""
        left = [r for r in range(len(self.specs)) if r not in self.gone]
        tally = self.tally
        start = time.perf_counter()
        unseen = self.evaluator.unseen_accuracies(self.method.classify) if left else None
        tally.eval_seconds += time.perf_counter() - start
        return Done(
            metrics={
                r: metrics.final_metrics(
                    self.confusion[r],
                    self.specs[r].combination,
                    tally.best[r],
                    *tally.seconds_of(r),
                    tally.chosen[r][1:] if r in tally.chosen else None,
                    unseen[r] if unseen else None,
                    self.source_weights,
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
        return Batches(
            self.images, subsets, keys, batches.batch_size, self.dtype, view=batches.view
        )
