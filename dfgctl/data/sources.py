"""Loads data sets, through torchvision where it has them, and downloads what is missing."""

from pathlib import Path
from typing import Any

import numpy as np

from dfgctl.data import digits, glyphs
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.manifest import missing_files
from dfgctl.errors import DataCorruptError, DataMissingError

PADDING = 2
"""28x28 images get this many zero pixels on each side (appendix A)."""


def load(info: DatasetInfo, data_dir: Path) -> ImageArrays:
    """Load a data set whose manifest has been checked.

    Raises:
        DataCorruptError: torchvision cannot read it.
    """
    if info.name == "digits":
        return digits.load()
    if info.name == "glyphs":
        return glyphs.load()
    try:
        train = _torchvision(info, data_dir, train=True)
        test = _torchvision(info, data_dir, train=False)
    except (RuntimeError, ValueError, OSError) as error:
        raise DataCorruptError(f"{info.title} in {data_dir} cannot be read: {error}") from error
    assert info.files is not None
    first = info.files.first_label
    return ImageArrays(
        train=_pixels(train, info.files.transposed),
        train_labels=train.targets.numpy().astype(np.int64) - first,
        test=_pixels(test, info.files.transposed),
        test_labels=test.targets.numpy().astype(np.int64) - first,
    )


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
    except (RuntimeError, OSError) as error:
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


def _pixels(data: Any, transposed: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    images = data.data.numpy()
    if transposed:
        images = images.transpose(0, 2, 1)
    return np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))[:, None]
