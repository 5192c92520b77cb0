"""Downloads data sets: beside their place first, and moved there when they are whole."""

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.files import ArrayFiles, FolderFiles, IdxFiles, OwnFolder, WeightsFile
from dfgctl.data.manifest import home, missing_files
from dfgctl.errors import DataMissingError, InputError

CINIC_URL = "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz"
CINIC_MD5 = "6ee4d0c996905fe93221de577967a372"


def fetch(info: DatasetInfo, data_dir: Path) -> None:
    """Download a data set if files of it are missing: through torchvision where it has it.

    Raises:
        DataMissingError: that did not work; the message says what to put where.
        InputError: a part of it is in its place, which is not overwritten.
    """
    missing = missing_files(info, data_dir)
    files = info.files
    if not missing or files is None or isinstance(files, OwnFolder):
        return
    target = data_dir / files.folder
    if isinstance(files, FolderFiles) and target.exists():
        raise InputError(
            f"{target} holds a part of {info.title}: delete it and type dfgctl data fetch "
            f"{info.name} again."
        )
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if isinstance(files, IdxFiles):
            _torchvision(info, data_dir, train=True)
            _torchvision(info, data_dir, train=False)
            return
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=f".fetch-{info.name}-") as beside:
            _fetch_into(info, files, Path(beside))
            _move(info, files, Path(beside), data_dir)
    except InputError:
        raise
    except Exception as error:  # torchvision, urllib, tarfile and zipfile each raise their own
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DataMissingError(
            f"{info.title} is not complete: {', '.join(missing)} not found in "
            f"{home(info, data_dir)}, and the download failed ({reason}). Put the files there, "
            "or name the data directory that has them with --data-dir DIR (or DFGCTL_DATA)."
        ) from error


def _fetch_into(
    info: DatasetInfo, files: ArrayFiles | FolderFiles | WeightsFile, place: Path
) -> None:
    if isinstance(files, WeightsFile):
        _weights(files, place / files.folder)
    elif info.name == "cinic10":
        _cinic10(place)
    else:
        _torchvision(info, place, train=True)
        if info.name == "svhn":  # one file a split; the others' archives hold both
            _torchvision(info, place, train=False)


def _move(
    info: DatasetInfo,
    files: ArrayFiles | FolderFiles | WeightsFile,
    beside: Path,
    data_dir: Path,
) -> None:
    """Move what was downloaded to its place.

    Raises:
        DataMissingError: it is not all that is needed.
    """
    if still := missing_files(info, beside):
        raise DataMissingError(
            f"What was downloaded for {info.title} lacks {', '.join(still[:5])}: put the files "
            f"into {data_dir / files.folder} by hand, or name the folder that has them with "
            "--data-dir."
        )
    target = data_dir / files.folder
    if not isinstance(files, FolderFiles):
        target.mkdir(parents=True, exist_ok=True)
        for name in files.names():
            (beside / files.folder / name).replace(target / name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(beside / files.folder, target)


def _weights(files: WeightsFile, folder: Path) -> None:
    from torch.hub import download_url_to_file

    folder.mkdir(parents=True, exist_ok=True)
    download_url_to_file(files.url, str(folder / files.name), hash_prefix=files.sha256)


def _cinic10(place: Path) -> None:
    from torchvision.datasets.utils import download_url

    archive = place / "CINIC-10.tar.gz"
    download_url(CINIC_URL, str(place), archive.name, CINIC_MD5)
    unpack(archive, place / "CINIC-10")
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack CINIC-10's archive, whose splits lie at its top, into a folder of their own.

    Raises:
        tarfile.TarError: it is broken, or would write outside the folder.
    """
    folder.mkdir(parents=True)
    with tarfile.open(archive) as stream:
        stream.extractall(folder, filter="data")
    inner = folder / folder.name
    if inner.is_dir():  # an archive that somebody packed anew with the folder itself
        for path in inner.iterdir():
            path.rename(folder / path.name)
        inner.rmdir()


def _torchvision(info: DatasetInfo, root: Path, train: bool) -> Any:
    from torchvision import datasets

    split = "train" if train else "test"
    match info.name:
        case "fmnist":
            return datasets.FashionMNIST(root, train=train, download=True)
        case "mnist":
            return datasets.MNIST(root, train=train, download=True)
        case "svhn":
            return datasets.SVHN(root, split=split, download=True)
        case "stl10":
            return datasets.STL10(root, split=split, download=True)
        case "cifar10":
            return datasets.CIFAR10(root, train=train, download=True)
        case "caltech256":
            return datasets.Caltech256(str(root), download=True)
        case "food101":
            return datasets.Food101(root, split=split, download=True)
    letters = info.name.removeprefix("emnist-")
    return datasets.EMNIST(root, split=letters, train=train, download=True)
