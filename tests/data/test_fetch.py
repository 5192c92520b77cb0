"""Fetching: nothing half-downloaded ever counts, and a failure says what to put where."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dfgctl.data import fetch as module
from dfgctl.data.catalog import DATASETS
from dfgctl.data.fetch import fetch, unpack
from dfgctl.data.manifest import ChecksumCache, manifest, missing_files
from dfgctl.errors import DataCorruptError, DataMissingError, InputError

Make = Callable[..., Any]
BIG = ["svhn", "stl10", "cifar10", "cinic10", "caltech256", "food101", "imagenet"]
TORCHVISION = ["svhn", "stl10", "cifar10", "caltech256", "food101"]


@pytest.fixture
def served(small_data: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """Let torchvision download the small data set of a name; return it and what was asked."""

    def serve(name: str) -> tuple[Any, list[Path]]:
        data = small_data(name)
        away = data.root.rename(tmp_path / "server")
        asked: list[Path] = []

        def download(info: Any, root: Path, train: bool) -> None:
            asked.append(root)
            shutil.copytree(away, root, dirs_exist_ok=True)

        monkeypatch.setattr(module, "_torchvision", download)
        return data, asked

    return serve


@pytest.mark.parametrize("name", TORCHVISION)
def test_what_torchvision_downloads_is_moved_to_its_place(name: str, served: Make) -> None:
    data, asked = served(name)
    assert missing_files(data.info, data.root)
    fetch(data.info, data.root)
    assert missing_files(data.info, data.root) == []
    manifest(data.info, data.root, ChecksumCache(Path("cache.json")))
    assert all(root.parent == data.root and root != data.root for root in asked)
    assert not list(data.root.glob(".fetch-*"))
    asked.clear()
    fetch(data.info, data.root)
    assert asked == []


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("svhn", "SVHN"),
        ("stl10", "STL10"),
        ("cifar10", "CIFAR10"),
        ("caltech256", "Caltech256"),
        ("food101", "Food101"),
    ],
)
def test_torchvisions_class_is_asked_to_download(
    name: str, class_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    def refuse(*_: Any, download: bool, **__: Any) -> None:
        raise RuntimeError(f"download={download}")

    monkeypatch.setattr(datasets, class_name, refuse)
    with pytest.raises(DataMissingError, match="download=True"):
        fetch(DATASETS[name], tmp_path)


@pytest.mark.parametrize("name", BIG)
def test_a_failed_download_leaves_nothing_and_says_what_to_put_where(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **_: Any) -> None:
        for path in args:  # a half file, wherever it was to go
            if isinstance(path, Path) and path.is_dir():
                (path / "half").write_bytes(b"half")
        raise OSError("Connection reset\n by peer")

    for function in ("_torchvision", "_cinic10", "_weights"):
        monkeypatch.setattr(module, function, fail)
    info = DATASETS[name]
    with pytest.raises(DataMissingError) as error:
        fetch(info, tmp_path / "data")
    message = str(error.value)
    for part in (*missing_files(info, tmp_path / "data"), str(tmp_path / "data"), "--data-dir"):
        assert part in message
    assert "Connection reset by peer" in message
    assert "\n" not in message
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_that_lacks_files_does_not_count(served: Make, tmp_path: Path) -> None:
    data, _ = served("stl10")
    (tmp_path / "server" / "stl10_binary" / "test_y.bin").unlink()
    with pytest.raises(DataMissingError, match=r"lacks test_y\.bin"):
        fetch(data.info, data.root)
    assert list(data.root.iterdir()) == []


def test_a_missing_file_is_fetched_beside_the_others(served: Make, tmp_path: Path) -> None:
    data, _ = served("svhn")
    data.root.mkdir()
    shutil.copy(tmp_path / "server" / "train_32x32.mat", data.root)
    fetch(data.info, data.root)
    assert missing_files(data.info, data.root) == []


def test_a_half_unpacked_folder_is_not_overwritten(served: Make) -> None:
    data, asked = served("food101")
    (data.root / "food-101" / "images").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds a part of Food-101: delete it"):
        fetch(data.info, data.root)
    assert asked == []  # nothing is downloaded in vain


def test_cinic10s_archive_is_checked_and_unpacked_into_a_folder_of_its_own(
    small_data: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import utils

    data = small_data("cinic10", train=2, test=1)
    archive = tmp_path / "server.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        for split in ("train", "valid", "test"):
            stream.add(data.root / "CINIC-10" / split, split)
    whole = manifest(data.info, data.root, ChecksumCache(Path("cache.json")))
    shutil.rmtree(data.root)
    asked = []

    def download_url(url: str, root: str, filename: str, md5: str) -> None:
        asked.append((url, md5))
        shutil.copy(archive, Path(root) / filename)

    monkeypatch.setattr(utils, "download_url", download_url)
    fetch(data.info, data.root)
    assert asked == [(module.CINIC_URL, module.CINIC_MD5)]
    assert manifest(data.info, data.root, ChecksumCache(Path("other.json"))) == whole
    assert [p.name for p in data.root.iterdir()] == ["CINIC-10"]


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "train/../../escaped"])
def test_an_archive_writes_nothing_outside_its_folder(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as stream:
        member = tarfile.TarInfo(name)
        member.size = 4
        stream.addfile(member, io.BytesIO(b"evil"))
    folder = tmp_path / "deep" / "CINIC-10"
    if name.startswith("/"):  # such names are read as lying below the folder
        unpack(tmp_path / "x.tar.gz", folder)
        assert (folder / "escaped").read_bytes() == b"evil"
    else:
        with pytest.raises(tarfile.OutsideDestinationError):
            unpack(tmp_path / "x.tar.gz", folder)
    assert not (tmp_path / "deep" / "escaped").exists()
    assert not (tmp_path / "escaped").exists()


def test_an_archive_with_the_folder_itself_is_unpacked_likewise(tmp_path: Path) -> None:
    (tmp_path / "CINIC-10" / "train").mkdir(parents=True)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as stream:
        stream.add(tmp_path / "CINIC-10", "CINIC-10")
    unpack(tmp_path / "x.tar.gz", tmp_path / "new" / "CINIC-10")
    assert (tmp_path / "new" / "CINIC-10" / "train").is_dir()
    assert not (tmp_path / "new" / "CINIC-10" / "CINIC-10").exists()


def test_imagenets_weights_come_with_their_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = DATASETS["imagenet"]
    asked = []

    def download(url: str, to: str, hash_prefix: str) -> None:
        asked.append((url, hash_prefix))
        Path(to).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert missing_files(info, tmp_path) == ["resnet50-0676ba61.pth"]
    fetch(info, tmp_path)
    assert asked == [(info.files.url, "0676ba61")]
    assert (tmp_path / "imagenet" / "resnet50-0676ba61.pth").read_bytes() == b"weights"
    with pytest.raises(DataCorruptError, match=r"resnet50-0676ba61\.pth is broken: its checksum"):
        manifest(info, tmp_path, ChecksumCache(tmp_path / "cache.json"))


def test_what_is_built_in_needs_no_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_torchvision", lambda *_, **__: pytest.fail("it was asked"))
    fetch(DATASETS["digits"], tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
