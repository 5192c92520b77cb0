"""DIFA + cMWGAN: three stages, and which network learns in which."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from narrow import narrow, small_context

from dfgctl.data.batches import Batches
from dfgctl.methods.difa import Difa
from dfgctl.networks.backbones import backbone
from dfgctl.pack import Replicated

FAST = {"steps": 6, "share_0": 1 / 3, "share_1": 1 / 3, "n_D": 2, "units": 16, "batch_size": 8}
COUNTS = (20, 2, 2, 2, 10, 2, 2, 2, 2, 2)
STAGES = [{"loss"}, {"L_D_S", "L_S"}, {"L_D_E", "L_E", "L_H"}]


def difa(context, settings, replicas=range(1), counts=COUNTS, **changes) -> Difa:
    c = replace(context(replicas), backbone=backbone("lenet5", bounded=True))
    labels = c.batches.images.labels.numpy()
    subsets = [
        np.concatenate([np.flatnonzero(labels == k)[r : r + n] for k, n in enumerate(counts)])
        for r in replicas
    ]
    batches = Batches(c.batches.images, subsets, c.run_keys, 8, c.batches.dtype)
    return Difa(replace(c, batches=batches), settings("difa", **{**FAST, **changes}))


def states(method: Difa) -> dict[str, dict[str, torch.Tensor]]:
    return {n: net.replica_state(0) for n, net in method.networks().items()}


def changed(before: dict, after: dict) -> set[str]:
    """Return the names of the networks of which anything moved."""
    return {n for n in before if any(not torch.equal(before[n][k], after[n][k]) for k in before[n])}


@pytest.mark.parametrize(
    ("steps", "share_0", "share_1", "expected"),
    [(10, 0.5, 0.3, [5, 3, 2]), (6, 1 / 3, 1 / 3, [2, 2, 2]), (5, 0.2, 0.2, [1, 1, 3])],
)
def test_stages_fall_where_the_shares_say(context, settings, steps, share_0, share_1, expected):
    method = difa(context, settings, steps=steps, share_0=share_0, share_1=share_1)
    found = [set(method.step(step)) for step in range(1, steps + 1)]
    assert found == [names for names, n in zip(STAGES, expected, strict=True) for _ in range(n)]


def test_each_network_learns_in_its_own_stages_only(context, settings):
    method = difa(context, settings)
    moved = []
    for step in range(1, 7):
        before = states(method)
        method.step(step)
        moved.append(changed(before, states(method)))
    assert moved == [{"E", "C"}] * 2 + [{"S", "D_S"}] * 2 + [{"E", "C", "D_E"}] * 2


def test_the_network_rests_in_stage_1_with_its_batch_norms(monkeypatch, settings):
    network = narrow(monkeypatch, "resnet50", bounded=True)
    method = Difa(small_context(network, [0]), settings("difa", **FAST))
    moved = []
    for step in range(1, 7):
        before = states(method)
        method.step(step)
        moved.append(changed(before, states(method)))
        assert method.E.training
        assert method.C.training
    assert moved == [{"E", "C"}] * 2 + [{"S", "D_S"}] * 2 + [{"E", "C", "D_E"}] * 2


def test_the_encoder_does_not_learn_from_the_classes_in_stage_2(context, settings):
    method = difa(context, settings, eta_D=1e-30)
    for step in range(1, 5):
        method.step(step)
    with torch.no_grad():  # a critic that says the same of everything teaches nothing
        for parameter in method.D_E.network.layer3.parameters():
            parameter.zero_()
    before = states(method)
    method.step(5)
    after = states(method)
    moved = {
        f"{n}.{k}" for n in "EC" for k in before[n] if not torch.equal(before[n][k], after[n][k])
    }
    assert moved == {"C.head.weight", "C.head.bias"}


def test_the_head_does_not_learn_from_the_critic_in_stage_2(context, settings):
    # Without a way to the classes, the head would move by the critic alone.
    method = difa(context, settings, eta_H=1e-30)
    for step in range(1, 5):
        method.step(step)
    before = states(method)
    method.step(5)
    after = states(method)
    for letter in "EC":
        for name, value in before[letter].items():
            assert torch.equal(value, after[letter][name]) == name.startswith("head."), name


def test_real_and_generated_features_together_balance_the_classes(context, settings):
    method = difa(context, settings, batch_size=64)
    drawn = torch.stack([method._missing_labels(step)[0] for step in range(200)]).flatten()
    generated = drawn.bincount(minlength=10).double() / len(drawn)
    together = torch.tensor(COUNTS).double() / sum(COUNTS) + method.share[0] * generated
    assert generated[0] == 0  # it lacks none
    assert method.share[0] == (9 * 20 - 26) / 46
    found = together / together.sum()
    torch.testing.assert_close(found, torch.full_like(found, 0.1), rtol=0, atol=0.006)


def test_balanced_data_need_no_generated_features(context, settings):
    method = difa(context, settings, counts=(4,) * 10, eta_E=1e-30)
    assert method.share.tolist() == [0]
    for step in range(1, 6):
        assert all(loss.isfinite().all() for loss in method.step(step).values())
    x, y = method.batches.draw(6, method.settings.n_D)
    with torch.no_grad():
        expected = F.cross_entropy(method.C(method.E(x))[0], y[0])
    torch.testing.assert_close(method.step(6)["L_H"][0], expected)


def test_its_head_sees_bounded_features_of_the_last_hidden_layer(context, settings):
    method = difa(context, settings)
    x, _ = method.batches.draw(1, 0)
    features = method._features(x)
    assert features.shape == (1, 8, 84)
    assert features.abs().max() < 1
    torch.testing.assert_close(method._head(features), method.C(method.E(x)))
    assert Difa.bounded


def test_weights_that_are_kept_are_those_of_five_networks(context, settings):
    method = difa(context, settings, replicas=range(2))
    assert {n.partition(".")[0] for n in method.weights(1)} == {"E", "C", "S", "D_S", "D_E"}
    assert isinstance(method.S, Replicated)
