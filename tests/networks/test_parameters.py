"""Shapes and numbers of parameters, against the tables of appendix A."""

import pytest
import torch

from dfgctl.networks.backbones import LeNet5Classifier, LeNet5Extractor, backbone, seeded
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.discriminator import LeNet5Discriminator
from dfgctl.networks.generator import LeNet5Generator


def parameters(*networks: torch.nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


def test_param_counts_of_every_network():
    assert parameters(LeNet5Extractor(), LeNet5Classifier(10)) == 61_706
    assert parameters(LeNet5Generator(100, 10)) == 293_188
    assert parameters(LeNet5Discriminator()) == 261_313


@pytest.mark.parametrize("classes", [2, 10, 26])
def test_param_counts_that_planning_uses_are_the_networks_own(classes: int):
    info = BACKBONES["lenet5"]
    c = parameters(LeNet5Extractor(), LeNet5Classifier(classes))
    assert info.classifier_parameters(classes) == c
    g_and_d = parameters(LeNet5Generator(100, classes), LeNet5Discriminator())
    assert info.dfg_parameters(classes) == c + g_and_d


def test_shapes_of_each_layer_are_those_of_tables_a1_and_a2():
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        return lambda _, __, output: seen.__setitem__(name, tuple(output.shape[1:]))

    networks = {
        "E": LeNet5Extractor(),
        "C": LeNet5Classifier(10),
        "G": LeNet5Generator(100, 10),
        "D": LeNet5Discriminator(),
    }
    for letter, network in networks.items():
        for name, layer in network.named_children():
            layer.register_forward_hook(note(f"{letter}.{name}"))
    features = networks["E"](torch.zeros(3, 1, 32, 32))
    assert features.shape == (3, 6, 14, 14)
    assert networks["C"](features).shape == (3, 10)
    hot = torch.eye(10)[:3]
    generated = networks["G"](torch.rand(3, 100), hot, torch.ones(3, 6))
    assert generated.shape == (3, 6, 14, 14)
    assert networks["D"](generated).shape == (3,)
    assert seen["E.conv"] == (6, 28, 28)
    assert seen["C.conv"] == (16, 10, 10)
    assert [seen[f"C.{n}"] for n in ("fc1", "fc2", "head")] == [(120,), (84,), (10,)]
    assert seen["G.dense"] == (4 * 4 * 128,)
    assert [seen[f"G.norm{i}"] for i in (1, 2, 3)] == [(48, 9, 9), (12, 11, 11), (6, 14, 14)]
    assert [seen[f"D.conv{i}"] for i in (1, 2, 3)] == [(32, 7, 7), (64, 4, 4), (128, 2, 2)]
    assert networks["D"].dense.in_features == 512


def test_generator_has_biases_in_its_dense_layer_only_and_xavier_weights():
    g = LeNet5Generator(100, 10)
    for layer in (g.deconv1, g.deconv2, g.deconv3):
        assert layer.bias is None
    assert torch.equal(g.dense.bias, torch.zeros(2048))
    bound = (6 / (110 + 2048)) ** 0.5
    assert 0.95 * bound < g.dense.weight.abs().max() <= bound


def test_a_switched_off_map_is_a_constant_because_the_weight_stands_before_the_norm():
    g = LeNet5Generator(100, 10).double()
    weights = torch.ones(8, 6, dtype=torch.float64)
    weights[:, 2] = 0
    torch.manual_seed(0)
    with torch.no_grad():
        g.norm3.bias.fill_(0.25)
        out = g(torch.rand(8, 100, dtype=torch.float64), torch.eye(10).double()[:8], weights)
    torch.testing.assert_close(out[:, 2], torch.full_like(out[:, 2], 0.25))
    assert out[:, 1].std() > 0.5


def test_seeded_networks_depend_on_key_and_name_alone_and_leave_the_global_stream():
    make = backbone("lenet5").extractor
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = seeded(make, 5, "E").state_dict()["conv.weight"]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, seeded(make, 5, "E").state_dict()["conv.weight"])
    assert not torch.equal(a, seeded(make, 6, "E").state_dict()["conv.weight"])
    assert not torch.equal(a, seeded(make, 5, "C").state_dict()["conv.weight"])


def test_feature_maps_are_the_convolutions_output_before_the_relu():
    c = LeNet5Classifier(10)
    x = torch.randn(2, 6, 14, 14)
    logits, conv = c(x, maps=True)
    assert torch.equal(conv, torch.nn.functional.conv2d(x, c.conv.weight, c.conv.bias))
    assert (conv < 0).any()
    assert torch.equal(logits, c(x))
