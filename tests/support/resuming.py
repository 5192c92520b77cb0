"""Trainings that are interrupted: what to keep, and whether the end is the same."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch

from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import Ratio, class_counts
from dfgctl.events import Done, Evaluated, Event, Kept
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import backbone, seeded
from dfgctl.records import RunSpec
from dfgctl.state import Saved
from dfgctl.training import train

CPU = torch.device("cpu")
COMBINATIONS = ((0, 4), (1, 7), (2, 3))


def lenet_source() -> SourceWeights:
    """Return a source network with random weights."""
    lenet = backbone("lenet5")
    parts = {
        "E": seeded(lenet.extractor, 1, "E"),
        "C": seeded(lambda: lenet.classifier(10), 1, "C"),
    }
    state = {f"{n}.{k}": v for n, net in parts.items() for k, v in net.state_dict().items()}
    return SourceWeights(state, 10)


def few(digits: ImageArrays) -> ImageArrays:
    """Leave most test images out."""
    return replace(digits, test=digits.test[:60], test_labels=digits.test_labels[:60])


def trained(
    specs: Sequence[RunSpec],
    data: ImageArrays,
    resume: Sequence[Saved] | None = None,
    keep: Callable[[int], bool] | Collection[int] = (),
    dtype: torch.dtype = torch.float32,
) -> list[Event]:
    """Train a pack to its end."""
    counts = [class_counts([87] * 10, s.combination, Ratio.parse("10:1"), 80) for s in specs]
    asked = keep if callable(keep) else lambda step: step in keep
    source = lenet_source()
    return list(train(specs, counts, data, source, CPU, dtype, resume=resume, keep=asked))


def kept(events: Sequence[Event]) -> dict[int, list[Saved]]:
    """Return the states that were kept, by step."""
    return {e.step: [e.states[r] for r in sorted(e.states)] for e in events if isinstance(e, Kept)}


def facts(events: Sequence[Event], after: int = -1) -> list[Any]:
    """Return all that was measured after a step, but for times."""
    found: list[Any] = []
    for event in events:
        if isinstance(event, Evaluated) and event.step > after:
            measured = {r: replace(m, seconds=0.0) for r, m in event.measurements.items()}
            found.append((event.step, measured, event.diverged))
        elif isinstance(event, Done):
            times = {"train_seconds": 0.0, "eval_seconds": 0.0}
            found.append({r: replace(m, **times) for r, m in event.metrics.items()})
    return found


def weights(events: Sequence[Event]) -> dict[str, torch.Tensor]:
    """Return all replicas' final weights."""
    done = events[-1]
    assert isinstance(done, Done)
    return {f"{r}.{n}": t for r, state in done.weights.items() for n, t in state.items()}


def assert_same(one: Sequence[Event], other: Sequence[Event], after: int = -1) -> None:
    """Check that two trainings are the same, bit for bit."""
    assert facts(one, after) == facts(other, after)
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name
