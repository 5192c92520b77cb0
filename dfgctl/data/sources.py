"""Loads data sets, through torchvision where it has them, in the view of a backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfgctl.data import digits, folders, glyphs, own
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import ArrayFiles, FolderFiles, IdxFiles, OwnFolder, WeightsFile
from dfgctl.data.pictures import Progress, prepare
from dfgctl.data.views import View
from dfgctl.errors import DataCorruptError, InputError

PADDING = 2
"""28x28 images get this many zero pixels on each side (appendix A)."""

CHUNK = 4096
"""Images that are converted at a time, so that the numbers in between stay few."""

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (N, C, H, W) and labels (N,)."""


def load(
    info: DatasetInfo,
    data_dir: Path,
    view: View,
    prepared: Path,
    cache: ChecksumCache | None = None,
    progress: Progress | None = None,
) -> ImageArrays:
    """Load a data set whose manifest has been checked.

    Args:
        info: the data set.
        data_dir: the data directory.
        view: how the backbone sees pictures.
        prepared: folder for decoded pictures, which are mapped from there.
        cache: checksums that are known already; by default those remembered in ``prepared``.
        progress: called as pictures are decoded.

    Returns:
        Pixels (N, view.channels, view.stored, view.stored) and labels.

    Raises:
        DataCorruptError: a file cannot be read.
        InputError: there are no pictures to load, or decoded ones cannot be written.
    """
    files = info.files
    if isinstance(files, WeightsFile):
        raise InputError(
            f"{info.title} has weights and no pictures: name another data set to train on."
        )
    if isinstance(files, FolderFiles | OwnFolder):
        cache = cache or ChecksumCache(prepared / "checksums.json")
        return _pictures(info, files, data_dir, view, prepared, cache, progress)
    if files is None:
        arrays = digits.load() if info.name == "digits" else glyphs.load()
        splits = [(arrays.train, arrays.train_labels), (arrays.test, arrays.test_labels)]
    else:
        splits = _small(info, files, data_dir)
    (train, train_labels), (test, test_labels) = splits
    return ImageArrays(seen(train, view), train_labels, seen(test, view), test_labels)


def seen(pixels: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Bring images (N, C, H, W) to a view: resized, and made grey or RGB.

    Grey is Pillow's (ITU-R 601-2, rounded); RGB from grey repeats it. Smaller images are made by
    bilinear interpolation that looks at all pixels they cover.
    """
    same = pixels.shape[1:] == (view.channels, view.stored, view.stored)
    if same or not len(pixels):
        return pixels
    shape = (len(pixels), view.channels, view.stored, view.stored)
    out = np.empty(shape, dtype=np.uint8)
    for start in range(0, len(pixels), CHUNK):
        part = pixels[start : start + CHUNK]
        if part.shape[1] == 3 and view.channels == 1:
            part = _grey(part)
        if part.shape[2:] != (view.stored, view.stored):
            part = _resized(part, view.stored)
        out[start : start + CHUNK] = part  # grey is repeated where RGB is wanted
    return out


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Do what Pillow's convert("L") does, to many images."""
    red, green, blue = (pixels[:, i].astype(np.uint32) for i in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.astype(np.uint8)[:, None]


def _resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    planes = pixels.reshape(-1, *pixels.shape[2:])
    small = [
        np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR))
        for plane in planes
    ]
    return np.stack(small).reshape(*pixels.shape[:2], side, side)


def _small(info: DatasetInfo, files: IdxFiles | ArrayFiles, data_dir: Path) -> list[Split]:
    """Read a data set of few files with torchvision's readers."""
    folder = data_dir / files.folder
    try:
        if isinstance(files, IdxFiles):
            return [_read(folder, names, files) for names in (files.train, files.test)]
        return [_READERS[files.layout](data_dir, train) for train in (True, False)]
    except Exception as error:  # torchvision, SciPy and pickle each raise their own
        reason = " ".join(str(error).split())[:160]
        raise DataCorruptError(
            f"{info.title} in {folder} cannot be read ({reason}): delete its files and run again "
            "to download them anew, or name another folder with --data-dir."
        ) from error


def _read(folder: Path, names: tuple[str, str], files: IdxFiles) -> Split:
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


def _svhn(data_dir: Path, train: bool) -> Split:
    from torchvision import datasets

    class Checked(datasets.SVHN):  # type: ignore[misc]
        """The manifest has checked the files."""

        def _check_integrity(self) -> bool:
            return True

    data = Checked(data_dir, split="train" if train else "test")
    return data.data, data.labels


def _stl10(data_dir: Path, train: bool) -> Split:
    from torchvision import datasets

    class Checked(datasets.STL10):  # type: ignore[misc]
        """The manifest has checked the files; torchvision also wants 2.7 GB without labels."""

        def _check_integrity(self) -> bool:
            return True

    data = Checked(data_dir, split="train" if train else "test")
    return data.data, data.labels.astype(np.int64)


def _cifar10(data_dir: Path, train: bool) -> Split:
    from torchvision import datasets

    class Checked(datasets.CIFAR10):  # type: ignore[misc]
        """The manifest has checked the files."""

        meta: Any = {**datasets.CIFAR10.meta, "md5": None}  # noqa: RUF012

        def _check_integrity(self) -> bool:
            return True

    data = Checked(data_dir, train=train)
    pixels = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))
    return pixels, np.array(data.targets, dtype=np.int64)


_READERS: dict[str, Callable[[Path, bool], Split]] = {
    "svhn": _svhn,
    "stl10": _stl10,
    "cifar10": _cifar10,
}


def _pictures(
    info: DatasetInfo,
    files: FolderFiles | OwnFolder,
    data_dir: Path,
    view: View,
    prepared: Path,
    cache: ChecksumCache,
    progress: Progress | None,
) -> ImageArrays:
    mine = isinstance(files, OwnFolder)
    if isinstance(files, OwnFolder):
        found = own.listing(files, cache)[0]
    else:
        found = folders.listing(info, files, data_dir)
    digest = folders.digest(found, cache)

    def pixels(split: str) -> NDArray[np.uint8]:
        name = f"{info.name}-{digest[:16]}-{split}-{view.channels}x{view.stored}.npy"
        part = found.train if split == "train" else found.test
        return prepare(found, part, view, prepared / name, mine, progress)

    return ImageArrays(
        train=pixels("train"),
        train_labels=np.array([p.label for p in found.train], dtype=np.int64),
        test=pixels("test"),
        test_labels=np.array([p.label for p in found.test], dtype=np.int64),
        test_seen=np.array(found.seen()) if info.name == "cinic10" else None,
    )
