"""Filter weights, Eq. 5 to 7, against plain loops and numbers worked out by hand."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from narrow import both, narrow

from dfgctl import attention
from dfgctl.networks.lenet5 import LeNet5Classifier, LeNet5Extractor
from dfgctl.pack import Replicated


def networks(replicas: int) -> tuple[list, list]:
    torch.manual_seed(3)
    return (
        [LeNet5Extractor().double() for _ in range(replicas)],
        [LeNet5Classifier(10).double() for _ in range(replicas)],
    )


def slow_loss(extractor, classifier, image, label) -> float:
    logits = classifier(extractor(image[None]))[0].tolist()
    largest = max(logits)
    return math.log(sum(math.exp(v - largest) for v in logits)) + largest - logits[label]


def without_filter(network, layer: str, j: int):
    changed = copy.deepcopy(network)
    with torch.no_grad():
        getattr(changed, layer).weight[j] = 0
    return changed


@torch.no_grad()
def slow_weights(extractor, classifier, images, labels, classes: int) -> list[list[float]]:
    """Eq. 5 and 6, one image and one filter at a time."""
    n_f = extractor.conv.weight.shape[0]
    total = [[0.0] * n_f for _ in range(classes)]
    counts = [0] * classes
    for image, label in zip(images, labels.tolist(), strict=True):
        whole = slow_loss(extractor, classifier, image, label)
        gaps = []
        for j in range(n_f):
            less = without_filter(extractor, "conv", j)
            gaps.append(slow_loss(less, classifier, image, label) - whole)
        exps = [math.exp(g) for g in gaps]
        for j in range(n_f):
            total[label][j] += exps[j] / sum(exps)
        counts[label] += 1
    return [[n_f * t / counts[c] if counts[c] else 1.0 for t in total[c]] for c in range(classes)]


@pytest.mark.parametrize("replicas", [1, 2])
def test_filter_weights_equal_the_plain_loop(replicas: int):
    extractors, classifiers = networks(replicas)
    images = torch.randn(replicas, 7, 1, 32, 32, dtype=torch.float64)
    labels = torch.tensor([[0, 1, 1, 3, 3, 3, 9], [2, 2, 0, 1, 5, 5, 4]])[:replicas]
    expected = [
        slow_weights(extractors[r], classifiers[r], images[r], labels[r], 10)
        for r in range(replicas)
    ]
    real = torch.ones_like(labels, dtype=torch.bool)
    batches = [
        (images[:, :4], labels[:, :4], real[:, :4]),
        (images[:, 4:], labels[:, 4:], real[:, 4:]),
    ]
    got = attention.filter_weights(
        Replicated(extractors), Replicated(classifiers), "E.conv", batches, 10
    )
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(got.mean(2), torch.ones(replicas, 10, dtype=torch.float64))


def test_padding_does_not_count():
    extractors, classifiers = networks(1)
    E, C = Replicated(extractors), Replicated(classifiers)
    images = torch.randn(1, 4, 1, 32, 32, dtype=torch.float64)
    labels = torch.tensor([[0, 1, 1, 1]])
    real = torch.tensor([[True, True, False, False]])
    got = attention.filter_weights(E, C, "E.conv", [(images, labels, real)], 2)
    alone = attention.filter_weights(
        E, C, "E.conv", [(images[:, :2], labels[:, :2], real[:, :2])], 2
    )
    torch.testing.assert_close(got, alone)


def test_removing_a_filter_keeps_its_bias():
    extractors, classifiers = networks(1)
    images = torch.randn(1, 2, 1, 32, 32, dtype=torch.float64)
    labels = torch.tensor([[4, 7]])
    got = attention.ablation_gaps(
        Replicated([copy.deepcopy(extractors[0])]),
        Replicated(classifiers),
        "E.conv",
        images,
        labels,
    )
    with torch.no_grad():
        for b, label in enumerate([4, 7]):
            whole = slow_loss(extractors[0], classifiers[0], images[0, b], label)
            for j in range(6):
                less = without_filter(extractors[0], "conv", j)
                gap = slow_loss(less, classifiers[0], images[0, b], label) - whole
                assert got[0, b, j].item() == pytest.approx(gap)


def test_gaps_of_the_classifiers_filters():
    extractors, classifiers = networks(1)
    images = torch.randn(1, 1, 1, 32, 32, dtype=torch.float64)
    got = attention.ablation_gaps(
        Replicated(extractors),
        Replicated([copy.deepcopy(classifiers[0])]),
        "C.conv",
        images,
        torch.tensor([[2]]),
    )
    assert got.shape == (1, 1, 16)
    with torch.no_grad():
        whole = slow_loss(extractors[0], classifiers[0], images[0, 0], 2)
        less = without_filter(classifiers[0], "conv", 5)
        gap = slow_loss(extractors[0], less, images[0, 0], 2) - whole
    assert got[0, 0, 5].item() == pytest.approx(gap)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("name", ["lenet5", "vgg16", "resnet50"])
@torch.no_grad()
def test_gaps_equal_whole_passes_with_a_filters_weights_at_zero(
    monkeypatch: pytest.MonkeyPatch, name: str, replicas: int
):
    network = narrow(monkeypatch, name)
    alone = [both(network, 3, key) for key in range(replicas)]
    packs = [Replicated([copy.deepcopy(parts[i]) for parts in alone]).eval() for i in (0, 1)]
    side = 16 if name == "resnet50" else 32
    images = torch.randn(replicas, 2, 1 if name == "lenet5" else 3, side, side).double()
    labels = torch.tensor([[0, 2], [1, 1]])[:replicas]
    layers = {f"E.{n}" for n in (network.filter_layer, *network.extractor_maps)}
    for layer in [*sorted(layers), *(f"C.{n}" for n in network.map_layers)]:
        got = attention.ablation_gaps(*packs, layer, images, labels)
        part, _, conv = layer.partition(".")
        count = alone[0][part == "C"].get_submodule(conv).out_channels
        assert got.shape == (replicas, 2, count)
        for r, (extractor, classifier) in enumerate(alone):
            whole = F.cross_entropy(classifier(extractor(images[r])), labels[r], reduction="none")
            for j in {0, count // 2, count - 1}:
                less = [copy.deepcopy(extractor), copy.deepcopy(classifier)]
                less[part == "C"].get_submodule(conv).weight[j] = 0
                logits = less[1](less[0](images[r]))
                gap = F.cross_entropy(logits, labels[r], reduction="none") - whole
                torch.testing.assert_close(got[r, :, j], gap, rtol=1e-7, atol=1e-11)
        assert got.abs().max() > 1e-6


def test_a_filter_whose_loss_hurts_most_weighs_most():
    gaps = torch.tensor([[[0.0, math.log(3.0)]]])  # without filter 1 the loss is higher
    assert gaps.softmax(2).tolist()[0][0] == pytest.approx([0.25, 0.75])


def test_mix_is_equation_7():
    source, target = torch.tensor([[[1.2, 0.8]]]), torch.tensor([[[0.4, 1.6]]])
    assert attention.mixed_weights(source, target, 0.75).flatten().tolist() == pytest.approx(
        [1.0, 1.0]
    )
    assert torch.equal(attention.mixed_weights(source, target, 1.0), source)
    assert torch.equal(attention.mixed_weights(source, target, 0.0), target)


def test_threshold_keeps_what_is_above_delta_as_it_is():
    weights = torch.tensor([[[0.94, 0.95, 0.96, 1.5]]])
    got = attention.thresholded(weights, 0.95).flatten().tolist()
    assert got == pytest.approx([0.0, 0.0, 0.96, 1.5])
    assert torch.equal(attention.thresholded(weights, 0.0), weights)


def test_channel_weights_are_standardised_gaps_through_a_softmax():
    gaps = torch.tensor([[[1.0, 3.0], [1.0, 3.0]]], dtype=torch.float64)  # mean 1 and 3
    e = math.exp
    expected = [e(-1 / 5) / (e(-1 / 5) + e(1 / 5)), e(1 / 5) / (e(-1 / 5) + e(1 / 5))]
    assert attention.channel_weights(gaps, 5.0)[0].tolist() == pytest.approx(expected)
    equal = attention.channel_weights(torch.zeros(1, 2, 4), 5.0)
    assert equal[0].tolist() == pytest.approx([0.25] * 4)


def test_no_batches_is_an_error():
    extractors, classifiers = networks(1)
    with pytest.raises(ValueError, match="at least one batch"):
        attention.filter_weights(Replicated(extractors), Replicated(classifiers), "E.conv", [], 10)
