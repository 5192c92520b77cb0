"""Which data sets there are, as data that planning can read without torch."""

from dataclasses import dataclass

from dfgctl.data.class_names import CIFAR, DIGITS, FASHION, LETTERS, STL
from dfgctl.data.files import ArrayFiles, Files, FolderFiles, IdxFiles, WeightsFile
from dfgctl.errors import UnknownNameError


@dataclass(frozen=True)
class DatasetInfo:
    """A data set.

    Attributes:
        name: its name on the command line.
        title: its name in tables.
        class_count: number of classes.
        classes: the classes' names; empty where they are known from the files only.
        roles: ``target``, ``source`` or both.
        train: number of training images.
        test: number of test images.
        licence: its licence, or what is known of it.
        origin: where it comes from.
        files: its files; None if it is made on the spot.
        train_counts: training images of each class as published; empty if that is not checked.
        test_counts: likewise test images.
    """

    name: str
    title: str
    class_count: int
    classes: tuple[str, ...]
    roles: tuple[str, ...]
    train: int
    test: int
    licence: str
    origin: str
    files: Files | None = None
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()

    def class_name(self, c: int) -> str:
        """Return the name of class c, or its number where the files alone know the name."""
        return self.classes[c] if self.classes else str(c)


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
            class_count=10,
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
            class_count=10,
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
            class_count=10,
            classes=FASHION,
            roles=("target",),
            train=60_000,
            test=10_000,
            licence="MIT",
            origin="Zalando",
            train_counts=(6000,) * 10,
            test_counts=(1000,) * 10,
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
            class_count=10,
            classes=DIGITS,
            roles=("source",),
            train=60_000,
            test=10_000,
            licence="CC BY-SA 3.0",
            origin="LeCun",
            train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
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
            class_count=10,
            classes=DIGITS,
            roles=("source",),
            train=240_000,
            test=40_000,
            licence="public domain",
            origin="NIST",
            train_counts=(24_000,) * 10,
            test_counts=(4000,) * 10,
            files=_idx("EMNIST/raw", "emnist-digits-", "test", transposed=True),
        ),
        DatasetInfo(
            name="emnist-letters",
            title="EMNIST letters",
            class_count=26,
            classes=LETTERS,
            roles=("source",),
            train=124_800,
            test=20_800,
            licence="public domain",
            origin="NIST",
            train_counts=(4800,) * 26,
            test_counts=(800,) * 26,
            files=_idx("EMNIST/raw", "emnist-letters-", "test", (), 1, True),
        ),
        DatasetInfo(
            name="svhn",
            title="SVHN",
            class_count=10,
            classes=DIGITS,
            roles=("target",),
            train=73_257,
            test=26_032,
            licence="no commercial use",
            origin="Stanford",
            train_counts=(4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
            test_counts=(1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
            files=ArrayFiles(
                folder="",
                layout="svhn",
                train=("train_32x32.mat",),
                test=("test_32x32.mat",),
                checksums={
                    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
                    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
                },
            ),
        ),
        DatasetInfo(
            name="stl10",
            title="STL-10",
            class_count=10,
            classes=STL,
            roles=("target",),
            train=5000,
            test=8000,
            licence="unknown",
            origin="Stanford",
            train_counts=(500,) * 10,
            test_counts=(800,) * 10,
            files=ArrayFiles(
                folder="stl10_binary",
                layout="stl10",
                train=("train_X.bin", "train_y.bin"),
                test=("test_X.bin", "test_y.bin"),
                checksums={
                    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
                    "train_y.bin": "5a34089d4802c674881badbb80307741",
                    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
                    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
                },
            ),
        ),
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10",
            class_count=10,
            classes=CIFAR,
            roles=("source",),
            train=50_000,
            test=10_000,
            licence="unknown",
            origin="Toronto",
            train_counts=(5000,) * 10,
            test_counts=(1000,) * 10,
            files=ArrayFiles(
                folder="cifar-10-batches-py",
                layout="cifar10",
                train=tuple(f"data_batch_{i}" for i in range(1, 6)),
                test=("test_batch",),
                checksums={
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
                },
                others=("batches.meta",),
            ),
        ),
        DatasetInfo(
            name="cinic10",
            title="CINIC-10",
            class_count=10,
            classes=CIFAR,
            roles=("target",),
            train=90_000,
            test=90_000,
            licence="CC BY 4.0",
            origin="Edinburgh",
            train_counts=(9000,) * 10,
            test_counts=(9000,) * 10,
            files=FolderFiles(folder="CINIC-10", layout="cinic10", seen=10_000),
        ),
        DatasetInfo(
            name="caltech256",
            title="Caltech-256",
            class_count=257,
            classes=(),
            roles=("target",),
            train=25_467,
            test=5140,
            licence="CC BY 4.0",
            origin="Caltech",
            files=FolderFiles(
                folder="caltech256/256_ObjectCategories",
                layout="caltech256",
                pictures=30_607,
                fewest=80,
                test_per_class=20,
            ),
        ),
        DatasetInfo(
            name="food101",
            title="Food-101",
            class_count=101,
            classes=(),
            roles=("target",),
            train=75_750,
            test=25_250,
            licence="unknown",
            origin="ETH Zürich",
            train_counts=(750,) * 101,
            test_counts=(250,) * 101,
            files=FolderFiles(folder="food-101", layout="food101"),
        ),
        DatasetInfo(
            name="imagenet",
            title="ImageNet (weights)",
            class_count=1000,
            classes=(),
            roles=("source",),
            train=1_281_167,
            test=50_000,
            licence="unknown",
            origin="torchvision",
            files=WeightsFile(
                folder="imagenet",
                name="resnet50-0676ba61.pth",
                url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
                sha256="0676ba61",
            ),
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
