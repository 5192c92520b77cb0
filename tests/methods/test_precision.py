"""Methods in bfloat16: what stays float32, packs, and how far a few steps are from float32's."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from narrow import narrow, small_context
from tiny_methods import METHODS as PAPER
from tiny_methods import RIVALS

from dfgctl.attention import filter_weights
from dfgctl.data.batches import Batches
from dfgctl.losses import (
    critic_loss,
    cross_entropy,
    feature_distance,
    generator_loss,
    gradient_penalty,
)
from dfgctl.methods.base import Context
from dfgctl.methods.dfg import Dfg
from dfgctl.networks.backbones import seeded
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.vgg16 import Vgg16Classifier
from dfgctl.numerics import numerics
from dfgctl.pack import Replicated

METHODS = PAPER | {name: RIVALS[name] for name in ("cbloss-focal", "ldam", "smote")}
CPU = torch.device("cpu")
STEPS = 5
SINGLE = torch.float32


def steps(name: str, context: Context, settings: Any, precision: str) -> tuple[Any, list[Any]]:
    """Make a method and train a few steps in a precision."""
    with numerics(CPU, precision):
        method = METHODS[name](context, settings)
        return method, [method.step(step) for step in range(1, STEPS + 1)]


@pytest.fixture
def slow(settings: Any) -> Callable[..., Any]:
    """The settings with a hundredth of their rates.

    Adam's first steps are as large as its rate for however small a gradient, so that at the
    recipe's rates what was rounded otherwise soon goes ways of its own.
    """

    def get(name: str, **changes: Any) -> Any:
        section = settings(name, **changes)
        rates = {
            key: value / 100
            for key, value in section.values().items()
            if key.startswith("eta_") or key in ("lr", "head_lr")
        }
        return settings(name, **changes, **rates)

    return get


def close(losses: list[Any], others: list[Any]) -> None:
    """Compare the losses of two trainings; a bfloat16 number is 0.4 % from the next one."""
    for mine, theirs in zip(losses, others, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            torch.testing.assert_close(value, theirs[key], rtol=0.02, atol=0.01, msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_a_pack_of_three_is_near_three_packs_of_one_and_near_float32(context, slow, name):
    packed, losses = steps(name, context(range(3), dtype=SINGLE), slow, "bf16")
    _, full = steps(name, context(range(3), dtype=SINGLE), slow, "fp32")
    close(losses, full)
    assert any(not torch.equal(a[k], b[k]) for a, b in zip(losses, full, strict=True) for k in a)
    for r in range(3):
        alone, own = steps(name, context(range(r, r + 1), dtype=SINGLE), slow, "bf16")
        close([{k: v[r : r + 1] for k, v in of_step.items()} for of_step in losses], own)
        for key, value in alone.weights(0).items():
            theirs = packed.weights(r)[key]
            assert theirs.dtype == value.dtype
            torch.testing.assert_close(theirs, value, rtol=0.01, atol=0.002, msg=key)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_weights_optimisers_and_losses_are_float32(context, settings, name, replicas):
    method, losses = steps(name, context(range(replicas), dtype=SINGLE), settings, "bf16")
    floating = [v for of_step in losses for v in of_step.values()]
    floating += [t for t in vars(method).values() if isinstance(t, torch.Tensor)]
    floating += [t for network in method.networks().values() for t in network.stacked().values()]
    optimizers = [o for o in vars(method).values() if isinstance(o, torch.optim.Optimizer)]
    for some in vars(method).values():
        if isinstance(some, list):
            optimizers += [o for o in some if isinstance(o, torch.optim.Optimizer)]
    assert optimizers
    for optimizer in optimizers:
        floating += [p.grad for g in optimizer.param_groups for p in g["params"]]
        floating += [t for state in optimizer.state.values() for t in state.values()]
    tensors = [t for t in floating if isinstance(t, torch.Tensor) and t.is_floating_point()]
    assert {t.dtype for t in tensors} == {torch.float32}


@pytest.mark.parametrize("replicas", [1, 3])
def test_what_learns_from_the_penalty_is_near_float32_s(replicas):
    torch.manual_seed(0)

    def gradients(precision: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
        made = [seeded(lambda: discriminator("lenet5", "block1"), k, "D") for k in range(replicas)]
        critic = Replicated(made)
        with numerics(CPU, precision):
            penalty = gradient_penalty(partial(critic, gradient=True), real, generated, epsilon)
            loss = critic_loss(critic(real), critic(generated), penalty, 10.0)
            assert loss.dtype is torch.float32
            found = torch.autograd.grad(loss.sum(), critic.parameter_list())
        return penalty, [g.reshape(replicas, -1) for g in found]

    real = torch.rand(replicas, 16, 6, 14, 14)
    generated, epsilon = torch.randn_like(real), torch.rand(replicas, 16)
    (rough, mine), (exact, theirs) = gradients("bf16"), gradients("fp32")
    torch.testing.assert_close(rough, exact, rtol=0.01, atol=0)
    assert not torch.equal(rough, exact)
    for a, b in zip(mine[:-1], theirs[:-1], strict=True):  # the last is a bias, which has none
        assert torch.cosine_similarity(a, b, dim=1).min() > 0.995


def test_losses_do_not_round_what_bfloat16_networks_give():
    torch.manual_seed(0)
    logits = torch.randn(2, 50, 10).bfloat16()
    labels = torch.randint(10, (2, 50))
    maps, others = torch.randn(2, 4, 3, 5, 5).bfloat16(), torch.randn(2, 4, 3, 5, 5).bfloat16()
    channels = torch.rand(2, 3)
    scores, more, penalty = logits[..., 0], logits[..., 1], torch.rand(2)
    for loss, given in (
        (cross_entropy, (logits, labels)),
        (generator_loss, (scores,)),
        (lambda a, b: critic_loss(a, b, penalty, 10.0), (scores, more)),
        (lambda a, b: feature_distance(a, b, channels), (maps, others)),
    ):
        whole = [t.float() if t.is_floating_point() else t for t in given]
        found, exact = loss(*given), loss(*whole)
        assert found.dtype is torch.float32
        assert torch.equal(found, exact)


@pytest.mark.parametrize("replicas", [1, 2])
def test_filter_weights_are_those_of_float32_bit_for_bit(context, settings, replicas):
    made = context(range(replicas), dtype=SINGLE)
    method = METHODS["finetune"](made, settings)
    found = []
    for precision in ("fp32", "bf16"):
        with numerics(CPU, precision):
            sweep = made.batches.sweep(16)
            found.append(filter_weights(method.E, method.C, "E.conv", sweep, 10))
    assert torch.equal(*found)


def test_dfg_gives_its_generator_the_filter_weights_as_they_are(context, settings, monkeypatch):
    method = METHODS["dfg"](context(range(2), dtype=SINGLE), settings)
    given = []

    def generator(z: Any, hot: Any, weights: Any) -> Any:
        given.append(weights)
        return z

    monkeypatch.setattr(method, "G", generator)
    z, y_hat = method._noise(1, 0)
    with numerics(CPU, "bf16"):
        method._generate(z, y_hat)
    assert torch.equal(given[0], torch.stack([method.W_star[r][y_hat[r]] for r in range(2)]))


@pytest.mark.parametrize("replicas", [[0], [0, 1]])
# ResNet-50's 53 batch norms, each of four images, magnify what is rounded.
@pytest.mark.parametrize(("name", "near"), [("vgg16", 0.04), ("resnet50", 0.25)])
def test_deep_networks_train_in_bf16(monkeypatch, settings, name, near, replicas):
    context = small_context(narrow(monkeypatch, name), replicas)
    old = context.batches
    batches = Batches(old.images, old.subsets, old.run_keys, old.batch_size, SINGLE, view=old.view)
    context = replace(context, batches=batches)
    own = {"n_D": 1, "n_C1": 1, "n_C2": 2, "n_W": 2, "batch_size": 4, "weight_images": 2}
    own |= {"eta_E": 1e-5, "eta_C": 1e-5, "optimizer": "sgd"}
    losses = {}
    for precision in ("fp32", "bf16"):
        with numerics(CPU, precision):
            reg = settings("reg", head_epochs=1, weight_batches=1)
            method = Dfg(context, settings("dfg", **own), reg)
            losses[precision] = [method.step(step) for step in (1, 2)]
    for rough, exact in zip(losses["bf16"], losses["fp32"], strict=True):
        for key, value in rough.items():
            assert value.dtype is torch.float32
            torch.testing.assert_close(value, exact[key], rtol=near, atol=near, msg=key)


def test_vgg_s_pooling_has_an_equal_whose_gradient_is_deterministic_on_a_gpu():
    network = Vgg16Classifier(3)
    h = torch.randn(2, 512, 1, 1, requires_grad=True)
    weight = torch.randn(2, 512, 7, 7)
    pooled, repeated = network.avgpool(h), network.repeated(h)
    assert torch.equal(pooled, repeated)
    gradients = [torch.autograd.grad((out * weight).sum(), h)[0] for out in (pooled, repeated)]
    torch.testing.assert_close(*gradients)
