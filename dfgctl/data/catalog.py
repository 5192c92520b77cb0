"""Which data sets there are, as data that planning can read without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from dfgctl.errors import UnknownNameError

DIGITS = tuple(str(i) for i in range(10))
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


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
class DatasetInfo:
    """A data set.

    Attributes:
        name: its name on the command line.
        title: its name in tables.
        classes: the classes' names.
        roles: ``target``, ``source`` or both.
        train: number of training images.
        test: number of test images.
        licence: its licence, or what is known of it.
        origin: where it comes from.
        files: its files; None if it is made on the spot.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    roles: tuple[str, ...]
    train: int
    test: int
    licence: str
    origin: str
    files: IdxFiles | None = None


def _idx(
    folder: str,
    prefix: str,
    test: str,
    checksums: tuple[str, ...] = (),
    first_label: int = 0,
    transposed: bool = False,
) -> IdxFiles:
    train_files = (f"{prefix}train-images-idx3-ubyte", f"{prefix}train-labels-idx1-ubyte")
    test_files = (f"{prefix}{test}-images-idx3-ubyte", f"{prefix}{test}-labels-idx1-ubyte")
    names = train_files + test_files
    return IdxFiles(
        folder=folder,
        train=train_files,
        test=test_files,
        first_label=first_label,
        transposed=transposed,
        checksums=dict(zip(names, checksums, strict=True)) if checksums else {},
    )


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            name="digits",
            title="Digits",
            classes=DIGITS,
            roles=("target",),
            train=896,
            test=901,
            licence="CC BY 4.0",
            origin="scikit-learn",
        ),
        DatasetInfo(
            name="glyphs",
            title="Glyphs",
            classes=DIGITS,
            roles=("source",),
            train=6000,
            test=1000,
            licence="fonts' own",
            origin="matplotlib",
        ),
        DatasetInfo(
            name="fmnist",
            title="F-MNIST",
            classes=FASHION,
            roles=("target",),
            train=60_000,
            test=10_000,
            licence="MIT",
            origin="Zalando",
            files=_idx(
                "FashionMNIST/raw",
                "",
                "t10k",
                (
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ),
            ),
        ),
        DatasetInfo(
            name="mnist",
            title="MNIST",
            classes=DIGITS,
            roles=("source",),
            train=60_000,
            test=10_000,
            licence="CC BY-SA 3.0",
            origin="LeCun",
            files=_idx(
                "MNIST/raw",
                "",
                "t10k",
                (
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
            ),
        ),
        DatasetInfo(
            name="emnist-digits",
            title="EMNIST digits",
            classes=DIGITS,
            roles=("source",),
            train=240_000,
            test=40_000,
            licence="public domain",
            origin="NIST",
            files=_idx("EMNIST/raw", "emnist-digits-", "test", transposed=True),
        ),
        DatasetInfo(
            name="emnist-letters",
            title="EMNIST letters",
            classes=LETTERS,
            roles=("source",),
            train=124_800,
            test=20_800,
            licence="public domain",
            origin="NIST",
            files=_idx("EMNIST/raw", "emnist-letters-", "test", (), 1, True),
        ),
    )
}


def dataset(name: str, role: str | None = None) -> DatasetInfo:
    """Return a data set by its name.

    Args:
        name: its name.
        role: ``target`` or ``source``, if it must be able to serve as that.

    Raises:
        UnknownNameError: there is none of that name (and role).
    """
    known = {n: info for n, info in DATASETS.items() if role is None or role in info.roles}
    if name not in known:
        raise UnknownNameError(f"{role} data set" if role else "data set", name, known)
    return known[name]
