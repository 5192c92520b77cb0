"""Activation maps: the classic ones against the logit, Grad-CAM against plain gradients."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dfgctl.analysis import activation
from dfgctl.analysis.activation import activation_maps, is_classic, probabilities, weighed
from dfgctl.analysis.comparison import compare
from dfgctl.errors import InputError

CLASSES = np.array([0, 2, 1])


def colour(count: int = 3, channels: int = 3) -> Any:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, channels, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("split", ["block1", "block4"])
def test_a_classic_map_has_the_logit_as_its_mean(split: str, make_trained: Any) -> None:
    trained = make_trained("delta", "resnet50", split)
    assert is_classic(trained)
    x = trained.seen(colour())
    maps = activation._classic(trained, x, torch.from_numpy(CLASSES))
    network = trained.classifier
    with torch.no_grad():
        logits = network.C(network.E(x))[range(3), CLASSES]
    torch.testing.assert_close(
        maps.mean((1, 2)) + network.C.fc.bias[CLASSES], logits, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "method", "layer"),
    [
        *(("lenet5", "dfg", "conv"), ("vgg16", "dfg", "features.28")),
        *(("lenet5", "difa", "conv"), ("vgg16", "ldam", "features.28")),
    ],
)
def test_grad_cam_is_what_plain_gradients_give(
    name: str, method: str, layer: str, make_trained: Any
) -> None:
    trained = make_trained(method, name)
    assert not is_classic(trained)
    network = trained.classifier
    pixels = colour(channels=1 if name == "lenet5" else 3)
    (conv,) = network.C(network.E(trained.seen(pixels)), stop=layer)
    conv = conv.detach().requires_grad_()
    chosen = network.C(conv, resume=layer)[range(3), CLASSES].sum()
    (slope,) = torch.autograd.grad(chosen, conv)
    by_hand = (slope.mean((2, 3), keepdim=True) * conv).sum(1).detach()
    whole = F.interpolate(by_hand[:, None], (32, 32), mode="bilinear")[:, 0].clamp(min=0)
    assert weighed(trained) == (f"C.{layer}", False)
    found = activation_maps(trained, pixels, CLASSES)
    assert found.shape == (3, 32, 32)
    np.testing.assert_allclose(found, whole.numpy(), atol=1e-6)


@pytest.mark.parametrize("method", ["difa", "ldam"])
def test_a_resnet_whose_head_weighs_no_plain_means_has_grad_cam(
    method: str, make_trained: Any
) -> None:
    trained = make_trained(method, "resnet50")
    assert not is_classic(trained)
    C = trained.classifier.C
    last, _ = C.through(trained.classifier.E(trained.seen(colour())), None, "", "")
    last = last.detach().requires_grad_()
    means = last.mean((2, 3))
    chosen = C.fc(torch.tanh(means) if method == "difa" else means)[range(3), CLASSES].sum()
    (slope,) = torch.autograd.grad(chosen, last)
    by_hand = (slope.mean((2, 3), keepdim=True) * last).sum(1).detach()
    whole = F.interpolate(by_hand[:, None], (32, 32), mode="bilinear")[:, 0].clamp(min=0)
    found = activation_maps(trained, colour(), CLASSES)
    np.testing.assert_allclose(found, whole.numpy(), atol=1e-6)


def test_maps_do_not_depend_on_the_other_pictures(make_trained: Any) -> None:
    trained = make_trained("delta", "resnet50")
    whole = activation_maps(trained, colour(), CLASSES)
    alone = activation_maps(trained, colour()[1:2], CLASSES[1:2])
    np.testing.assert_allclose(alone[0], whole[1], atol=1e-5)


def test_probabilities_are_the_classifiers(make_trained: Any, arrays: Any) -> None:
    trained = make_trained()
    plain = trained.classifier.probabilities(torch.from_numpy(arrays.test)).numpy()
    np.testing.assert_allclose(probabilities(trained, arrays.test), plain, atol=1e-6)


def test_methods_are_shown_the_same_pictures_of_minority_classes(
    make_trained: Any, arrays: Any
) -> None:
    networks = {"delta": make_trained("delta"), "dfg": make_trained("dfg")}
    seen, maps = compare(networks, arrays, 2, None, 6, "true", 0)
    assert (seen.shown, len(seen.index), list(maps)) == (2, 6, ["delta", "dfg"])
    assert set(seen.labels) <= {0, 2}  # the majority class is 1
    np.testing.assert_array_equal(seen.pixels, arrays.test[seen.index])
    assert seen.kind == "Grad-CAM at the last convolution (C.conv)"
    for method, network in networks.items():
        chances = probabilities(network, arrays.test[seen.index])
        assert maps[method].predicted.tolist() == chances.argmax(1).tolist()
        expected = activation_maps(network, arrays.test[seen.index], seen.labels)
        np.testing.assert_allclose(maps[method].maps, expected)
    other, _ = compare(networks, arrays, 2, None, 6, "true", 1)
    assert seen.index.tolist() != other.index.tolist()


def test_maps_may_be_of_the_predicted_class(make_trained: Any, arrays: Any) -> None:
    networks = {"dfg": make_trained("dfg")}
    seen, maps = compare(networks, arrays, 1, (3, 0), 1, "predicted", 0)
    assert (seen.index.tolist(), seen.shown, seen.how) == ([3, 0], 2, "named with --pictures")
    predicted = maps["dfg"].predicted
    expected = activation_maps(networks["dfg"], arrays.test[[3, 0]], predicted)
    np.testing.assert_allclose(maps["dfg"].maps, expected)


def test_without_minority_classes_all_pictures_may_be_chosen(
    make_trained: Any, arrays: Any
) -> None:
    trained = make_trained()
    spec = replace(trained.run.spec, combination=(), ratio="1:1")
    even = replace(trained, run=replace(trained.run, spec=spec))
    seen, _ = compare({"dfg": even}, arrays, 2, None, 100, "true", 0)
    assert sorted(seen.index.tolist()) == list(range(15))
    assert seen.how == "of all classes, by seed 0"


def test_a_picture_that_is_not_there_is_named(make_trained: Any, arrays: Any) -> None:
    with pytest.raises(InputError, match="no test picture 15: they are 0 to 14"):
        compare({"dfg": make_trained()}, arrays, 1, (3, 15), 1, "true", 0)
