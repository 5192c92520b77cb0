"""Loading and downloading: what torchvision reads is brought to 32x32, upright, labels from 0."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from dfgctl.data import fetch, sources
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, manifest, missing_files
from dfgctl.data.views import VIEWS
from dfgctl.errors import DataCorruptError, DataMissingError

Make = Callable[[str], Any]


def load(info: Any, root: Path) -> Any:
    return sources.load(info, root, VIEWS["lenet5"], root / "prepared")


NAMES = ["fmnist", "mnist", "emnist-digits", "emnist-letters"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_padded_to_32_by_32_and_stand_upright(name: str, small: Make) -> None:
    data = small(name)
    arrays = load(data.info, data.root)
    for split, loaded in (("train", arrays.train), ("test", arrays.test)):
        upright = data.images[split]
        if name.startswith("emnist"):
            upright = upright.transpose(0, 2, 1)  # NIST publishes EMNIST transposed
        assert loaded.shape == (len(upright), 1, 32, 32)
        assert loaded.dtype == np.uint8
        assert np.array_equal(loaded[:, 0, 2:30, 2:30], upright)
        assert loaded.sum() == upright.sum()


@pytest.mark.parametrize("name", NAMES)
def test_labels_start_at_0(name: str, small: Make) -> None:
    data = small(name)
    arrays = load(data.info, data.root)
    first = 1 if name == "emnist-letters" else 0
    for split, loaded in (("train", arrays.train_labels), ("test", arrays.test_labels)):
        assert loaded.dtype == np.int64
        assert np.array_equal(loaded, data.labels[split].astype(np.int64) - first)
    assert set(arrays.train_labels) == set(range(len(data.info.classes)))


def test_what_loads_are_the_files_that_were_checked(small: Make) -> None:
    # Old versions of torchvision left such files, and new ones still prefer them.
    data = small("mnist")
    folder = data.root / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for file, split in (("training.pt", "train"), ("test.pt", "test")):
        other = torch.zeros((len(data.images[split]), 28, 28), dtype=torch.uint8)
        torch.save((other, torch.zeros(len(other), dtype=torch.int64)), folder / file)
    arrays = load(data.info, data.root)
    assert np.array_equal(arrays.train[:, 0, 2:30, 2:30], data.images["train"])


def test_a_file_that_torchvision_cannot_read_is_reported(small: Make) -> None:
    data = small("fmnist")
    file = data.file("train", "images")
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DataCorruptError, match=r"F-MNIST in .* cannot be read") as error:
        load(data.info, data.root)
    assert str(data.root) in str(error.value)


def test_nothing_is_downloaded_where_all_files_are_there(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small("fmnist")
    monkeypatch.setattr(fetch, "_torchvision", lambda *_, **__: pytest.fail("it was asked"))
    fetch.fetch(data.info, data.root)
    fetch.fetch(DATASETS["digits"], data.root)


@pytest.mark.parametrize(
    ("name", "class_name", "error"),
    [
        ("fmnist", "FashionMNIST", URLError("no network here")),
        ("mnist", "MNIST", RuntimeError("Error downloading\n  train-images")),
        ("emnist-letters", "EMNIST", OSError(28, "No space left on device")),
    ],
)
def test_a_failed_download_says_which_files_to_put_where(
    name: str,
    class_name: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torchvision import datasets

    def fail(*_: object, download: bool, **__: object) -> None:
        assert download
        raise error

    monkeypatch.setattr(datasets, class_name, fail)
    info = DATASETS[name]
    assert info.files is not None
    with pytest.raises(DataMissingError) as raised:
        fetch.fetch(info, tmp_path)
    message = str(raised.value)
    parts = [*info.files.names(), str(tmp_path / info.files.folder), "--data-dir", "DFGCTL_DATA"]
    for part in parts:
        assert part in message
    assert "\n" not in message
    assert raised.value.__cause__ is error


def test_a_download_asks_torchvision_for_both_halves(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    data = small("emnist-letters")
    data.file("test", "labels").unlink()
    asked = []

    def download(root: Path, split: str, train: bool, download: bool) -> None:
        asked.append((root, split, train, download))

    monkeypatch.setattr(datasets, "EMNIST", download)
    fetch.fetch(data.info, data.root)
    assert asked == [(data.root, "letters", True, True), (data.root, "letters", False, True)]


# Real data


def load_real(name: str, real_data: Path, tmp_path: Path) -> tuple[Any, Any]:
    found = manifest(DATASETS[name], real_data, ChecksumCache(tmp_path / "cache.json"))
    return found, load(DATASETS[name], real_data)


@pytest.mark.data
def test_the_real_fashion_mnist_is_the_published_one(real_data: Path, tmp_path: Path) -> None:
    found, arrays = load_real("fmnist", real_data, tmp_path)
    assert found.train_counts == (6000,) * 10
    assert found.test_counts == (1000,) * 10
    assert np.bincount(arrays.train_labels).tolist() == [6000] * 10
    assert arrays.train.shape == (60_000, 1, 32, 32)
    inner = arrays.train[:, 0, 2:30, 2:30]
    assert arrays.train.sum(dtype=np.int64) == inner.sum(dtype=np.int64)
    assert inner.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert inner.std(dtype=np.float64) / 255 == pytest.approx(0.3530, abs=5e-5)


@pytest.mark.data
def test_the_real_mnist_is_the_published_one(real_data: Path, tmp_path: Path) -> None:
    found, arrays = load_real("mnist", real_data, tmp_path)
    assert found.train_counts == (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    assert found.test_counts == (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert np.bincount(arrays.test_labels).tolist() == list(found.test_counts)
    assert arrays.train[:, 0, 2:30, 2:30].mean() / 255 == pytest.approx(0.1307, abs=5e-5)


@pytest.mark.data
def test_the_real_emnist_letters_are_26_classes_that_stand_upright(
    real_data: Path, tmp_path: Path
) -> None:
    found, arrays = load_real("emnist-letters", real_data, tmp_path)
    assert found.train_counts == (4800,) * 26
    assert found.test_counts == (800,) * 26
    letters = DATASETS["emnist-letters"].classes
    mean = {
        letter: arrays.test[arrays.test_labels == c, 0].mean(0) for c, letter in enumerate(letters)
    }

    def spread(picture: np.ndarray, axis: int) -> float:
        weight = picture.sum(1 - axis) / picture.sum()
        place = np.arange(32)
        return float(np.sqrt(weight @ (place - weight @ place) ** 2))

    # A mean I is taller than wide, and a mean M is not: lying images would swap the two.
    for letter in "ijl":
        assert spread(mean[letter], 0) > 1.3 * spread(mean[letter], 1), letter
    assert spread(mean["m"], 1) > spread(mean["m"], 0)
    # A mean P has its stem at the lower left and nothing at the lower right: not mirrored.
    lower, upper = mean["p"][18:], mean["p"][:14]
    assert lower[:, :16].sum() > 2 * lower[:, 16:].sum()
    assert upper[:, 16:].sum() > 2 * lower[:, 16:].sum()
    assert missing_files(DATASETS["emnist-letters"], real_data) == []
