"""Manifests: counts and digests of whole data sets, and broken files named one by one."""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfgctl.data import glyphs
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, Manifest, _digits, manifest, missing_files
from dfgctl.errors import DataCorruptError, DataMissingError

Make = Callable[[str], Any]


def describe(data: Any) -> Manifest:
    return manifest(data.info, data.root, ChecksumCache(data.root / "cache.json"))


def broken(data: Any, file: Path, says: str | None = None) -> None:
    """Expect the file to be named as broken, with the reason and what to do."""
    with pytest.raises(DataCorruptError, match=says) as error:
        describe(data)
    assert str(error.value).startswith(f"{file} is broken: ")
    assert "Delete it" in str(error.value)
    assert "--data-dir" in str(error.value)


@pytest.mark.parametrize("name", ["fmnist", "mnist", "emnist-digits", "emnist-letters"])
def test_a_manifest_counts_each_classs_images(name: str, small: Make) -> None:
    data = small(name)
    found = describe(data)
    first, classes = data.info.files.first_label, len(data.info.classes)
    assert found.name == name
    for split, counts in (("train", found.train_counts), ("test", found.test_counts)):
        expected = np.bincount(data.labels[split].astype(int) - first, minlength=classes)
        assert counts == tuple(expected)
    assert sum(found.train_counts) == 60
    assert sum(found.test_counts) == 30


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_the_digest_changes_with_each_files_content(small: Make, split: str, what: str) -> None:
    data = small("fmnist")
    before = describe(data)
    assert describe(data) == before
    file = data.file(split, what)
    content = bytearray(file.read_bytes())
    content[-1] = 1 if content[-1] == 0 else content[-1] - 1
    file.write_bytes(content)
    os.utime(file, ns=(0, 1))
    after = describe(data)
    assert after.digest != before.digest
    assert len(after.digest) == 64


def test_the_digest_does_not_depend_on_where_the_files_lie(small: Make, tmp_path: Path) -> None:
    data = small("fmnist")
    before = describe(data)
    moved = replace(data, root=data.root.rename(tmp_path / "elsewhere"))
    assert describe(moved) == before


def test_missing_files_are_named_with_their_folder(small: Make) -> None:
    data = small("emnist-letters")
    assert missing_files(data.info, data.root) == []
    for split, what in (("train", "labels"), ("test", "images")):
        data.file(split, what).unlink()
    names = ["emnist-letters-train-labels-idx1-ubyte", "emnist-letters-test-images-idx3-ubyte"]
    assert missing_files(data.info, data.root) == names
    with pytest.raises(DataMissingError) as error:
        describe(data)
    for part in (*names, str(data.file("train", "images").parent), "--data-dir"):
        assert part in str(error.value)
    assert "emnist-letters-train-images" not in str(error.value)


def test_a_folder_without_data_misses_all_four_files(tmp_path: Path) -> None:
    info = DATASETS["fmnist"]
    assert info.files is not None
    assert missing_files(info, tmp_path / "nowhere") == list(info.files.names())
    assert missing_files(DATASETS["digits"], tmp_path / "nowhere") == []


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_truncated_file_is_found(small: Make, split: str, what: str) -> None:
    data = small("fmnist")
    file = data.file(split, what)
    size = file.stat().st_size
    os.truncate(file, size - 1)
    broken(data, file, f"it has {size - 1:,} bytes instead of {size:,}")


def test_a_file_that_is_too_long_is_found(small: Make) -> None:
    data = small("fmnist")
    file = data.file("train", "images")
    size = file.stat().st_size
    with file.open("ab") as stream:
        stream.write(b"\0")
    broken(data, file, f"it has {size + 1:,} bytes instead of {size:,}")


@pytest.mark.parametrize("content", [b"", b"\0", b"PK\x03\x04" + bytes(3000), bytes(4000)])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_file_with_another_magic_number_is_no_idx_file(
    small: Make, what: str, content: bytes
) -> None:
    data = small("fmnist")
    file = data.file("train", what)
    file.write_bytes(content)
    broken(data, file, "it is no IDX file")


@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_whole_file_with_another_count_is_found(small: Make, what: str) -> None:
    data = small("fmnist")
    data.file("train", what).write_bytes(data.file("test", what).read_bytes())
    broken(data, data.file("train", what), "it holds 30 entries instead of 60")


def test_labels_in_the_place_of_images_are_found(small: Make) -> None:
    data = small("fmnist")
    data.file("train", "images").write_bytes(data.file("train", "labels").read_bytes())
    broken(data, data.file("train", "images"))


def test_images_in_the_place_of_labels_are_found(small: Make) -> None:
    data = small("fmnist")
    dark = struct.pack(">4I", 0x803, 60, 28, 28) + bytes(60 * 28 * 28)
    data.file("train", "labels").write_bytes(dark)
    broken(data, data.file("train", "labels"))


def test_images_of_another_size_are_found(small: Make) -> None:
    data = small("fmnist")
    file = data.file("train", "images")
    file.write_bytes(struct.pack(">4I", 0x803, 60, 32, 32) + bytes(60 * 32 * 32))
    broken(data, file)


