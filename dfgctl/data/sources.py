"""Loads data sets, through torchvision where it has them, and downloads what is missing."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfgctl.data import digits, glyphs
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DatasetInfo, IdxFiles
from dfgctl.data.manifest import missing_files
from dfgctl.errors import DataCorruptError, DataMissingError

PADDING = 2
"""28x28 images get this many zero pixels on each side (appendix A)."""


def load(info: DatasetInfo, data_dir: Path) -> ImageArrays:
    """Load a data set whose manifest has been checked.

    Raises:
        DataCorruptError: torchvision cannot read its files.
    """
    if info.name == "digits":
        return digits.load()
    if info.name == "glyphs":
        return glyphs.load()
    assert info.files is not None
    folder = data_dir / info.files.folder
    try:
        train, train_labels = _read(folder, info.files.train, info.files)
        test, test_labels = _read(folder, info.files.test, info.files)
    except (AssertionError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise DataCorruptError(
            f"{info.title} in {folder} cannot be read ({error}): delete its files and run again "
            "to download them anew, or name another folder with --data-dir."
        ) from error
    return ImageArrays(train, train_labels, test, test_labels)


def download(info: DatasetInfo, data_dir: Path) -> None:
    """Download a data set's missing files through torchvision.

    Raises:
        DataMissingError: that did not work; the message says what to put where.
    """
    missing = missing_files(info, data_dir)
    if not missing:
        return
    assert info.files is not None
    folder = data_dir / info.files.folder
    try:
        _torchvision(info, data_dir, train=True, download=True)
        _torchvision(info, data_dir, train=False, download=True)
    except Exception as error:  # torchvision, urllib and zipfile each raise their own
        reason = " ".join(str(error).split())[:160]
        raise DataMissingError(
            f"{info.title} is not complete: {', '.join(missing)} not found in {folder}, and the "
            f"download failed ({reason}). Put the files there, or name the data directory that "
            "has them with --data-dir DIR (or DFGCTL_DATA)."
        ) from error


def _torchvision(info: DatasetInfo, data_dir: Path, train: bool, download: bool = False) -> Any:
    from torchvision import datasets

    if info.name == "fmnist":
        return datasets.FashionMNIST(data_dir, train=train, download=download)
    if info.name == "mnist":
        return datasets.MNIST(data_dir, train=train, download=download)
    split = info.name.removeprefix("emnist-")
    return datasets.EMNIST(data_dir, split=split, train=train, download=download)


def _read(
    folder: Path, names: tuple[str, str], files: IdxFiles
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images and labels by torchvision's readers, from the very files that were checked.

    Its data set classes would prefer an old ``processed`` folder where there is one.
    """
    from torchvision.datasets import mnist

    images, labels = (str(folder / name) for name in names)
    pixels = mnist.read_image_file(images).numpy()
    targets = mnist.read_label_file(labels).numpy().astype(np.int64)
    if files.transposed:
        pixels = pixels.transpose(0, 2, 1)
    padded = np.pad(pixels, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    return padded[:, None], targets - files.first_label
