"""Data sets of picture files: which pictures there are, in which split and class."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dfgctl import seeding
from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import FolderFiles
from dfgctl.errors import DataCorruptError

CALTECH_SPLIT = "caltech256 split 1"
"""Names the stream of Caltech-256's fixed split; another name would be another data set."""

SEEN = ("cifar10-train-", "cifar-10-train-")
"""How the names of CINIC-10's pictures begin that are CIFAR-10's training images.

Its files have the first form, its documentation the second.
"""


@dataclass(frozen=True)
class Picture:
    """A picture file.

    Attributes:
        path: its path below the data set's folder, with slashes.
        label: its class, from 0.
        size: its bytes.
        time: when it was last written, in nanoseconds.
    """

    path: str
    label: int
    size: int
    time: int


@dataclass(frozen=True)
class Listing:
    """The pictures of a data set, sorted by class and name.

    Attributes:
        title: the data set's name.
        root: its folder.
        classes: the classes' names.
        train: the training pictures.
        test: the test pictures.
    """

    title: str
    root: Path
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    test: tuple[Picture, ...]

    def seen(self) -> tuple[bool, ...]:
        """Return which test pictures are CIFAR-10's training images, as CINIC-10 names them."""
        return tuple(p.path.rpartition("/")[2].startswith(SEEN) for p in self.test)

    def counts(self, pictures: Sequence[Picture]) -> tuple[int, ...]:
        """Return how many of the pictures each class has."""
        counts = [0] * len(self.classes)
        for picture in pictures:
            counts[picture.label] += 1
        return tuple(counts)


def pictures(folder: Path, prefix: str, label: int, suffixes: Sequence[str]) -> list[Picture]:
    """Return a class's picture files, sorted by name; what is hidden or in sub-folders is none.

    Args:
        folder: the class's folder.
        prefix: the folder's path below the data set's.
        label: the class.
        suffixes: how picture files' names end, in lower case.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.lower().endswith(tuple(suffixes)):
                continue
            if entry.is_file():
                stat = entry.stat()
                path = f"{prefix}/{entry.name}"
                found.append(Picture(path, label, stat.st_size, stat.st_mtime_ns))
    return sorted(found, key=lambda picture: picture.path)


def needed(info: DatasetInfo, files: FolderFiles) -> list[str]:
    """Return what must be below the data set's folder for it to count as there."""
    if files.layout == "cinic10":
        return [f"{split}/{name}" for split in ("train", "test") for name in info.classes]
    return ["meta/train.json", "meta/test.json", "images"] if files.layout == "food101" else []


def listing(info: DatasetInfo, files: FolderFiles, data_dir: Path) -> Listing:
    """List a published data set's pictures.

    Raises:
        DataCorruptError: a picture or class is missing or a picture is empty.
    """
    root = data_dir / files.folder
    found = _LAYOUTS[files.layout](info, files, root)
    everything = [*found.train, *found.test]
    empty = [picture.path for picture in everything if picture.size == 0]
    if empty:
        raise broken(info, root, f"{_names(empty)} is empty")
    if len(found.classes) != info.class_count:
        raise broken(info, root, f"it has {len(found.classes)} classes, not {info.class_count}")
    if files.pictures and len(everything) != files.pictures:
        raise broken(info, root, f"it has {len(everything):,} pictures, not {files.pictures:,}")
    few = [
        f"{found.classes[c]} ({n})"
        for c, n in enumerate(found.counts(everything))
        if n < max(files.fewest, files.test_per_class + 1)
    ]
    if few:
        raise broken(info, root, f"these classes have too few pictures: {_names(few)}")
    return found


def check_seen(info: DatasetInfo, files: FolderFiles, found: Listing) -> None:
    """Check that the names tell as many of CIFAR-10's training images as are published.

    Raises:
        DataCorruptError: they do not, as in a copy whose files were renamed.
    """
    count = sum(found.seen())
    if files.seen and count != files.seen:
        raise broken(
            info,
            found.root,
            f"the names of {count:,} test pictures, not of {files.seen:,}, say that they are "
            "CIFAR-10's training images",
        )


