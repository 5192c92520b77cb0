"""Shapes and numbers of parameters, against the tables of appendix A."""

import pytest
import torch
from torch import nn

from dfgctl.networks.backbones import backbone, seeded
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.generator import NOISE, generator
from dfgctl.networks.lenet5 import LeNet5Classifier, LeNet5Extractor

SPLITS = [(name, split) for name, info in BACKBONES.items() for split in info.splits]


def parameters(*networks: torch.nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


def meta(name: str, split: str, classes: int, noise: int = 100) -> dict[str, torch.nn.Module]:
    """Make the four networks of DFG without their weights."""
    whole = backbone(name, split)
    with torch.device("meta"):
        return {
            "E": whole.extractor(),
            "C": whole.classifier(classes),
            "G": generator(name, split, noise, classes),
            "D": discriminator(name, split),
        }


def test_param_counts_of_lenet5():
    networks = meta("lenet5", "block1", 10)
    assert parameters(networks["E"], networks["C"]) == 61_706
    assert parameters(networks["G"]) == 293_188
    assert parameters(networks["D"]) == 261_313


def test_param_counts_of_vgg16():
    networks = meta("vgg16", "block1", 10)
    assert parameters(networks["G"]) == 953_088
    assert parameters(networks["D"]) == 307_713
    # 13 convolutions, 64 to 512 filters, and Table A3's dense layers.
    dense = 25_088 * 4096 + 4096 + 4096 * 512 + 512 + 512 * 10 + 10
    assert parameters(networks["E"], networks["C"]) == 14_714_688 + dense


def test_param_counts_of_resnet50_are_those_of_table_4():
    networks = meta("resnet50", "block1", 257, noise=4900)
    assert parameters(networks["G"]) == 49_089_024
    assert parameters(networks["D"]) == 467_073
    assert parameters(networks["E"], networks["C"]) == 24_034_625
    assert parameters(*networks.values()) == 73_590_722
    imagenet = meta("resnet50", "block1", 1000)
    assert parameters(imagenet["E"], imagenet["C"]) == 25_557_032


@pytest.mark.parametrize(("name", "split"), SPLITS)
@pytest.mark.parametrize("classes", [2, 257])
def test_param_counts_that_planning_uses_are_the_networks_own(name: str, split: str, classes: int):
    info = BACKBONES[name]
    networks = meta(name, split, classes, NOISE[name])
    both = parameters(networks["E"], networks["C"])
    assert info.classifier_parameters(classes) == both
    assert info.generator_parameters(classes, split) == parameters(networks["G"])
    assert info.dfg_parameters(classes, split) == parameters(*networks.values())


def test_shapes_of_each_layer_are_those_of_tables_a1_and_a2():
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        return lambda _, __, output: seen.__setitem__(name, tuple(output.shape[1:]))

    networks = {
        "E": LeNet5Extractor(),
        "C": LeNet5Classifier(10),
        "G": generator("lenet5", "block1", 100, 10),
        "D": discriminator("lenet5", "block1"),
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
    g = generator("lenet5", "block1", 100, 10)
    for layer in (g.deconv1, g.deconv2, g.deconv3):
        assert layer.bias is None
    assert torch.equal(g.dense.bias, torch.zeros(2048))
    bound = (6 / (110 + 2048)) ** 0.5
    assert 0.95 * bound < g.dense.weight.abs().max() <= bound


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_g_and_d_of_the_others_have_he_weights_and_no_biases_but_the_dense_layers(name: str):
    g, d = generator(name, "block1", 30, 10), discriminator(name, "block1")
    layers = [layer for network in (g, d) for layer in network.modules()]
    convolutions = [x for x in layers if isinstance(x, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 7
    assert all(layer.bias is None for layer in convolutions)
    assert not g.dense.bias.any()
    assert not d.dense.bias.any()
    # He: a normal distribution of variance 2 / fan in.
    assert g.dense.weight.var().item() == pytest.approx(2 / 40, rel=0.03)
    conv = d.conv3.weight
    assert conv.var().item() == pytest.approx(2 / (64 * 25), rel=0.03)
    assert conv.abs().max() > 3.5 * conv.std()


def test_lenet5s_d_has_xavier_weights():
    d = discriminator("lenet5", "block1")
    bound = (6 / ((64 + 128) * 25)) ** 0.5
    assert 0.99 * bound < d.conv3.weight.abs().max() <= bound
    assert not d.dense.bias.any()


def test_a_switched_off_map_is_a_constant_because_the_weight_stands_before_the_norm():
    g = generator("lenet5", "block1", 100, 10).double()
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
