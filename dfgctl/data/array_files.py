"""SVHN, STL-10 and CIFAR-10: their labels and checksums, and their pixels through torchvision."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import ArrayFiles
from dfgctl.data.idx import corrupt
from dfgctl.errors import DataCorruptError

STL_IMAGE = 3 * 96 * 96
"""Bytes of an image of STL-10."""


def describe(
    info: DatasetInfo, files: ArrayFiles, data_dir: Path, cache: ChecksumCache
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Check the files and return their digest and the images of each class (train, test).

    Raises:
        DataCorruptError: a file is broken or not the published one.
    """
    folder = data_dir / files.folder
    checksums = []
    for name in files.names():
        published = files.checksums.get(name)
        if published is not None and (checksum := cache.md5(folder / name)) != published:
            raise corrupt(
                folder / name, f"its checksum is not the published one ({checksum[:12]}...)"
            )
        checksums.append(cache.sha256(folder / name))
    counts = []
    for names, expected in ((files.train, info.train), (files.test, info.test)):
        labels = _labels(folder, files.layout, names)
        path = folder / names[-1]
        if len(labels) != expected:
            raise corrupt(path, f"there are {len(labels):,} labels instead of {expected:,}")
        if labels.min() < 0 or labels.max() >= info.class_count:
            raise corrupt(path, "it has labels that no class has")
        counts.append(tuple(int(n) for n in np.bincount(labels, minlength=info.class_count)))
    content = hashlib.sha256("\n".join(checksums).encode()).hexdigest()
    return content, counts[0], counts[1]


def _labels(folder: Path, layout: str, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Read a split's labels, from 0, without torchvision.

    Raises:
        DataCorruptError: they cannot be read.
    """
    try:
        return _READERS[layout](folder, names)
    except DataCorruptError:
        raise
    except Exception as error:  # SciPy and pickle raise whatever a broken file leads them to
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise corrupt(folder / names[-1], f"its labels cannot be read ({reason})") from error


def _svhn_labels(folder: Path, names: tuple[str, ...]) -> NDArray[np.int64]:
    from scipy.io import loadmat

    labels = loadmat(folder / names[0], variable_names=["y"])["y"].astype(np.int64).reshape(-1)
    if labels.min() < 1:
        raise corrupt(folder / names[0], "it has labels that no class has")
    return np.where(labels == 10, 0, labels)


def _stl_labels(folder: Path, names: tuple[str, ...]) -> NDArray[np.int64]:
    images, labels = (folder / name for name in names)
    found: NDArray[np.int64] = np.fromfile(labels, dtype=np.uint8).astype(np.int64) - 1
    size, whole = images.stat().st_size, len(found) * STL_IMAGE
    if size != whole:
        raise corrupt(images, f"it has {size:,} bytes instead of {whole:,}")
    return found


def _cifar_labels(folder: Path, names: tuple[str, ...]) -> NDArray[np.int64]:
    found: list[int] = []
    for name in names:
        with (folder / name).open("rb") as stream:
            batch = pickle.load(stream, encoding="latin1")
        found += batch["labels"]
    return np.array(found, dtype=np.int64)


_READERS: dict[str, Callable[[Path, tuple[str, ...]], NDArray[np.int64]]] = {
    "svhn": _svhn_labels,
    "stl10": _stl_labels,
    "cifar10": _cifar_labels,
}
