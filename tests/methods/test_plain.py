"""Every method against the plainest loop of the same run (benchmarks/plain)."""

import numpy as np
import plain
import pytest
import torch
from plain.data import Draw, DrawnBatches, Pictures
from plain.randomness import uniform
from specs import spec

from dfgctl.data.batches import Batches, Images
from dfgctl.data.imbalance import Ratio, class_counts
from dfgctl.draws import Stream
from dfgctl.errors import InputError
from dfgctl.records import RunSpec
from dfgctl.training import Trainer

CPU = torch.device("cpu")
COMBINATIONS = ((0, 4), (1, 7), (2, 3))
SETTINGS = {
    "original": {"lr": 1e-3},
    "finetune": {},
    "delta": {},
    "difa": {"steps": 6, "share_0": 1 / 3, "share_1": 1 / 3, "units": 32},
    "dfg": {"n_D": 2, "n_C1": 1, "n_C2": 2, "n_W": 3, "rho": 0.3, "delta": 0.999},
    "balanced": {},
    "cbloss": {"init": "source", "beta": 0.99},
    "cbloss-focal": {"loss": "focal", "gamma": 2.0},
    "logitadjust": {"tau": 1.5},
    "ldam": {"init": "source", "share_1": 0.6},
    "crt": {"init": "source", "share_1": 0.4},
    "smote": {"share_1": 0.4},
}
"""What makes the steps go through all lines and stages, with some filters switched off."""

PAPER = ("original", "finetune", "delta", "difa", "dfg")

UNDONE = ("G.dense.bias", "G.dense_norm.running_mean")
"""A batch norm takes the dense layer's bias away, so that it moves by its gradient's rounding."""


def runs(method: str) -> list[RunSpec]:
    """Three runs of a pack, whose classes have 80 or 8 images."""
    own = {"batch_size": 8, **SETTINGS[method]}
    steps = own.pop("steps", 5)
    name = method.partition("-")[0]
    return [spec(name, combination=c, steps=steps, own=own) for c in COMBINATIONS]


def counts_of(one: RunSpec) -> tuple[int, ...]:
    return class_counts([87] * 10, one.combination, Ratio.parse("10:1"), 80)


def pack(specs: list[RunSpec], digits, source, dtype: torch.dtype):
    counts = [counts_of(one) for one in specs]
    return Trainer(specs, counts, digits, source, CPU, dtype).method


def loop(one: RunSpec, digits, source, dtype: torch.dtype, **options) -> plain.PlainMethod:
    return plain.make(one, counts_of(one), digits, source.state, CPU, dtype, **options)


def states(method, replica: int) -> dict[str, torch.Tensor]:
    """All weights of a replica of dfgctl's."""
    networks = method.networks().items()
    return {f"{n}.{k}": v for n, net in networks for k, v in net.replica_state(replica).items()}


def plain_states(loop: plain.PlainMethod) -> dict[str, torch.Tensor]:
    nets = loop.networks.items()
    return {f"{n}.{k}": v.clone() for n, net in nets for k, v in net.state_dict().items()}


@pytest.mark.parametrize("method", SETTINGS)
def test_a_run_starts_where_its_plain_loop_does(digits, source, method):
    one = runs(method)[0]
    mine = states(pack([one], digits, source, torch.float32), 0)
    theirs = plain_states(loop(one, digits, source, torch.float32))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("members", [[1], [0, 1, 2]], ids=["alone", "in-a-pack-of-three"])
@pytest.mark.parametrize("method", SETTINGS)
def test_the_first_steps_of_a_run_equal_its_plain_loop(digits, source, method, members):
    every = runs(method)
    mine = pack([every[i] for i in members], digits, source, torch.float64)
    replica = members.index(1)
    other = loop(every[1], digits, source, torch.float64)
    named = set()
    for step in range(1, every[1].steps + 1):
        losses, expected = mine.step(step), other.step(step)
        assert losses.keys() == expected.keys()
        named |= losses.keys()
        for name, value in expected.items():
            assert float(losses[name][replica]) == pytest.approx(value, rel=1e-8, abs=1e-10), name
        found = states(mine, replica)
        for name, value in plain_states(other).items():
            torch.testing.assert_close(
                found[name], value, rtol=1e-8, atol=1e-10, msg=f"step {step}: {name}"
            )
        if method == "dfg":
            torch.testing.assert_close(mine.W_star[replica], other.W_star, rtol=1e-9, atol=0)
    if method == "dfg":
        assert named == {"L_D", "L_G", "L_C^c", "L_E", "L_C^r", "L_C^g", "L_C"}
        assert 0 < int((other.W_star == 0).sum()) < other.W_star.numel()
    if method == "difa":
        assert named == {"loss", "L_D_S", "L_S", "L_D_E", "L_E", "L_H"}


