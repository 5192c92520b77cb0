"""DFG against Algorithm 1 written plainly, and what its settings change."""

import copy
import importlib.util
from pathlib import Path

import pytest
import torch

from dfgctl.data.batches import Batches, scaled
from dfgctl.methods.dfg import Dfg
from dfgctl.networks.backbones import seeded
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.generator import generator

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).parent / "oracle.py")
assert _spec is not None
oracle = importlib.util.module_from_spec(_spec)
assert _spec.loader is not None
_spec.loader.exec_module(oracle)

FAST = {"n_D": 2, "n_C1": 2, "n_C2": 3, "n_W": 4, "batch_size": 8}


def dfg(context, settings, replicas=range(1), **changes) -> Dfg:
    return Dfg(context(replicas), settings("dfg", **{**FAST, **changes}), settings("reg"))


def everything(batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    """All images of each replica and their labels."""
    pixels = batches.images.raw(batches.index)
    return scaled(pixels, batches.dtype), batches.images.labels[batches.index]


def test_five_steps_equal_the_plain_loop(context, settings):
    method = dfg(context, settings, rho=0.3, delta=0.999)
    c, s = method.context, method.settings
    lenet, key = c.backbone, c.run_keys[0]
    networks = {
        "E": seeded(lenet.extractor, key, "E"),
        "C": seeded(lambda: lenet.classifier(10), key, "C"),
        "G": seeded(lambda: generator("lenet5", "block1", 100, 10), key, "G"),
        "D": seeded(lambda: discriminator("lenet5", "block1"), key, "D"),
    }
    networks["E"].load_state_dict(c.source.part("E"))
    networks["C"].load_state_dict(c.source.part("C"))
    for network in networks.values():
        network.double()
    x, y = everything(c.batches)
    weight_batches = [
        tuple(part[0] for part in c.batches.renamed("channel weights").draw(i, 0)) for i in range(4)
    ]
    plain = oracle.PlainDfg(networks, s, (x[0], y[0]), weight_batches, 10)
    torch.testing.assert_close(method.W_star[0], plain.W)
    assert (plain.W == 0).any()
    for step in range(1, 6):
        method.step(step)
        plain.step(
            step,
            lambda t, step=step: tuple(part[0] for part in c.batches.draw(step, t)),
            lambda t, step=step: tuple(part[0] for part in method._noise(step, t)),
            lambda t, step=step: method.epsilon.uniform(
                step * s.n_D + t, (8,), dtype=torch.float64
            )[0],
        )
        for letter, network in networks.items():
            state = method.networks()[letter].replica_state(0)
            for name, value in network.state_dict().items():
                torch.testing.assert_close(
                    state[name], value, rtol=1e-7, atol=1e-9, msg=f"{step} {letter}.{name}"
                )
    torch.testing.assert_close(method.W_star[0], plain.W)
    assert method.history[-1][0] == 4


def test_lines_are_taken_when_algorithm_1_says(context, settings):
    method = dfg(context, settings)
    losses = {step: set(method.step(step)) for step in range(1, 7)}
    always = {"L_D", "L_G"}
    first = {"L_C^c", "L_E", "L_C^r"}
    second = {"L_C", "L_C^g"}
    assert losses[1] == losses[5] == always
    assert losses[2] == losses[4] == always | first
    assert losses[3] == always | second
    assert losses[6] == always | first | second
    assert [step for step, _, _ in method.history] == [0, 4]


def test_the_critic_alone_learns_in_lines_6_to_9(context, settings):
    method = dfg(context, settings, n_C1=100, n_C2=100)
    before = {n: copy.deepcopy(net.replica_state(0)) for n, net in method.networks().items()}
    method.step(1)
    after = {n: net.replica_state(0) for n, net in method.networks().items()}
    for name in "EC":
        assert all(torch.equal(before[name][k], after[name][k]) for k in before[name])
    for name in "GD":
        assert any(not torch.equal(before[name][k], after[name][k]) for k in before[name])


def test_first_weights_are_the_sources_alone_and_rho_1_keeps_them(context, settings):
    method = dfg(context, settings, rho=1.0, delta=0.5)
    first = method.W_star.clone()
    for step in range(1, 5):
        method.step(step)
    assert torch.equal(method.W_star, first)
    other = dfg(context, settings, rho=0.0, delta=0.5)
    for step in range(1, 5):
        other.step(step)
    assert not torch.equal(other.W_star, first)


def test_a_higher_delta_switches_more_maps_off(context, settings):
    off = [
        int((dfg(context, settings, delta=delta).W_star == 0).sum())
        for delta in (0.0, 0.998, 1.002)
    ]
    assert off[0] == 0
    assert off[0] < off[1] < off[2]


def test_noise_is_uniform_on_minus_one_to_one_and_labels_cover_all_classes(context, settings):
    method = dfg(context, settings)
    z, y_hat = zip(*(method._noise(1, t) for t in range(60)), strict=True)
    z, y_hat = torch.stack(z), torch.stack(y_hat)
    assert z.min() >= -1
    assert z.max() < 1
    assert float(z.mean()) == pytest.approx(0, abs=0.02)
    assert float(z.var()) == pytest.approx(1 / 3, rel=0.02)
    assert set(y_hat.flatten().tolist()) == set(range(10))
    assert not torch.equal(method._noise(1, 2)[0], method._noise(2, 0)[0])


def test_weight_images_limits_the_images_of_a_class(context, settings):
    every = dfg(context, settings)
    few = dfg(context, settings, weight_images=2)
    x, y = everything(few.batches)
    chosen = torch.cat([torch.nonzero(y[0] == c).flatten()[:2] for c in range(10)])
    E, C = (network.network for network in (few.regulariser.E_S, few.regulariser.C_S))
    expected = oracle.filter_weights(E, C, x[0][chosen], y[0][chosen], 10)
    torch.testing.assert_close(few.W_source[0], expected)
    assert not torch.equal(few.W_source, every.W_source)


def test_final_weights_hold_four_networks_and_the_filter_weights(context, settings):
    method = dfg(context, settings)
    for step in range(1, 5):
        method.step(step)
    weights = method.weights(0)
    assert {name.partition(".")[0] for name in weights} == {
        "E", "C", "G", "D", "W_star", "W_source", "W_history", "W_history_steps"
    }  # fmt: skip
    assert weights["W_history"].shape == (2, 10, 6)
    assert weights["W_history_steps"].tolist() == [0, 4]
