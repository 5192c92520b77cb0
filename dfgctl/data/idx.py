"""Data sets in MNIST's format: what the headers, labels and checksums of the files tell."""

import hashlib
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import IdxFiles
from dfgctl.errors import DataCorruptError

IMAGE_MAGIC = 0x803
LABEL_MAGIC = 0x801
SIDE = 28
"""Height and width of the images."""


def describe(
    info: DatasetInfo, files: IdxFiles, data_dir: Path, cache: ChecksumCache
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Check the four files and return their digest and the images of each class (train, test).

    Raises:
        DataCorruptError: a file is broken or not the published one.
    """
    folder = data_dir / files.folder
    checksums = []
    counts = []
    for (images, labels), expected in ((files.train, info.train), (files.test, info.test)):
        _check_size(folder / images, IMAGE_MAGIC, expected)
        _check_size(folder / labels, LABEL_MAGIC, expected)
        for path in (folder / images, folder / labels):
            checksum = cache.sha256(path)
            published = files.checksums.get(path.name)
            if published is not None and checksum != published:
                raise corrupt(path, f"its checksum is not the published one ({checksum[:12]}...)")
            checksums.append(checksum)
        counts.append(_count(folder / labels, files.first_label, info.class_count))
    content = hashlib.sha256("\n".join(checksums).encode()).hexdigest()
    return content, counts[0], counts[1]


def _check_size(path: Path, magic: int, expected: int) -> None:
    """Check an IDX file's magic number, its count against what is published, and its size."""
    words = 4 if magic == IMAGE_MAGIC else 2
    try:
        with path.open("rb") as stream:
            header = stream.read(4 * words)
    except OSError as error:
        raise corrupt(path, f"it cannot be read ({error.strerror})") from error
    if len(header) < 4 * words or int.from_bytes(header[:4], "big") != magic:
        kind = "images" if magic == IMAGE_MAGIC else "labels"
        raise corrupt(path, f"it is no IDX file of {kind}")
    count, *shape = (int(word) for word in np.frombuffer(header, dtype=">u4")[1:])
    if shape and shape != [SIDE, SIDE]:
        raise corrupt(path, f"its images are {shape[0]}x{shape[1]} instead of {SIDE}x{SIDE}")
    size = 4 * words + count * math.prod(shape)
    if path.stat().st_size != size:
        raise corrupt(path, f"it has {path.stat().st_size:,} bytes instead of {size:,}")
    if count != expected:
        raise corrupt(path, f"it holds {count:,} entries instead of {expected:,}")


def _count(path: Path, first_label: int, classes: int) -> tuple[int, ...]:
    labels: NDArray[np.int64] = np.fromfile(path, dtype=np.uint8, offset=8).astype(np.int64)
    labels -= first_label
    if labels.min() < 0 or labels.max() >= classes:
        raise corrupt(path, "it has labels that no class has")
    return tuple(int(n) for n in np.bincount(labels, minlength=classes))


def corrupt(path: Path, reason: str) -> DataCorruptError:
    """Return the error that names a broken file of a published data set."""
    return DataCorruptError(
        f"{path} is broken: {reason}. Delete it and run again to download it anew, "
        "or name another folder with --data-dir."
    )