@pytest.mark.parametrize("method", PAPER)
def test_steps_in_float32_equal_the_plain_loop_to_rounding(digits, source, method):
    """Float32 rounds at 1e-7, but a value may fall to the other side of a ReLU's or a pooling's
    kink, and Adam takes a small gradient for a large one: losses agree to 1e-3, and weights end
    within a tenth of the way that they have gone.
    """
    one = runs(method)[0]
    mine = pack([one], digits, source, torch.float32)
    other = loop(one, digits, source, torch.float32)
    before = plain_states(other)
    for step in range(1, one.steps + 1):
        losses, expected = mine.step(step), other.step(step)
        for name, value in expected.items():
            assert float(losses[name][0]) == pytest.approx(value, rel=1e-3, abs=1e-3), name
    found = states(mine, 0)
    for name, value in plain_states(other).items():
        if name in UNDONE:
            continue
        way = (value - before[name]).double().norm()
        apart = (value - found[name]).double().norm()
        assert apart <= 0.1 * way, name


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_processes_that_load_images_change_no_number(digits, source):
    one = runs("original")[0]
    alone, helped = (loop(one, digits, source, torch.float32, workers=n) for n in (0, 2))
    for step in range(1, 4):
        assert alone.step(step) == helped.step(step)
    helped.batches.close()


def test_images_are_loaded_one_by_one_as_floats_from_minus_one_to_one(digits):
    pictures = Pictures(digits.train, digits.train_labels, torch.float64)
    image, label = pictures[7]
    assert len(pictures) == len(digits.train)
    assert label == digits.train_labels[7]
    expected = 2 * digits.train[7].astype(np.float64) / 255 - 1
    np.testing.assert_allclose(image.numpy(), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("balanced", [False, True])
def test_batches_are_those_that_dfgctl_draws(digits, balanced):
    subsets = [np.flatnonzero(digits.train_labels != c)[c::7] for c in range(3)]
    keys = (11, 12, 13)
    images = Images.on(CPU, digits.train, digits.train_labels)
    batches = Batches(images, subsets, keys, 50, torch.float64)
    draw = batches.draw_balanced if balanced else batches.draw
    sampler = DrawnBatches(
        digits.train_labels, subsets[1], keys[1], 50, [Draw(4, 2, balanced)], "batches"
    )
    (indices,) = sampler
    x, y = draw(4, 2)
    pictures = Pictures(digits.train, digits.train_labels, torch.float64)
    assert torch.equal(torch.stack([pictures[i][0] for i in indices]), x[1])
    assert [pictures[i][1] for i in indices] == y[1].tolist()


@pytest.mark.parametrize("name", ["noise", "interpolation"])
def test_noise_is_what_dfgctl_draws(name):
    for dtype in (torch.float32, torch.float64):
        drawn = Stream((5,), name, CPU).uniform(9, (8, 3), -1, 1, dtype)[0]
        assert torch.equal(uniform(5, name, 9, (8, 3), dtype, -1, 1), drawn)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"own": {"optimizer": "sgd"}}, "Adam"),
        ({"own": {"lr_decay_step": 3}}, "keep their rates"),
        ({"protocol": "released"}, "the paper as it is"),
        ({"backbone": "vgg16"}, "lenet5"),
    ],
)
def test_a_run_that_the_plain_loops_do_not_train_is_refused(digits, source, changes, says):
    one = spec("finetune", **changes)
    with pytest.raises(InputError, match=says):
        loop(one, digits, source, torch.float32)


def test_a_source_of_other_classes_is_refused(digits, source):
    one = spec("delta")
    with pytest.raises(InputError, match="10 classes"):
        plain.make(one, counts_of(one), digits, None)
    letters = {**source.state, "C.head.bias": torch.zeros(26)}
    with pytest.raises(InputError, match="10 classes"):
        plain.make(one, counts_of(one), digits, letters)