@pytest.mark.parametrize(("name", "label"), [("fmnist", 10), ("emnist-letters", 0)])
def test_a_label_that_no_class_has_is_found(small: Make, name: str, label: int) -> None:
    data = small(name)
    file = data.file("test", "labels")
    content = bytearray(file.read_bytes())
    content[-1] = label
    file.write_bytes(content)
    broken(data, file, "it has labels that no class has")


def test_a_file_that_is_not_the_published_one_is_found(small: Make) -> None:
    data = small("fmnist")
    right = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in data.file("train", "images").parent.iterdir()
    }
    info = replace(data.info, files=replace(data.info.files, checksums=right))
    known = replace(data, info=info)
    assert describe(known) == describe(data)
    file = data.file("test", "images")
    wrong = {**right, file.name: "0" * 64}
    info = replace(data.info, files=replace(data.info.files, checksums=wrong))
    broken(replace(data, info=info), file, "its checksum is not the published one")


# The checksum cache


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the files whose content is hashed."""
    names: list[str] = []
    original = hashlib.file_digest

    def file_digest(stream: Any, kind: str) -> Any:
        names.append(Path(stream.name).name)
        return original(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    return names


def test_a_file_is_hashed_once(small: Make, hashed: list[str]) -> None:
    data = small("fmnist")
    first = describe(data)
    assert sorted(hashed) == sorted(data.info.files.names())
    hashed.clear()
    assert describe(data) == first
    assert hashed == []


def test_a_file_that_changed_is_hashed_again(small: Make, hashed: list[str]) -> None:
    data = small("fmnist")
    before = describe(data)
    hashed.clear()
    file = data.file("train", "images")
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert describe(data).digest != before.digest
    assert hashed == [file.name]


def test_the_cache_knows_the_right_checksum_of_each_path(tmp_path: Path, hashed: list[str]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for file in (one, two):
        file.write_bytes(file.name.encode())
        os.utime(file, ns=(5, 5))
    cache = ChecksumCache(tmp_path / "deep" / "cache.json")
    for _ in range(2):
        for file in (one, two):
            assert cache.sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert hashed == ["one", "two"]
    again = ChecksumCache(tmp_path / "deep" / "cache.json")
    assert again.sha256(two) == hashlib.sha256(b"two").hexdigest()
    assert hashed == ["one", "two"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["cache.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"7"])
def test_an_unreadable_cache_costs_only_time(tmp_path: Path, content: bytes) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache.json"
    file.write_bytes(b"content")
    cache.write_bytes(content)
    expected = hashlib.sha256(b"content").hexdigest()
    assert ChecksumCache(cache).sha256(file) == expected
    assert expected in cache.read_text()


@pytest.mark.parametrize("kept", [0, 1, 2, None])
def test_a_broken_entry_of_the_cache_costs_only_time(tmp_path: Path, kept: int | None) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache.json"
    file.write_bytes(b"content")
    stat = file.stat()
    entry = 7 if kept is None else [stat.st_size, stat.st_mtime_ns, "checksum"][:kept]
    cache.write_text(json.dumps({str(file.resolve()): entry}))
    assert ChecksumCache(cache).sha256(file) == hashlib.sha256(b"content").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the cache's folder should be")
    file = tmp_path / "file"
    file.write_bytes(b"content")
    cache = ChecksumCache(tmp_path / "taken" / "cache.json")
    assert cache.sha256(file) == hashlib.sha256(b"content").hexdigest()


# Built-in data sets


def test_the_manifest_of_digits_agrees_with_what_loads(digits: Any, tmp_path: Path) -> None:
    found = manifest(DATASETS["digits"], tmp_path, ChecksumCache(tmp_path / "cache.json"))
    assert found.train_counts == tuple(np.bincount(digits.train_labels))
    assert found.test_counts == tuple(np.bincount(digits.test_labels))


def test_the_manifest_of_glyphs_agrees_with_what_loads(glyphs: Any, tmp_path: Path) -> None:
    found = manifest(DATASETS["glyphs"], tmp_path, ChecksumCache(tmp_path / "cache.json"))
    assert found.train_counts == tuple(np.bincount(glyphs.train_labels))
    assert found.test_counts == tuple(np.bincount(glyphs.test_labels))


def test_another_split_or_way_of_drawing_is_another_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfgctl.data import digits as digits_module

    cache = ChecksumCache(tmp_path / "cache.json")
    before = {n: manifest(DATASETS[n], tmp_path, cache).digest for n in ("digits", "glyphs")}
    monkeypatch.setattr(digits_module, "SPLIT", "another")
    monkeypatch.setattr(glyphs, "VERSION", "another")
    _digits.cache_clear()
    after = {n: manifest(DATASETS[n], tmp_path, cache).digest for n in ("digits", "glyphs")}
    _digits.cache_clear()
    assert len({*before.values(), *after.values()}) == 4
