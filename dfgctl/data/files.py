"""Where the files of a data set lie and what is published about them, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class IdxFiles:
    """The four IDX files of a data set in MNIST's format, below the data directory.

    Attributes:
        folder: their folder below the data directory.
        train: images and labels of the training set.
        test: images and labels of the test set.
        first_label: the label that the files give the first class.
        transposed: whether images are stored transposed (as NIST publishes EMNIST).
        checksums: SHA-256 of the published files, by name; empty where none is known to us.
    """

    folder: str
    train: tuple[str, str]
    test: tuple[str, str]
    first_label: int
    transposed: bool
    checksums: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """Return the four files' names."""
        return self.train + self.test


@dataclass(frozen=True)
class ArrayFiles:
    """The few files, each with a published MD5, of SVHN, STL-10 or CIFAR-10.

    Attributes:
        folder: their folder below the data directory; empty for the directory itself.
        layout: how they are read: ``svhn``, ``stl10`` or ``cifar10``.
        train: the training set's files.
        test: the test set's files.
        others: further files that the reader needs.
        checksums: MD5 of the published files, by name.
    """

    folder: str
    layout: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    checksums: Mapping[str, str]
    others: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return all files' names."""
        return self.train + self.test + self.others


@dataclass(frozen=True)
class FolderFiles:
    """A published data set of picture files in folders.

    Attributes:
        folder: its folder below the data directory.
        layout: how it is read: ``cinic10``, ``caltech256`` or ``food101``.
        pictures: number of pictures that are published in what is read; 0 if it is not checked.
        fewest: fewest pictures of a class; 0 if that is not checked.
        test_per_class: test pictures of each class, where the data set has no split of its own.
        seen: test pictures that are published as CIFAR-10's training images; 0 if not checked.
    """

    folder: str
    layout: str
    pictures: int = 0
    fewest: int = 0
    test_per_class: int = 0
    seen: int = 0


@dataclass(frozen=True)
class WeightsFile:
    """Published weights that stand for a source; its pictures are never read.

    Attributes:
        folder: its folder below the data directory.
        name: its name.
        url: where it is published.
        sha256: how the file's SHA-256 starts.
    """

    folder: str
    name: str
    url: str
    sha256: str

    def names(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (self.name,)


@dataclass(frozen=True)
class OwnFolder:
    """A folder of one's own pictures.

    Attributes:
        root: the folder.
        test_fraction: share of each class that tests; None where train/ and test/ are its own.
        strict: whether a broken picture stops instead of being left out.
    """

    root: Path
    test_fraction: float | None
    strict: bool


Files = IdxFiles | ArrayFiles | FolderFiles | WeightsFile | OwnFolder
