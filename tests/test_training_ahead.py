"""Trainings whose images stay on the host: the same runs, and no thread that outlives them."""

import threading
from collections.abc import Iterator

import pytest
import torch
from resuming import COMBINATIONS, CPU, assert_same, few, kept, lenet_source, trained
from specs import spec

from dfgctl.data import batches
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import Ratio, class_counts
from dfgctl.data.reading import Drawn
from dfgctl.events import Stepped
from dfgctl.lookup import method_of
from dfgctl.networks.backbones import backbone
from dfgctl.pretraining import pretrain
from dfgctl.recipe import load
from dfgctl.records import RunSpec
from dfgctl.training import Trainer, train

OWN = {
    "original": {},
    "difa": {"n_D": 2, "units": 16},
    "dfg": {"n_D": 2, "n_W": 3, "weight_images": 2, "batch_size": 8},
}


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave all images on the host from now on, and look that no thread is left."""
    monkeypatch.setattr(batches, "DEVICE_BYTES", 0)
    yield
    assert not readers()


def readers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("pictures")]


def specs(method: str, replicas: int = 2, **changes) -> list[RunSpec]:
    if method == "dfg":
        released = dict.fromkeys(changes.pop("released", ()), "released")
        changes["sections"] = {"reg": {"weight_batches": 1}, "fidelity": released}
    fixed = {"steps": 6, "eval_every": 4, "validation": 0.2, "own": OWN[method]}
    return [spec(method, combination=c, **(fixed | changes)) for c in COMBINATIONS[:replicas]]


def trainer(digits: ImageArrays, method: str = "original", **changes) -> Trainer:
    pack = specs(method, **changes)
    counts = [class_counts([87] * 10, s.combination, Ratio.parse("10:1"), 80) for s in pack]
    return Trainer(pack, counts, few(digits), lenet_source(), CPU, torch.float32)


def events(digits: ImageArrays):
    pack = specs("original", 1)
    counts = [class_counts([87] * 10, pack[0].combination, Ratio.parse("10:1"), 80)]
    return train(pack, counts, few(digits), None, CPU)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("original", {}),
        ("difa", {}),
        ("dfg", {}),
        ("dfg", {"released": ("F12", "F13")}),
        ("dfg", {"released": ("F15",)}),
    ],
)
def test_a_training_is_the_same_bit_for_bit(digits, request, method, changes):
    pack = specs(method, **changes)
    near = trained(pack, few(digits), keep=(4,))
    request.getfixturevalue("on_host")
    far = trained(pack, few(digits), keep=(4,))
    assert_same(near, far)
    assert_same(near, trained(pack, few(digits), resume=kept(far)[4]), after=4)


def test_a_source_network_is_the_same_bit_for_bit(digits, request):
    settings = load("digits").section("source").model_copy(update={"steps": 4})

    def train_source():
        return pretrain(backbone("lenet5"), few(digits), 10, settings, CPU, lambda step: None)

    near = train_source()
    request.getfixturevalue("on_host")
    far = train_source()
    assert near[1] == far[1]
    assert all(torch.equal(near[0].state[name], far[0].state[name]) for name in near[0].state)


@pytest.mark.usefixtures("on_host")
def test_threads_end_with_a_training_that_is_closed(digits):
    going = events(digits)
    assert any(isinstance(e, Stepped) and e.step == 3 for e in going)
    assert readers()
    going.close()
    assert not readers()


@pytest.mark.usefixtures("on_host")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output error")])
def test_threads_end_with_a_training_that_fails_while_it_reads(digits, monkeypatch, error):
    real = Drawn.fill

    def fill(self, place, parts):
        if place == 6 * batches.DRAWS_PER_STEP:
            raise error
        real(self, place, parts)

    monkeypatch.setattr(Drawn, "fill", fill)
    steps = []
    with pytest.raises(type(error)):
        steps.extend(e.step for e in events(digits) if isinstance(e, Stepped))
    assert not readers()


@pytest.mark.usefixtures("on_host")
def test_threads_end_with_a_method_that_cannot_be_made(digits, monkeypatch):
    pack = specs("dfg", 1)
    seen = []

    def fails(self, first):
        seen.extend(readers())
        raise RuntimeError("no weights")

    monkeypatch.setattr(method_of(pack[0]), "_selected", fails)
    with pytest.raises(RuntimeError, match="no weights"):
        trainer(digits, "dfg", replicas=1)
    assert seen
    assert not readers()


@pytest.mark.usefixtures("on_host")
def test_the_time_that_a_training_waits_is_told_apart_from_evaluations(digits, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("dfgctl.data.ahead.time.perf_counter", lambda: float(next(clock)))
    going = trainer(digits)
    before = going.waited
    going.step(1)
    assert going.waited == before + 1.0  # one draw
    going.evaluate(1)
    assert going.waited == before + 1.0
    assert going.evaluator.waiting.seconds >= 2.0  # a chunk of test images, one of validation
    going.close()


def test_what_lies_on_the_device_is_not_waited_for(digits):
    going = trainer(digits)
    going.step(1)
    assert (going.waited, going.evaluator.waiting.seconds) == (0.0, 0.0)
    assert not readers()
