"""Pictures of one's own: a folder with a folder for each class."""

import re
from pathlib import Path

from dfgctl import seeding
from dfgctl.data.catalog import DATASETS, DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import OwnFolder
from dfgctl.data.folders import Listing, Picture, fingerprint, pictures
from dfgctl.data.pictures import SUFFIXES, undecodable
from dfgctl.errors import DataCorruptError, DataMissingError, InputError

SPLIT = "own pictures split 1"
"""Names the stream that chooses test pictures; another name would make other data sets."""

Found = list[tuple[str, Picture]]
"""Pictures with their split: ``train``, ``test``, or ``all`` where they are still to be split."""


def own_folder(path: Path, test_fraction: float | None, strict: bool) -> DatasetInfo:
    """Describe a folder of pictures by its folders; no picture is read yet.

    It holds train/CLASS/* and test/CLASS/*, or CLASS/* with a test fraction. Files that are
    hidden, deeper, or not named as pictures are (.png, .jpg, ...) do not count.

    Args:
        path: the folder.
        test_fraction: share of each class that tests, where the folder has no test/ of its own.
        strict: whether a broken picture stops instead of being left out.

    Returns:
        A data set that ``manifest`` and ``load`` take like a published one. Its ``train`` and
        ``test`` are the files as listed, before broken ones are left out.

    Raises:
        DataMissingError: there is no such folder.
        InputError: its name or folders cannot be those of a data set.
    """
    root = path.expanduser().resolve()
    if not root.is_dir():
        raise DataMissingError(f"There is no folder {path}: name one with a folder for each class.")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-.")
    if not name:
        raise InputError(
            f"The folder's name '{root.name}' has no Latin letter or digit, and the data set is "
            "named after it: rename it."
        )
    if name.lower() in DATASETS:
        raise InputError(
            f"{path} has the name of the published data set '{name.lower()}', and results would "
            "be mixed up: rename the folder."
        )
    if test_fraction is not None and not 0 < test_fraction < 1:
        raise InputError(f"--test-fraction takes a share between 0 and 1, not {test_fraction:g}.")
    files = OwnFolder(root, test_fraction, strict)
    classes, found = _scan(files)
    parted = _part(files, classes, found)
    return DatasetInfo(
        name=name,
        title=name,
        class_count=len(classes),
        classes=classes,
        roles=("target",),
        train=len(parted.train),
        test=len(parted.test),
        licence="your own",
        origin=str(root),
        files=files,
    )


def listing(files: OwnFolder, cache: ChecksumCache) -> tuple[Listing, tuple[str, ...]]:
    """List the pictures that are whole, and the paths of those that are not.

    All are decoded the first time, and again when a file was added, removed or written.

    Raises:
        InputError: a class has too few whole pictures.
        DataCorruptError: a picture is broken, and ``strict`` was asked for.
    """
    classes, found = _scan(files)
    broken = tuple(
        cache.recall(
            f"own:{files.root}",
            fingerprint(classes, found),
            lambda: undecodable(files.root, [picture for _, picture in found], upright=True),
        )
    )
    if broken and files.strict:
        names = ", ".join(broken[:5]) + (f" (and {len(broken) - 5:,} more)" if broken[5:] else "")
        raise DataCorruptError(
            f"{len(broken):,} pictures in {files.root} cannot be decoded: {names}. Mend or delete "
            "them, or leave --strict out to go without them."
        )
    left = set(broken)
    return _part(files, classes, [(s, p) for s, p in found if p.path not in left]), broken


def _scan(files: OwnFolder) -> tuple[tuple[str, ...], Found]:
    """Return the classes and all files named as pictures are, each with its split."""
    root = files.root
    both = [split for split in ("train", "test") if (root / split).is_dir()]
    if files.test_fraction is not None:
        if len(both) == 2:
            raise InputError(f"{root} has its own test folder: leave --test-fraction out.")
        classes = _folders(root)
        splits = {"all": root}
    else:
        if len(both) < 2:
            raise InputError(
                f"{root} has no folders train and test: make them, or give the share of each "
                "class that is for testing, e.g. --test-fraction 0.2."
            )
        classes, tested = _folders(root / "train"), _folders(root / "test")
        if classes != tested:
            only = [f"train/{c}" for c in classes if c not in tested]
            only += [f"test/{c}" for c in tested if c not in classes]
            raise InputError(
                f"The classes of train and test in {root} differ: {', '.join(only)} has no "
                "counterpart. Give both the same folders."
            )
        splits = {split: root / split for split in both}
    if len(classes) < 2:
        raise InputError(
            f"A classifier needs two classes, and {root} has {len(classes)}: give each class a "
            "folder."
        )
    found: Found = []
    for split, folder in splits.items():
        for c, name in enumerate(classes):
            prefix = name if split == "all" else f"{split}/{name}"
            found += [(split, p) for p in pictures(folder / name, prefix, c, SUFFIXES)]
    return tuple(classes), found


def _folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _part(files: OwnFolder, classes: tuple[str, ...], found: Found) -> Listing:
    """Part pictures into training and test ones.

    Raises:
        InputError: a class would have none.
    """
    train = [p for split, p in found if split == "train"]
    test = [p for split, p in found if split == "test"]
    if files.test_fraction is not None:
        for c, name in enumerate(classes):
            members = [p for _, p in found if p.label == c]
            count = max(1, min(round(len(members) * files.test_fraction), len(members) - 1))
            order = seeding.permutation(seeding.key(SPLIT, name), len(members))
            chosen = set(order[:count].tolist())
            test += [p for i, p in enumerate(members) if i in chosen]
            train += [p for i, p in enumerate(members) if i not in chosen]
    parted = Listing(files.root.name, files.root, classes, tuple(train), tuple(test))
    for what, part in (("training", parted.train), ("test", parted.test)):
        none = [name for name, n in zip(classes, parted.counts(part), strict=True) if n == 0]
        if none:
            raise InputError(
                f"These classes in {files.root} have no whole {what} picture: {', '.join(none)}. "
                "Give each at least one for training and one for testing."
            )
    return parted
