"""The classification networks, each split into feature extractor E and feature classifier C.

Where a network is split, and which layers are weighed or compared, is part of its ``Backbone``.
Feature maps that DELTA compares are returned by ``forward(x, maps=True)``: hooks would depend on
the order of calls, and in-place activations would overwrite what they caught.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dfgctl import seeding
from dfgctl.errors import InputError, UnknownNameError
from dfgctl.ledger import PAPER_READINGS, Readings
from dfgctl.networks import vgg16
from dfgctl.networks.catalog import BACKBONES as INFOS
from dfgctl.networks.lenet5 import (
    PAPER_WIDTHS,
    RELEASED_WIDTHS,
    LeNet5Classifier,
    LeNet5Extractor,
)
from dfgctl.networks.resnet50 import ResNet50Classifier, ResNet50Extractor, last_conv, layers_of
from dfgctl.networks.vgg16 import LAST_CONV, Vgg16Classifier, Vgg16Extractor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Backbone:
    """A network and its split.

    Attributes:
        name: the name in recipes.
        split: where it is split.
        extractor: makes E.
        classifier: makes C for a number of classes.
        filter_layer: name in E of its last convolution, whose filters Eq. 5 weighs.
        extractor_maps: names in E of the convolutions whose outputs ``E(x, maps=True)`` returns;
            empty where DELTA compares E's own output.
        map_layers: names in C of the convolutions whose outputs DELTA compares (F19), in the
            order in which ``C(x, maps=True)`` returns them.
        fixed_in_classifier: prefixes of C's parameters that ``finetune`` keeps fixed, beside all
            of E's: the weights before the last convolution block.
        head: name of the last dense layer in C.
        hidden: units of the last hidden layer, which the head sees.
        keeps_head: whether the source's head is kept where class counts agree (F22).
        weight_chunk: images of a replica whose filters are weighed at a time.
        evaluation_chunk: images that are classified at a time.
    """

    name: str
    split: str
    extractor: Callable[[], nn.Module]
    classifier: Callable[[int], nn.Module]
    filter_layer: str
    extractor_maps: tuple[str, ...]
    map_layers: tuple[str, ...]
    fixed_in_classifier: tuple[str, ...]
    head: str
    hidden: int
    keeps_head: bool
    weight_chunk: int
    evaluation_chunk: int

    def expected(self, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the names (``E.conv.weight``, ...) and shapes of all weights."""
        with torch.device("meta"):
            parts = {"E": self.extractor(), "C": self.classifier(classes)}
        return {
            f"{letter}.{name}": tuple(tensor.shape)
            for letter, network in parts.items()
            for name, tensor in network.state_dict().items()
        }


def backbone(
    name: str,
    split: str = "",
    readings: Readings = PAPER_READINGS,
    bounded: bool = False,
    cosine: bool = False,
) -> Backbone:
    """Return a backbone.

    Args:
        name: its name.
        split: where it is split; the paper's own split where it is empty.
        readings: F09 and F27 change LeNet-5's and VGG-16's dense layers.
        bounded: whether the head sees tanh of the last hidden layer (``difa``).
        cosine: whether the head compares directions alone (``ldam``); it is never the source's.

    Raises:
        UnknownNameError: there is no such backbone.
        InputError: it cannot be split there.
    """
    if name not in INFOS:
        raise UnknownNameError("backbone", name, INFOS)
    splits = tuple(INFOS[name].splits)
    if split and split not in splits:
        where = f"it takes {', '.join(splits)}" if len(splits) > 1 else "leave --split out"
        raise InputError(f"{INFOS[name].title} cannot be split at '{split}': {where}.")
    return _MAKERS[name](split or splits[0], readings, bounded, cosine)


def _lenet5(split: str, readings: Readings, bounded: bool, cosine: bool) -> Backbone:
    widths = RELEASED_WIDTHS if "F09" in readings else PAPER_WIDTHS
    return Backbone(
        name="lenet5",
        split=split,
        extractor=LeNet5Extractor,
        classifier=partial(LeNet5Classifier, widths=widths, bounded=bounded, cosine=cosine),
        filter_layer="conv",
        extractor_maps=(),
        map_layers=("conv",),
        fixed_in_classifier=(),
        head="head",
        hidden=widths[1],
        keeps_head=not cosine,
        weight_chunk=512,
        evaluation_chunk=1000,
    )


def _vgg16(split: str, readings: Readings, bounded: bool, cosine: bool) -> Backbone:
    return Backbone(
        name="vgg16",
        split=split,
        extractor=Vgg16Extractor,
        classifier=partial(
            Vgg16Classifier, dropout="F27" in readings, bounded=bounded, cosine=cosine
        ),
        filter_layer="features.2",
        extractor_maps=(),
        map_layers=(f"features.{LAST_CONV}",),
        # Everything before block 5, whose convolutions are 24, 26 and 28.
        fixed_in_classifier=tuple(f"features.{i}." for i in (5, 7, 10, 12, 14, 17, 19, 21)),
        head="classifier.6",
        hidden=vgg16.DENSE[1],
        keeps_head=not cosine,
        weight_chunk=256,
        evaluation_chunk=500,
    )


def _resnet50(split: str, readings: Readings, bounded: bool, cosine: bool) -> Backbone:
    inner, outer = layers_of(split)
    return Backbone(
        name="resnet50",
        split=split,
        extractor=partial(ResNet50Extractor, split=split),
        classifier=partial(ResNet50Classifier, split=split, bounded=bounded, cosine=cosine),
        filter_layer=last_conv(inner[-1]),
        extractor_maps=tuple(map(last_conv, inner)),
        map_layers=tuple(map(last_conv, outer)),
        fixed_in_classifier=tuple(f"{name}." for name in outer if name != "layer4"),
        head="fc",
        hidden=2048,
        keeps_head=False,
        weight_chunk=32,
        evaluation_chunk=64,
    )


_MAKERS: dict[str, Callable[[str, Readings, bool, bool], Backbone]] = {
    "lenet5": _lenet5,
    "vgg16": _vgg16,
    "resnet50": _resnet50,
}


def seeded(make: Callable[[], nn.Module], run_key: int, name: str) -> nn.Module:
    """Make a network whose initial weights depend on the run's key and the name alone.

    It is made on the CPU, so that every device starts from the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it keeps a call and its traceback for each kind of device, forever.
        torch.default_generator.manual_seed(seeding.substream(run_key, name) >> 1)
        return make()
