"""The parameters that a run trains are counted without torch, and as its networks have them."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from specs import spec

from dfgctl.data.arrays import ImageArrays
from dfgctl.ledger import SWITCHES
from dfgctl.lookup import source_backbone_of
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.counts import trained_parameters
from dfgctl.networks.generator import NOISE
from dfgctl.training import Trainer

COUNTS = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
QUICK = {"reg": {"weight_batches": 1, "head_epochs": 1}}
OWN: dict[str, dict[str, Any]] = {
    "original": {},
    "finetune": {},
    "delta": {},
    "difa": {"units": 24, "components": 3, "noise": 7, "n_D": 1},
    "dfg": {"noise": 31, "weight_images": 1, "n_D": 1},
    "ldam": {"init": "source"},
    "smote": {},
}
REGULARISED = ("delta", "dfg")


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("reading", ["paper", "released"])
def test_counts_are_those_of_the_networks_in_training(
    digits: ImageArrays, method: str, reading: str
) -> None:
    sections: dict[str, Any] = dict(QUICK) if method in REGULARISED else {}
    if reading == "released":
        sections["fidelity"] = dict.fromkeys(SWITCHES, "released")
    made = spec(method, own={**OWN[method], "batch_size": 8}, sections=sections)
    backbone = source_backbone_of(made)
    networks = {"E": backbone.extractor(), "C": backbone.classifier(10)}
    state = {f"{n}.{k}": v for n, net in networks.items() for k, v in net.state_dict().items()}
    source = SourceWeights(state, 10) if method != "original" else None
    trainer = Trainer([made], [COUNTS], digits, source, torch.device("cpu"), torch.float32)
    try:
        trained = [p for net in trainer.method.networks().values() for p in net.parameters()]
        assert trained_parameters(made, 10) == sum(p.numel() for p in trained)
    finally:
        trainer.close()


def resnet50(method: str, own: dict[str, Any], **sections: Any) -> Any:
    made = spec(method, own=own, sections=sections)
    return replace(made, backbone="resnet50")


def test_dfg_on_caltech_256_has_the_parameters_of_table_4() -> None:
    dfg = resnet50("dfg", {"noise": 4900})
    assert trained_parameters(dfg, 257) == 73_590_722 == 49_089_024 + 467_073 + 24_034_625
    assert trained_parameters(resnet50("delta", {}), 257) == 24_034_625
    assert trained_parameters(resnet50("delta", {}), 1000) == 25_557_032  # what Table 4 has


def test_a_later_split_has_others() -> None:
    split = resnet50("dfg", {"noise": 4900}, network={"split": "block4"})
    assert trained_parameters(split, 257) == BACKBONES["resnet50"].dfg_parameters(257, "block4")


def test_a_method_of_one_s_own_cannot_be_counted() -> None:
    assert trained_parameters(replace(spec(), method="mine"), 10) is None


def test_the_noise_that_is_counted_with_is_the_papers() -> None:
    assert {name: info.noise for name, info in BACKBONES.items()} == NOISE
