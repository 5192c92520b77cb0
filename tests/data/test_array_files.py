"""SVHN, STL-10 and CIFAR-10: small files of the same format go through the real loaders."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from dfgctl.data import sources
from dfgctl.data.manifest import ChecksumCache, Manifest, manifest, missing_files
from dfgctl.data.views import VIEWS
from dfgctl.errors import DataCorruptError, DataMissingError

Make = Callable[..., Any]
NAMES = ["svhn", "stl10", "cifar10"]
VIEW = {"svhn": VIEWS["lenet5"], "stl10": VIEWS["vgg16"], "cifar10": VIEWS["vgg16"]}


def describe(data: Any) -> Manifest:
    return manifest(data.info, data.root, ChecksumCache(data.root / "cache.json"))


def load(data: Any) -> Any:
    return sources.load(data.info, data.root, VIEW[data.info.name], data.root / "prepared")


def pillow(pixels: np.ndarray, mode: str, side: int) -> np.ndarray:
    """Bring one image (C, H, W) to a mode and side with Pillow alone."""
    image = Image.fromarray(pixels.transpose(1, 2, 0)).convert(mode)
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_labels(name: str, small_data: Make) -> None:
    data = small_data(name)
    found = describe(data)
    assert found.train_counts == (6,) * 10
    assert found.test_counts == (3,) * 10
    assert found.classes == data.info.classes
    assert len(found.digest) == 64
    assert describe(data) == found


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_those_that_were_written(name: str, small_data: Make) -> None:
    data = small_data(name)
    arrays = load(data)
    mode = "L" if name == "svhn" else "RGB"
    for split in ("train", "test"):
        pixels, labels = getattr(arrays, split), getattr(arrays, f"{split}_labels")
        assert pixels.dtype == np.uint8
        assert labels.dtype == np.int64
        assert np.array_equal(labels, data.labels[split])
        expected = np.stack([pillow(image, mode, 32) for image in data.pixels[split]])
        assert np.array_equal(pixels, expected)
    assert arrays.test_seen is None


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_part_of_the_digest(name: str, small_data: Make) -> None:
    data = small_data(name)
    folder = data.root / data.info.files.folder
    before = describe(data)
    moved = {}
    for i, file in enumerate(data.info.files.names()):
        checksum = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        moved[file] = checksum
        (folder / file).touch()
        os.utime(folder / file, ns=(i, i))
    assert describe(data).digest == before.digest
    joined = "\n".join(moved.values()).encode()
    assert before.digest == hashlib.sha256(joined).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_each_missing_file_is_named(name: str, small_data: Make) -> None:
    data = small_data(name)
    folder = data.root / data.info.files.folder
    for file in data.info.files.names():
        (folder / file).rename(folder / "away")
        assert missing_files(data.info, data.root) == [file]
        with pytest.raises(DataMissingError, match=f"{file} not found") as error:
            describe(data)
        assert f"dfgctl data fetch {name}" in str(error.value)
        (folder / "away").rename(folder / file)
    assert missing_files(data.info, data.root) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_the_published_one_is_named(name: str, small_data: Make) -> None:
    data = small_data(name)
    files = data.info.files
    folder = data.root / files.folder
    right = {n: hashlib.md5((folder / n).read_bytes()).hexdigest() for n in files.names()}
    data = replace(data, info=replace(data.info, files=replace(files, checksums=right)))
    whole = describe(data)
    for file in files.names():
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[:-1])
        with pytest.raises(DataCorruptError) as error:
            describe(data)
        assert str(error.value).startswith(f"{folder / file} is broken: its checksum")
        (folder / file).write_bytes(content)
    assert describe(data) == whole


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("svhn", "train_32x32.mat"),
        ("stl10", "train_X.bin"),
        ("stl10", "test_y.bin"),
        ("cifar10", "data_batch_5"),
        ("cifar10", "test_batch"),
    ],
)
@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_truncated_file_is_found_without_a_checksum(
    name: str, file: str, keep: float, small_data: Make
) -> None:
    data = small_data(name)
    path = data.root / data.info.files.folder / file
    os.truncate(path, keep if keep in (0, 10) else int(path.stat().st_size * keep))
    with pytest.raises(DataCorruptError, match="is broken"):
        describe(data)


def test_counts_that_differ_from_the_published_ones_are_named(small_data: Make) -> None:
    data = small_data("stl10")
    file = data.root / "stl10_binary" / "test_y.bin"
    labels = np.fromfile(file, dtype=np.uint8)
    labels[labels == 2] = 3
    labels.tofile(file)
    with pytest.raises(DataCorruptError) as error:
        describe(data)
    for part in ("bird has 0 test images instead of 3", "car has 6 test images instead of 3"):
        assert part in str(error.value)
    assert "dfgctl data fetch stl10" in str(error.value)


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_that_no_digit_has_is_found(label: int, small_data: Make) -> None:
    data = small_data("svhn")
    file = data.root / "test_32x32.mat"
    content = scipy.io.loadmat(file)
    content["y"][0] = label
    scipy.io.savemat(file, {"X": content["X"], "y": content["y"]})
    with pytest.raises(DataCorruptError, match="labels that no class has"):
        describe(data)


def test_labels_without_images_are_found_when_loading(small_data: Make) -> None:
    data = small_data("svhn")
    file = data.root / "train_32x32.mat"
    scipy.io.savemat(file, {"y": scipy.io.loadmat(file)["y"]})
    with pytest.raises(DataCorruptError, match=r"SVHN in .* cannot be read"):
        load(data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("network", ["lenet5", "vgg16", "resnet50"])
def test_any_view_is_served(name: str, network: str, small_data: Make) -> None:
    data = small_data(name, train=1, test=1)
    view = VIEWS[network]
    arrays = sources.load(data.info, data.root, view, Path("prepared"))
    assert arrays.train.shape == (10, view.channels, view.stored, view.stored)
    assert arrays.test.shape == (10, view.channels, view.stored, view.stored)


def test_grey_images_are_repeated_for_a_network_that_sees_colours(small_data: Make) -> None:
    data = small_data("mnist")
    grey = sources.load(data.info, data.root, VIEWS["lenet5"], Path("prepared"))
    rgb = sources.load(data.info, data.root, VIEWS["vgg16"], Path("prepared"))
    assert np.array_equal(rgb.train, np.repeat(grey.train, 3, axis=1))


def test_published_class_counts_agree_with_the_published_totals() -> None:
    from dfgctl.data.catalog import DATASETS

    for info in DATASETS.values():
        for counts, total in ((info.train_counts, info.train), (info.test_counts, info.test)):
            assert not counts or (len(counts), sum(counts)) == (info.class_count, total)
    caltech = DATASETS["caltech256"]
    assert caltech.train + caltech.test == caltech.files.pictures
    assert caltech.test == caltech.class_count * caltech.files.test_per_class


def test_the_checksums_are_torchvisions() -> None:
    from torchvision import datasets

    from dfgctl.data.catalog import DATASETS

    svhn = {name: md5 for _, name, md5 in datasets.SVHN.split_list.values()}
    stl = dict(datasets.STL10.train_list + datasets.STL10.test_list)
    cifar = dict([*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list])
    cifar["batches.meta"] = datasets.CIFAR10.meta["md5"]
    for name, published in (("svhn", svhn), ("stl10", stl), ("cifar10", cifar)):
        files = DATASETS[name].files
        assert {n: published[n] for n in files.names()} == files.checksums


def test_imagenets_weights_are_torchvisions() -> None:
    from torchvision.models import ResNet50_Weights

    from dfgctl.data.catalog import DATASETS

    files = DATASETS["imagenet"].files
    assert files.url == ResNet50_Weights.IMAGENET1K_V1.url
    assert files.url.endswith(f"/{files.name}")
    assert files.name == f"resnet50-{files.sha256}.pth"
    assert len(ResNet50_Weights.IMAGENET1K_V1.meta["categories"]) == 1000
