"""Output shapes of each layer, against the tables of appendix A and Table 3."""

import pytest
import torch
from torch import nn

from dfgctl.networks.backbones import backbone
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.generator import generator

SPLITS = [(name, split) for name, info in BACKBONES.items() for split in info.splits]


def shapes_of(network: nn.Module, *inputs: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer gives, without the batch, by the layer's name."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str):  # type: ignore[no-untyped-def]
        return lambda _, __, output: seen.__setitem__(name, tuple(output.shape[1:]))

    for name, layer in network.named_modules():
        layer.register_forward_hook(note(name))
    seen["output"] = tuple(network(*inputs).shape[1:])
    return seen


def classifier_shapes(name: str, split: str, side: int, classes: int):  # type: ignore[no-untyped-def]
    whole = backbone(name, split)
    with torch.device("meta"):
        e, c = whole.extractor(), whole.classifier(classes)
        seen_e = shapes_of(e, torch.zeros(2, 3, side, side))
        return seen_e, shapes_of(c, torch.zeros(2, *seen_e["output"]))


def test_vgg16_has_the_shapes_of_table_a3():
    e, c = classifier_shapes("vgg16", "", 32, 10)
    assert e["features.0"] == e["features.2"] == (64, 32, 32)
    assert e["features.4"] == e["output"] == (64, 16, 16)
    assert [c[f"features.{i}"] for i in (5, 7, 9)] == [(128, 16, 16), (128, 16, 16), (128, 8, 8)]
    blocks = [(c[f"features.{conv}"], c[f"features.{pool}"]) for conv, pool in
              ((14, 16), (21, 23), (28, 30))]  # fmt: skip
    assert blocks == [
        ((256, 8, 8), (256, 4, 4)),
        ((512, 4, 4), (512, 2, 2)),
        ((512, 2, 2), (512, 1, 1)),
    ]
    assert c["avgpool"] == (512, 7, 7)
    assert [c[f"classifier.{i}"] for i in (0, 3, 6)] == [(4096,), (512,), (10,)]


def test_resnet50_has_the_shapes_of_table_a5():
    e, c = classifier_shapes("resnet50", "", 224, 257)
    assert e["conv1"] == e["bn1"] == (64, 112, 112)
    assert e["maxpool"] == (64, 56, 56)
    assert e["output"] == (256, 56, 56)
    assert c["layer2.3.conv3"] == (512, 28, 28)
    assert c["layer3.5.conv3"] == (1024, 14, 14)
    assert c["layer4.2.conv3"] == (2048, 7, 7)
    assert c["avgpool"] == (2048, 1, 1)
    assert c["output"] == (257,)


@pytest.mark.parametrize(
    ("split", "output"),
    [
        ("block1", (256, 56, 56)),
        ("block2", (512, 28, 28)),
        ("block3", (1024, 14, 14)),
        ("block4", (2048, 7, 7)),
    ],
)
def test_resnet50_is_split_where_table_3_says(split: str, output: tuple[int, ...]):
    e, c = classifier_shapes("resnet50", split, 224, 101)
    assert e["output"] == output
    assert c["output"] == (101,)


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_g_gives_what_e_gives_and_d_takes_it(name: str, split: str):
    output = BACKBONES[name].splits[split].output
    with torch.device("meta"):
        g, d = generator(name, split, 7, 5), discriminator(name, split)
        features = g(torch.zeros(3, 7), torch.zeros(3, 5), torch.ones(3, output[0]))
        assert tuple(features.shape) == (3, *output)
        assert d(features).shape == (3,)
        x = torch.zeros(2, 1 if name == "lenet5" else 3, *(2 * [224 if name == "resnet50" else 32]))
        assert tuple(backbone(name, split).extractor()(x).shape) == (2, *output)


@pytest.mark.parametrize(
    ("name", "noise", "classes", "dense", "layers"),
    [
        ("lenet5", 100, 10, 128, [(48, 9, 9), (12, 11, 11), (6, 14, 14)]),
        ("vgg16", 100, 10, 128, [(128, 8, 8), (128, 16, 16), (64, 17, 17), (64, 16, 16)]),
        ("resnet50", 4900, 257, 512, [(512, 8, 8), (256, 16, 16), (256, 30, 30), (256, 56, 56)]),
    ],
)
def test_g_has_the_shapes_of_tables_a2_a4_and_a6(
    name: str, noise: int, classes: int, dense: int, layers: list[tuple[int, ...]]
):
    with torch.device("meta"):
        seen = shapes_of(
            generator(name, "block1", noise, classes),
            torch.zeros(2, noise),
            torch.zeros(2, classes),
            torch.ones(2, layers[-1][0]),
        )
    assert seen["dense"] == seen["dense_norm"] == (4 * 4 * dense,)
    for i, shape in enumerate(layers, start=1):
        assert seen[f"deconv{i}"] == seen[f"norm{i}"] == shape


@pytest.mark.parametrize(
    ("name", "layers", "dense"),
    [
        ("lenet5", [(32, 7, 7), (64, 4, 4), (128, 2, 2)], 512),
        ("vgg16", [(32, 8, 8), (64, 4, 4), (128, 2, 2)], 512),
        ("resnet50", [(32, 28, 28), (64, 14, 14), (128, 7, 7)], 6272),
    ],
)
def test_d_has_the_shapes_of_tables_a2_a4_and_a6(
    name: str, layers: list[tuple[int, ...]], dense: int
):
    with torch.device("meta"):
        d = discriminator(name, "block1")
        seen = shapes_of(d, torch.zeros(2, *BACKBONES[name].splits["block1"].output))
    assert [seen[f"conv{i}"] for i in (1, 2, 3)] == layers
    assert d.dense.in_features == dense


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_filters_that_are_weighed_and_compared_are_there(name: str, split: str):
    whole = backbone(name, split)
    with torch.device("meta"):
        e, c = whole.extractor(), whole.classifier(3)
        assert isinstance(e.get_submodule(whole.filter_layer), nn.Conv2d)
        for layer in whole.extractor_maps:
            assert isinstance(e.get_submodule(layer), nn.Conv2d)
        for layer in whole.map_layers:
            assert isinstance(c.get_submodule(layer), nn.Conv2d)
        head = c.get_submodule(whole.head)
        assert (head.in_features, head.out_features) == (whole.hidden, 3)
        channels = e.get_submodule(whole.filter_layer).out_channels
    assert channels == BACKBONES[name].splits[split].output[0]


def test_delta_compares_the_layers_of_f19():
    assert backbone("lenet5").map_layers == ("conv",)
    assert backbone("vgg16").map_layers == ("features.28",)
    resnet = backbone("resnet50")
    assert resnet.extractor_maps == ("layer1.2.conv3",)
    assert resnet.map_layers == ("layer2.3.conv3", "layer3.5.conv3", "layer4.2.conv3")
