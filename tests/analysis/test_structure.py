"""Outlines of the networks, against the tables of appendix A and the networks themselves."""

import pytest

from dfgctl import recipe as recipes
from dfgctl.analysis.structure import structure
from dfgctl.errors import InputError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.outline import Outline, written
from dfgctl.report import published


def rows(network: Outline) -> list[tuple[str, str, str]]:
    """Return layer, activation and shape, as the paper's tables have them."""
    return [
        (f"{line.count} x {line.what}" if line.count > 1 else line.what, line.activation, shape)
        for line, shape in ((line, written(line.shape)) for line in network.lines)
    ]


@pytest.mark.parametrize("name", recipes.names())
def test_totals_are_those_that_planning_knows(name: str) -> None:
    found, info = structure(recipes.load(name)), BACKBONES[recipes.load(name).backbone]
    networks = found.networks
    assert networks["G"].parameters == info.generator_parameters(found.classes)
    both = networks["E"].parameters + networks["C"].parameters
    assert both == info.classifier_parameters(found.classes)
    assert found.parameters == info.dfg_parameters(found.classes)
    assert networks["E"].output == networks["G"].output == networks["C"].input
    assert networks["D"].input == networks["C"].input
    assert networks["C"].output == (found.classes,)


def test_the_total_for_caltech256_is_table_4s() -> None:
    cost = published.everything()["cost"]
    assert structure(recipes.load(cost["dataset"])).parameters == cost["dfg"]["parameters"]


def test_lenet5_is_that_of_tables_a1_and_a2() -> None:
    networks = structure(recipes.load("fmnist")).networks
    assert rows(networks["E"]) == [
        ("conv 5×5", "", "28×28×6"),
        ("max pool 2×2", "ReLU", "14×14×6"),
    ]
    assert rows(networks["C"]) == [
        ("conv 5×5", "", "10×10×16"),
        ("max pool 2×2", "ReLU", "5×5×16"),
        ("dense", "ReLU", "120"),
        ("dense", "ReLU", "84"),
        ("dense", "", "10"),
    ]
    assert rows(networks["G"]) == [
        ("dense", "", "4×4×128"),
        ("batch norm", "", "4×4×128"),
        ("transposed conv 3×3, stride 2", "lReLU", "9×9×48"),
        ("batch norm", "", "9×9×48"),
        ("transposed conv 3×3", "lReLU", "11×11×12"),
        ("batch norm", "", "11×11×12"),
        ("transposed conv 4×4", "tanh · W*", "14×14×6"),
        ("batch norm", "", "14×14×6"),
    ]
    assert networks["G"].input == (110,)
    assert rows(networks["D"]) == [
        ("conv 5×5, stride 2", "lReLU", "7×7×32"),
        ("conv 5×5, stride 2", "lReLU", "4×4×64"),
        ("conv 5×5, stride 2", "lReLU", "2×2×128"),
        ("dense", "", "1"),
    ]


def test_equal_layers_of_vgg16_stand_together_as_in_table_a3() -> None:
    networks = structure(recipes.load("cinic10")).networks
    assert rows(networks["E"]) == [
        ("2 x conv 3×3", "ReLU", "32×32×64"),
        ("max pool 2×2", "", "16×16×64"),
    ]
    assert rows(networks["C"])[:3] == [
        ("2 x conv 3×3", "ReLU", "16×16×128"),
        ("max pool 2×2", "", "8×8×128"),
        ("3 x conv 3×3", "ReLU", "8×8×256"),
    ]
    # 64 to 128 and 128 to 128 filters of 3x3, with biases.
    assert networks["C"].lines[0].parameters == (64 + 128) * 128 * 9 + 2 * 128


def test_residual_blocks_of_resnet50_are_those_of_table_a5() -> None:
    networks = structure(recipes.load("caltech256")).networks
    assert rows(networks["E"]) == [
        ("conv 7×7, stride 2", "", "112×112×64"),
        ("batch norm", "ReLU", "112×112×64"),
        ("max pool 3×3, stride 2", "", "56×56×64"),
        ("residual block 1 (3 bottlenecks)", "ReLU", "56×56×256"),
    ]
    assert rows(networks["C"]) == [
        ("residual block 2 (4 bottlenecks)", "ReLU", "28×28×512"),
        ("residual block 3 (6 bottlenecks)", "ReLU", "14×14×1024"),
        ("residual block 4 (3 bottlenecks)", "ReLU", "7×7×2048"),
        ("average pool", "", "1×1×2048"),
        ("dense", "", "257"),
    ]
    assert networks["G"].input == (4900 + 257,)


@pytest.mark.parametrize("split", BACKBONES["resnet50"].splits)
def test_every_split_has_the_shape_of_table_3(split: str) -> None:
    found = structure(recipes.load("caltech256"), split)
    assert found.split == split
    stated = published.everything()["blocks"][split]["shape"]
    assert written(found.networks["E"].output) == stated.replace(" x ", "×")
    assert found.parameters == BACKBONES["resnet50"].dfg_parameters(257, split)


def test_a_network_that_cannot_be_split_there_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be split at 'block2'"):
        structure(recipes.load("fmnist"), "block2")


def test_ones_own_pictures_are_refused() -> None:
    own = recipes.load("fmnist").model_copy(update={"name": "pictures"})
    with pytest.raises(InputError, match="not known without its pictures"):
        structure(own)
