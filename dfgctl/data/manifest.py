"""Manifests: what a data set holds, known from labels and checksums without reading a pixel."""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfgctl.data import glyphs
from dfgctl.data.catalog import DatasetInfo, IdxFiles
from dfgctl.errors import DataCorruptError, DataMissingError

IMAGE_MAGIC = 0x803
LABEL_MAGIC = 0x801
SIDE = 28
"""Height and width of the images."""


@dataclass(frozen=True)
class Manifest:
    """What a data set holds.

    Attributes:
        name: its name.
        digest: SHA-256 that stands for its whole content.
        train_counts: training images of each class.
        test_counts: test images of each class.
    """

    name: str
    digest: str
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]


class ChecksumCache:
    """Remembers files' checksums by path, size and time, so that a big file is hashed once.

    Args:
        file: where to remember them; a folder that cannot be written only costs time.
        keep: whether what is new is written there.
    """

    def __init__(self, file: Path, keep: bool = True) -> None:
        self._file = file
        self._keep = keep
        self._known: dict[str, list[object]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(file.read_text())
            self._known = known if isinstance(known, dict) else {}

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256, hashing it only if it changed since the last time."""
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(str(path.resolve()))
        if isinstance(known, list) and len(known) == 3 and known[:2] == state:
            return str(known[2])
        with path.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        self._known[str(path.resolve())] = [*state, checksum]
        if self._keep:
            self._save()
        return checksum

    def _save(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{os.getpid()}.tmp")
            beside.write_text(json.dumps(self._known))
            beside.replace(self._file)
        except OSError:
            pass


def manifest(info: DatasetInfo, data_dir: Path, cache: ChecksumCache) -> Manifest:
    """Describe a data set, after checking that its files are whole.

    Raises:
        DataMissingError: a file is not there.
        DataCorruptError: a file is broken.
    """
    if info.files is not None:
        return _idx_manifest(info, info.files, data_dir, cache)
    return _BUILT_IN[info.name](info)


def missing_files(info: DatasetInfo, data_dir: Path) -> list[str]:
    """Return the names of the files that are not there."""
    if info.files is None:
        return []
    folder = data_dir / info.files.folder
    return [name for name in info.files.names() if not (folder / name).is_file()]


def _idx_manifest(
    info: DatasetInfo, files: IdxFiles, data_dir: Path, cache: ChecksumCache
) -> Manifest:
    missing = missing_files(info, data_dir)
    folder = data_dir / files.folder
    if missing:
        raise DataMissingError(
            f"{info.title} is not complete: {', '.join(missing)} not found in {folder}. "
            "Put the files there, or name the folder that has them with --data-dir."
        )
    checksums = []
    counts = []
    for (images, labels), expected in ((files.train, info.train), (files.test, info.test)):
        _check_size(folder / images, IMAGE_MAGIC, expected)
        _check_size(folder / labels, LABEL_MAGIC, expected)
        for path in (folder / images, folder / labels):
            checksum = cache.sha256(path)
            published = files.checksums.get(path.name)
            if published is not None and checksum != published:
                raise _corrupt(path, f"its checksum is not the published one ({checksum[:12]}...)")
            checksums.append(checksum)
        counts.append(_count(folder / labels, files.first_label, len(info.classes)))
    content = hashlib.sha256("\n".join(checksums).encode()).hexdigest()
    return Manifest(info.name, content, counts[0], counts[1])


def _check_size(path: Path, magic: int, expected: int) -> None:
    """Check an IDX file's magic number, its count against what is published, and its size."""
    words = 4 if magic == IMAGE_MAGIC else 2
    try:
        with path.open("rb") as stream:
            header = stream.read(4 * words)
    except OSError as error:
        raise _corrupt(path, f"it cannot be read ({error.strerror})") from error
    if len(header) < 4 * words or int.from_bytes(header[:4], "big") != magic:
        kind = "images" if magic == IMAGE_MAGIC else "labels"
        raise _corrupt(path, f"it is no IDX file of {kind}")
    count, *shape = (int(word) for word in np.frombuffer(header, dtype=">u4")[1:])
    if shape and shape != [SIDE, SIDE]:
        raise _corrupt(path, f"its images are {shape[0]}x{shape[1]} instead of {SIDE}x{SIDE}")
    size = 4 * words + count * math.prod(shape)
    if path.stat().st_size != size:
        raise _corrupt(path, f"it has {path.stat().st_size:,} bytes instead of {size:,}")
    if count != expected:
        raise _corrupt(path, f"it holds {count:,} entries instead of {expected:,}")


def _count(path: Path, first_label: int, classes: int) -> tuple[int, ...]:
    labels: NDArray[np.int64] = np.fromfile(path, dtype=np.uint8, offset=8).astype(np.int64)
    labels -= first_label
    if labels.min() < 0 or labels.max() >= classes:
        raise _corrupt(path, "it has labels that no class has")
    return tuple(int(n) for n in np.bincount(labels, minlength=classes))


def _corrupt(path: Path, reason: str) -> DataCorruptError:
    return DataCorruptError(
        f"{path} is broken: {reason}. Delete it and run again to download it anew, "
        "or name another folder with --data-dir."
    )


def _digits(info: DatasetInfo) -> Manifest:
    from dfgctl.data import digits

    data = digits.load()
    content = hashlib.sha256()
    for part in (data.train, data.train_labels, data.test, data.test_labels):
        content.update(part.tobytes())
    return Manifest(
        info.name,
        content.hexdigest(),
        tuple(int(n) for n in np.bincount(data.train_labels)),
        tuple(int(n) for n in np.bincount(data.test_labels)),
    )


def _glyphs(info: DatasetInfo) -> Manifest:
    return Manifest(
        info.name,
        hashlib.sha256(glyphs.made_of()).hexdigest(),
        (glyphs.TRAIN_PER_CLASS,) * 10,
        (glyphs.TEST_PER_CLASS,) * 10,
    )


_BUILT_IN: dict[str, Callable[[DatasetInfo], Manifest]] = {"digits": _digits, "glyphs": _glyphs}
