"""The mixture generator S and the critics of ``difa``, against plain loops."""

import pytest
import torch
import torch.nn.functional as F

from dfgctl.networks.feature_gan import FeatureCritic, MixtureGenerator
from dfgctl.pack import Replicated


def mixture(components: int = 3) -> MixtureGenerator:
    torch.manual_seed(4)
    made = MixtureGenerator(components, 5, 4, 7, 6).double()
    with torch.no_grad():
        for bias in made.biases:
            bias.normal_()
    return made


def noise(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(9)
    z = torch.randn(count, 5, dtype=torch.float64)
    return z, F.one_hot(torch.arange(count) % 4, 4).double()


@torch.no_grad()
def test_row_i_comes_from_generator_i_mod_m():
    s = mixture()
    z, hot = noise()
    got = s(z, hot)
    for i in range(8):
        h = torch.cat([z[i], hot[i]])
        for layer, (weight, bias) in enumerate(zip(s.weights, s.biases, strict=True)):
            h = h @ weight[i % 3] + bias[i % 3, 0]
            h = torch.where(h > 0, h, 0.2 * h) if layer < 2 else h.tanh()
        torch.testing.assert_close(got[i], h)
    assert got.abs().max() < 1


def test_generators_start_apart_and_by_xaviers_procedure():
    s = MixtureGenerator(4, 100, 10, 256, 84)
    first = s.weights[0]
    assert not torch.equal(first[0], first[1])
    bound = (6 / (110 + 256)) ** 0.5
    assert all(0.99 * bound < w.abs().max() <= bound for w in first)
    assert not any(bias.any() for bias in s.biases)


def test_each_generator_learns_from_its_own_rows():
    s = mixture()
    z, hot = noise()
    s(z, hot)[[0, 3, 6]].sum().backward()
    for weight in s.weights:
        assert weight.grad[0].any()
        assert not weight.grad[1:].any()


@pytest.mark.parametrize("classes", [0, 4])
@torch.no_grad()
def test_a_critic_is_three_dense_layers_on_features_and_classes(classes: int):
    critic = FeatureCritic(6, classes, 7).double()
    features, hot = torch.randn(8, 6, dtype=torch.float64), noise()[1]
    seen = (hot,) if classes else ()
    h = torch.cat([features, *seen], dim=1)
    for layer in (critic.layer1, critic.layer2):
        h = h @ layer.weight.T + layer.bias
        h = torch.where(h > 0, h, 0.2 * h)
    expected = (h @ critic.layer3.weight.T + critic.layer3.bias)[:, 0]
    torch.testing.assert_close(critic(features, *seen), expected)
    if classes:
        assert not torch.allclose(critic(features, hot.roll(1, 1)), expected)


@torch.no_grad()
def test_a_pack_generates_what_its_members_do():
    members = [mixture(), mixture()]
    members[1].weights[0].mul_(2)
    z, hot = noise()
    expected = [member(z, hot) for member in members]
    pack = Replicated(members)
    got = pack(torch.stack([z, z]), torch.stack([hot, hot]))
    torch.testing.assert_close(got, torch.stack(expected))
