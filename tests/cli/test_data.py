"""``dfgctl data``: what is listed, fetched and verified, and exit codes of what is broken."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from dfgctl.data import fetch
from dfgctl.data.catalog import DATASETS

Cli = Callable[..., Any]
Make = Callable[..., Any]
ALL = ["svhn", "stl10", "cifar10", "cinic10", "caltech256", "food101", "fmnist"]


def test_the_list_fits_a_terminal_and_names_everything(cli: Cli) -> None:
    shown = cli("data", "list")
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    for info in DATASETS.values():
        assert f"\n{info.name} " in shown.out
    for name in ("digits", "glyphs"):
        line = next(x for x in shown.out.splitlines() if x.startswith(f"{name} "))
        assert "built in" in line


def test_the_list_as_json_says_what_is_here_and_how_large(cli: Cli, small_data: Make) -> None:
    for name in ("stl10", "food101"):
        small_data(name)
    (Path("data") / "stl10_binary" / "test_y.bin").unlink()
    records = {r["name"]: r for r in cli("data", "list", "--json").json}
    assert set(records) == set(DATASETS)
    food = records["food101"]
    assert food["here"] is True
    assert food["missing"] == []
    files = [p for p in (Path("data") / "food-101").rglob("*") if p.is_file()]
    assert food["bytes"] == sum(p.stat().st_size for p in files) > 10_000
    assert records["stl10"]["here"] is False
    assert records["stl10"]["missing"] == ["test_y.bin"]
    assert records["stl10"]["bytes"] > 0
    assert records["cinic10"]["bytes"] == 0
    assert records["cinic10"]["missing"] == ["CINIC-10"]
    assert records["digits"]["folder"] is None
    for record in records.values():
        assert record["licence"]
        assert record["origin"]
        assert record["classes"] == DATASETS[record["name"]].class_count


def test_the_list_tells_parts_from_wholes(cli: Cli, small_data: Make) -> None:
    small_data("svhn")
    small_data("stl10")
    (Path("data") / "stl10_binary" / "test_y.bin").unlink()
    lines = {line.split()[0]: line for line in cli("data", "list").out.splitlines() if line}
    assert " kB " in lines["svhn"]
    assert " a part " in lines["stl10"]
    assert " no " in lines["cinic10"]


@pytest.mark.parametrize("name", ALL)
def test_a_whole_data_set_is_verified(cli: Cli, small_data: Make, name: str) -> None:
    data = small_data(name)
    result = cli("data", "verify", name, "--json")
    assert result.code == 0, result.err
    assert result.json["whole"] is True
    assert (result.json["train"], result.json["test"]) == (data.info.train, data.info.test)
    for c in result.json["classes"]:
        assert (c["train"], c["train_published"]) == (6, 6)
        assert (c["test"], c["test_published"]) == (3, 3)
    shown = cli("data", "verify", name)
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    assert f"{data.info.title} is whole" in shown.out
    for c in result.json["classes"]:
        assert c["name"] in shown.out


def test_what_is_built_in_is_verified_too(cli: Cli) -> None:
    result = cli("data", "verify", "digits", "--json")
    assert result.json["train"] == 896
    assert [c["name"] for c in result.json["classes"]] == list("0123456789")


def test_verifying_reads_the_disk_and_no_memory(
    cli: Cli, small_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    small_data("svhn")
    read = []
    original = hashlib.file_digest

    def file_digest(stream: Any, kind: str) -> Any:
        read.append(Path(stream.name).name)
        return original(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    for _ in range(2):
        read.clear()
        assert cli("data", "verify", "svhn").code == 0
        assert sorted(read) == ["test_32x32.mat", "train_32x32.mat"]
    assert [p.name for p in Path().iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["cinic10", "food101"])
def test_a_broken_picture_is_named_by_verify(cli: Cli, small_data: Make, name: str) -> None:
    data = small_data(name)
    folder = data.root / data.info.files.folder
    file = min(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))
    file.write_bytes(file.read_bytes()[:-40])
    refused(cli("data", "verify", name), file.name, "cannot be decoded", f"data fetch {name}")
    result = cli("data", "verify", name, "--json")
    assert result.code == 2
    assert result.json["whole"] is False
    assert file.name in result.json["error"]


def test_wrong_counts_are_named_by_verify(cli: Cli, small_data: Make) -> None:
    small_data("cinic10")
    shutil.rmtree(Path("data") / "CINIC-10" / "test" / "ship")
    (Path("data") / "CINIC-10" / "test" / "ship").mkdir()
    refused(cli("data", "verify", "cinic10"), "ship has 0 test images instead of 3")


def test_missing_data_is_named_by_verify(cli: Cli) -> None:
    refused(cli("data", "verify", "stl10"), "train_X.bin", "data fetch stl10", "--data-dir")
    refused(cli("data", "verify", "stl"), "Unknown data set 'stl'", "did you mean 'stl10'")


@pytest.mark.parametrize("name", ["svhn", "caltech256"])
def test_a_data_set_is_fetched_once(
    cli: Cli, small_data: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = small_data(name)
    away = data.root.rename(data.root.with_name("server"))
    asked = []

    def download(info: Any, root: Path, train: bool) -> None:
        asked.append(info.name)
        shutil.copytree(away, root, dirs_exist_ok=True)

    monkeypatch.setattr(fetch, "_torchvision", download)
    first = cli("data", "fetch", name)
    assert first.code == 0, first.err
    assert "downloading it" in first.err
    assert f"{data.info.title} is in data, whole." in first.out
    asked.clear()
    again = cli("data", "fetch", name)
    assert again.code == 0
    assert again.err == ""
    assert asked == []


def test_a_failed_download_is_one_sentence(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no route\nto host")

    monkeypatch.setattr(fetch, "_torchvision", fail)
    result = cli("data", "fetch", "food101", "--data-dir", tmp_path / "here")
    assert result.code == 2
    for part in ("food-101 not found in", str(tmp_path / "here"), "no route to host"):
        assert part in result.err.replace("\n", " ")
    assert "Traceback" not in result.err


def test_what_is_broken_is_not_fetched_over(cli: Cli, small_data: Make) -> None:
    data = small_data("caltech256")
    next((data.root / data.info.files.folder / "001.thing-0").glob("*.jpg")).unlink()
    refused(cli("data", "fetch", "caltech256"), "it has 26 pictures, not 27", "Delete what is")


def test_what_is_built_in_needs_no_fetching(cli: Cli) -> None:
    assert cli("data", "fetch", "digits").out == "Digits is built in, whole.\n"
