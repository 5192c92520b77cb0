"""Each recipe trains every method for two steps, on small files in the data set's own format."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dfgctl.data.views import VIEWS
from dfgctl.networks import vgg16
from dfgctl.networks.generator import SHAPES, Deconv, Shape

METHODS = ("original", "finetune", "delta", "difa", "dfg")
SMALL = (
    *("--steps", "2", "--repeats", "1", "--eval-every", "2", "--device", "cpu", "--json"),
    *(f"--set={m}.batch_size=2" for m in METHODS),
    *("--set=dfg.n_D=1", "--set=dfg.n_C1=1", "--set=dfg.n_C2=2", "--set=dfg.n_W=2"),
    *("--set=dfg.weight_images=1", "--set=reg.weight_batches=1", "--set=reg.head_epochs=1"),
    *("--set=difa.n_D=1", "--set=difa.share_1=0.2"),
)
NO_UPDATE = tuple(word for word in SMALL if "n_W" not in word)
"""The same, and the first filter weights, which take the most time, are the only ones."""

SOURCE = ("--set=source.steps=2", "--set=source.batch_size=2")


def trained(result, methods=METHODS):
    """Check that all methods are finished and have sound numbers."""
    assert result.code == 0, result.err
    runs = {r["method"]: r for r in result.json}
    assert tuple(runs) == methods
    for run in runs.values():
        assert run["status"] == "finished"
        assert 0 <= run["metrics"]["accuracy_last"] <= 1
        assert run["metrics"]["best_step"] in (0, 2)
    return runs


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """A file of weights as torchvision publishes them: 1,000 classes, torchvision's names."""
    from torchvision.models import resnet50

    file = tmp_path / "resnet50.pth"
    torch.manual_seed(0)
    torch.save(resnet50(weights=None).state_dict(), file)
    return file


@pytest.fixture
def narrow_vgg16(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16 without most of the 103 million weights of its first dense layer."""
    monkeypatch.setattr(vgg16, "DENSE", (64, 32))


@pytest.fixture
def small_resnet50(monkeypatch: pytest.MonkeyPatch) -> None:
    """ResNet-50 on pictures of 32x32, and a G for it: a small part of the time."""
    monkeypatch.setitem(VIEWS, "resnet50", replace(VIEWS["resnet50"], stored=40, crop=32))
    shape = Shape(8, (Deconv(256, 4, 2, 1),))  # 4 -> 8
    monkeypatch.setitem(SHAPES, ("resnet50", "block1"), shape)


def test_svhn_trains_in_grey_after_emnist_digits(cli, small_data):
    small_data("svhn", train=6, test=2)
    small_data("emnist-digits", train=4, test=2)
    counts = ("--set=imbalance.majority_count=6", "--imbalance=3:1")
    runs = trained(cli("run", "svhn", *SMALL, *SOURCE, *counts))
    assert sorted(runs["dfg"]["class_counts"]) == [2] * 8 + [6] * 2
    assert runs["dfg"]["source"] == "emnist-digits"
    assert runs["dfg"]["settings"]["dfg"]["eta_G"] == 2e-4


def test_fmnist_trains_padded(cli, small_data):
    small_data("fmnist", train=6, test=2)
    small_data("mnist", train=4, test=2)
    counts = ("--set=imbalance.majority_count=6", "--imbalance=3:1", "--source=mnist")
    trained(cli("run", "fmnist", *SMALL, *SOURCE, *counts))


def test_stl10_trains_balanced_on_vgg16_after_cifar10(cli, small_data, narrow_vgg16):
    small_data("stl10", train=3, test=1)
    small_data("cifar10", train=5, test=1)
    methods = ("finetune", "dfg")
    only = [f"--method={m}" for m in methods]
    runs = trained(cli("run", "stl10", *only, *NO_UPDATE, *SOURCE), methods)
    assert runs["dfg"]["ratio"] == "1:1"
    assert runs["dfg"]["backbone"] == "vgg16"
    assert runs["dfg"]["class_counts"] == [3] * 10


def test_cinic10_also_reports_without_the_sources_images(cli, small_data, narrow_vgg16):
    small_data("cinic10", train=4, test=2)
    small_data("cifar10", train=5, test=1)
    methods = ("original", "delta", "difa")
    only = [f"--method={m}" for m in methods]
    counts = ("--set=imbalance.majority_count=4", "--imbalance=2:1", "--majority=8")
    runs = trained(cli("run", "cinic10", *only, *SMALL, *SOURCE, *counts), methods)
    for run in runs.values():
        # Of two test images a class, one is CIFAR-10's.
        confusion = run["metrics"]["confusion"]
        assert sum(map(sum, confusion)) == 20
        assert run["metrics"]["accuracy_unseen"] * 10 == pytest.approx(
            round(run["metrics"]["accuracy_unseen"] * 10)
        )
    assert sorted(runs["delta"]["class_counts"]) == [2] * 2 + [4] * 8
    assert "CINIC-10, last step, without the test images" in cli("table").out.replace("\n", " ")


def test_caltech256_trains_on_resnet50_from_torchvisions_weights(
    cli, small_data, imagenet, small_resnet50
):
    small_data("caltech256", train=2, test=1, classes=2)
    methods = ("finetune", "dfg")
    only = [f"--method={m}" for m in methods]
    # Random weights stand in for ImageNet's: at the recipe's rates they would diverge.
    weights = ("--source-weights", imagenet, "--set=finetune.lr=1e-9")
    weights += ("--set=dfg.eta_E=1e-9", "--set=dfg.eta_C=1e-9")
    runs = trained(cli("run", "caltech256", *only, *SMALL, *weights), methods)
    assert runs["dfg"]["settings"]["dfg"]["noise"] == 4900
    assert runs["dfg"]["settings"]["dfg"]["optimizer"] == "sgd"
    assert runs["dfg"]["class_counts"] == [2, 2]


def test_food101_trains_at_full_size_and_splits_where_it_is_told(cli, small_data, imagenet):
    small_data("food101", train=6, test=1, classes=2)
    counts = ("--majority=1", "--set=imbalance.majority_count=6", "--split=block4")
    words = ("--method=dfg", *NO_UPDATE, *counts, "--source-weights", imagenet)
    runs = trained(cli("run", "food101", *words), ("dfg",))
    assert sorted(runs["dfg"]["class_counts"]) == [2, 6]
    assert runs["dfg"]["settings"]["network"] == {"split": "block4"}