def digest(found: Listing, cache: ChecksumCache) -> str:
    """Return the SHA-256 of all pictures' splits, classes, paths and content.

    No picture is read if none was added, removed or written since the last time.
    """

    def make() -> list[str]:
        # Hashing releases the interpreter's lock, and a network disk likes several readers.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            sums = pool.map(lambda p: _sha256(found.root / p.path), (p for _, p in everything))
            content = hashlib.sha256()
            for (split, p), checksum in zip(everything, sums, strict=True):
                content.update(_line(split, found.classes[p.label], p.path, checksum))
        return [content.hexdigest()]

    everything = [("train", p) for p in found.train] + [("test", p) for p in found.test]
    name = f"pictures:{found.root.resolve()}:{found.title}"
    return cache.recall(name, fingerprint(found.classes, everything), make)[0]


def fingerprint(classes: Sequence[str], everything: Iterable[tuple[str, Picture]]) -> str:
    """Return a hash of (split, picture) pairs that changes when a file does, reading none."""
    content = hashlib.sha256()
    for split, p in everything:
        content.update(_line(split, classes[p.label], p.path, str(p.size), str(p.time)))
    return content.hexdigest()


def broken(info: DatasetInfo, root: Path, reason: str) -> DataCorruptError:
    """Return the error that says what is wrong with a published data set of pictures."""
    return DataCorruptError(
        f"{info.title} in {root} is not what was published: {reason}. Delete what is there and "
        f"type dfgctl data fetch {info.name}, or name another folder with --data-dir."
    )


def _line(*words: str) -> bytes:
    return ("\0".join(words) + "\n").encode(errors="surrogateescape")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _names(names: Sequence[str]) -> str:
    more = f" (and {len(names) - 5:,} more)" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _cinic10(info: DatasetInfo, files: FolderFiles, root: Path) -> Listing:
    splits = [
        tuple(
            picture
            for c, name in enumerate(info.classes)
            for picture in pictures(root / split / name, f"{split}/{name}", c, (".png",))
        )
        for split in ("train", "test")
    ]
    return Listing(info.title, root, info.classes, splits[0], splits[1])


def _caltech256(info: DatasetInfo, files: FolderFiles, root: Path) -> Listing:
    """Some pictures of each category test, by a fixed draw; all others can be trained on."""
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    train, test = [], []
    for c, folder in enumerate(folders):
        found = pictures(root / folder, folder, c, (".jpg",))
        order = seeding.permutation(seeding.key(CALTECH_SPLIT, folder), len(found))
        chosen = set(order[: files.test_per_class].tolist())
        test += [picture for i, picture in enumerate(found) if i in chosen]
        train += [picture for i, picture in enumerate(found) if i not in chosen]
    names = tuple(folder.partition(".")[2] or folder for folder in folders)
    return Listing(info.title, root, names, tuple(train), tuple(test))


def _food101(info: DatasetInfo, files: FolderFiles, root: Path) -> Listing:
    lists = [_food_list(info, root, split) for split in ("train", "test")]
    classes = tuple(sorted(lists[0]))
    if sorted(lists[1]) != list(classes):
        raise broken(info, root, "meta/train.json and meta/test.json name different classes")
    gone: list[str] = []
    splits: tuple[list[Picture], list[Picture]] = ([], [])
    for c, name in enumerate(classes):
        folder = root / "images" / name
        here = pictures(folder, f"images/{name}", c, (".jpg",)) if folder.is_dir() else []
        by_path = {picture.path: picture for picture in here}
        for split, listed in zip(splits, lists, strict=True):
            for path in sorted(f"images/{entry}.jpg" for entry in listed[name]):
                if path in by_path:
                    split.append(by_path[path])
                else:
                    gone.append(path)
    if gone:
        raise broken(info, root, f"{_names(gone)} is missing")
    return Listing(info.title, root, classes, tuple(splits[0]), tuple(splits[1]))


def _food_list(info: DatasetInfo, root: Path, split: str) -> dict[str, list[str]]:
    try:
        listed = json.loads((root / "meta" / f"{split}.json").read_text(encoding="utf-8"))
        return {str(name): [str(entry) for entry in entries] for name, entries in listed.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise broken(info, root, f"meta/{split}.json is no list of pictures") from error


_LAYOUTS: dict[str, Callable[[DatasetInfo, FolderFiles, Path], Listing]] = {
    "cinic10": _cinic10,
    "caltech256": _caltech256,
    "food101": _food101,
}
