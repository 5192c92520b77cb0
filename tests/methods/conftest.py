"""A small pack of real digits for the methods."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dfgctl import recipe as recipes
from dfgctl import seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Batches, Images
from dfgctl.methods.base import Context, SourceWeights
from dfgctl.networks.backbones import backbone, seeded

COMBINATIONS = ((0, 4), (1, 7), (2, 3), (5, 9))


@pytest.fixture
def source() -> SourceWeights:
    """A source network with random weights: what it knows does not matter here."""
    lenet = backbone("lenet5")
    networks = {
        "E": seeded(lenet.extractor, 1, "E"),
        "C": seeded(lambda: lenet.classifier(10), 1, "C"),
    }
    return SourceWeights(
        {f"{n}.{k}": v for n, net in networks.items() for k, v in net.state_dict().items()}, 10
    )


@pytest.fixture
def context(digits: ImageArrays, source: SourceWeights) -> Callable[..., Context]:
    """Makes the context of a pack of some replicas, float64, 8 images a batch."""

    def make(replicas: range, batch_size: int = 8, dtype: torch.dtype = torch.float64) -> Context:
        keys = tuple(seeding.run_key(0, COMBINATIONS[r]) for r in replicas)
        images = Images.on(torch.device("cpu"), digits.train, digits.train_labels)
        subsets = []
        for r in replicas:
            order = np.argsort(digits.train_labels, kind="stable")
            subsets.append(order[r::20])  # 44 or 45 images of all classes
        batches = Batches(images, subsets, keys, batch_size, dtype)
        return Context(backbone("lenet5"), 10, keys, batches, source)

    return make


@pytest.fixture
def settings():
    """The digits recipe's section of a method, changed as asked."""
    recipe = recipes.load("digits")

    def get(name: str, **changes):
        section = recipe.section(name)
        return type(section).model_validate({**section.values(), **changes})

    return get
