"""CINIC-10, Caltech-256 and Food-101: small folders of the same form, and halves of them."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dfgctl.data import folders, pictures, sources
from dfgctl.data.manifest import ChecksumCache, Manifest, manifest, missing_files
from dfgctl.data.verify import check_pictures
from dfgctl.data.views import VIEWS, View
from dfgctl.errors import DataCorruptError, DataMissingError, InputError

Make = Callable[..., Any]
NAMES = ["cinic10", "caltech256", "food101"]
SMALL = View(channels=3, stored=32, crop=32, padding=0, flip=True)


def describe(data: Any) -> Manifest:
    return manifest(data.info, data.root, ChecksumCache(data.root / "cache.json"))


def load(data: Any, view: View = SMALL) -> Any:
    return sources.load(data.info, data.root, view, data.root / "prepared")


def listing(data: Any) -> folders.Listing:
    return folders.listing(data.info, data.info.files, data.root)


def files(data: Any) -> list[Path]:
    """Return the paths of all pictures of the data set."""
    found = listing(data)
    return [found.root / p.path for p in (*found.train, *found.test)]


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_and_what_loads_agree(name: str, small_data: Make) -> None:
    data = small_data(name)
    found, arrays = describe(data), load(data)
    count = data.info.class_count
    assert found.train_counts == (6,) * count
    assert found.test_counts == (3,) * count
    assert len(set(found.classes)) == count
    assert np.bincount(arrays.train_labels).tolist() == [6] * count
    assert np.bincount(arrays.test_labels).tolist() == [3] * count
    assert arrays.train.shape == (6 * count, 3, 32, 32)
    assert arrays.test.shape == (3 * count, 3, 32, 32)
    assert arrays.train.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
def test_each_image_is_its_file_in_the_view(name: str, small_data: Make) -> None:
    data = small_data(name)
    view = VIEWS["resnet50"] if name == "food101" else SMALL
    found, arrays = listing(data), load(data, view)
    for part, pixels in ((found.train, arrays.train), (found.test, arrays.test)):
        for picture, loaded in zip(part, pixels, strict=True):
            with Image.open(found.root / picture.path) as image:
                small = image.convert("RGB").resize((view.stored,) * 2, Image.Resampling.BILINEAR)
            assert np.array_equal(loaded, np.asarray(small).transpose(2, 0, 1))


def test_cinic10s_pixels_are_those_that_were_written(small_data: Make) -> None:
    data = small_data("cinic10")
    arrays = load(data, VIEWS["vgg16"])
    for c in range(10):
        ours = {x.tobytes() for x in arrays.train[arrays.train_labels == c]}
        assert ours == {x.tobytes() for x in data.pixels["train"][data.labels["train"] == c]}


def test_cinic10_tells_which_test_images_are_cifar10s_training_images(small_data: Make) -> None:
    data = small_data("cinic10")
    found, seen = listing(data), load(data).test_seen
    assert seen.dtype == np.bool_
    assert seen.tolist() == ["/cifar10-train-" in p.path for p in found.test]
    assert seen.sum() == 10
    one = next((data.root / "CINIC-10" / "test" / "cat").glob("cifar10-train-*"))
    one.rename(one.with_name(one.name.replace("cifar10", "cifar-10")))
    assert load(data).test_seen.sum() == 10  # as its documentation writes the names
    one = next((data.root / "CINIC-10" / "test" / "dog").glob("cifar10-train-*"))
    one.rename(one.with_name("n0001_1.png"))
    with pytest.raises(DataCorruptError, match="names of 9 test pictures, not of 10"):
        describe(data)


def test_only_cinic10_knows_of_images_that_the_source_has_seen(small_data: Make) -> None:
    assert load(small_data("food101")).test_seen is None


def test_caltech256_is_split_once_and_for_all(small_data: Make) -> None:
    data = small_data("caltech256")
    found = listing(data)
    assert found.classes == ("thing-0", "thing-1", "thing-2")
    # Another split is another data set: results would not compare.
    assert [p.path[-5] for p in found.test] == list("367129159")
    assert not {p.path for p in found.train} & {p.path for p in found.test}


def test_food101s_split_is_that_of_its_lists(small_data: Make) -> None:
    data = small_data("food101")
    found = listing(data)
    for split, part in (("train", found.train), ("test", found.test)):
        listed = json.loads((data.root / "food-101" / "meta" / f"{split}.json").read_text())
        for c, name in enumerate(found.classes):
            ours = {p.path for p in part if p.label == c}
            assert ours == {f"images/{entry}.jpg" for entry in listed[name]}


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_follows_the_content_and_not_the_place(
    name: str, small_data: Make, tmp_path: Path
) -> None:
    data = small_data(name)
    before = describe(data)
    moved = replace(data, root=data.root.rename(tmp_path / "elsewhere"))
    assert describe(moved) == before
    file = files(moved)[0]
    with Image.open(file) as image:
        other = image.rotate(180)
    other.save(file)
    assert describe(moved).digest != before.digest


def test_the_digest_follows_the_split(small_data: Make) -> None:
    data = small_data("food101")
    before = describe(data)
    meta = data.root / "food-101" / "meta"
    lists = {s: json.loads((meta / f"{s}.json").read_text()) for s in ("train", "test")}
    train, test = lists["train"]["dish_0"], lists["test"]["dish_0"]
    train[0], test[0] = test[0], train[0]
    for split, listed in lists.items():
        (meta / f"{split}.json").write_text(json.dumps(listed))
    assert describe(data).digest != before.digest


@pytest.mark.parametrize("name", NAMES)
def test_a_second_look_reads_no_picture(
    name: str, small_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_data(name)
    before = describe(data)
    monkeypatch.setattr(folders, "_sha256", lambda path: pytest.fail(f"{path} was read"))
    assert describe(data) == before
    os.utime(files(data)[3], ns=(1, 1))
    with pytest.raises(pytest.fail.Exception, match="was read"):
        describe(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_load_decodes_no_picture(
    name: str, small_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_data(name)
    first = load(data)
    monkeypatch.setattr(pictures, "read", lambda *_: pytest.fail("a picture was decoded"))
    second = load(data)
    assert np.array_equal(first.train, second.train)
    assert np.array_equal(first.test, second.test)
    with pytest.raises(pytest.fail.Exception):
        load(data, VIEWS["lenet5"])
    assert not list((data.root / "prepared").glob("*.tmp"))


def test_mapped_images_can_be_written_to_and_the_file_stays(small_data: Make) -> None:
    data = small_data("cinic10")
    first = load(data)
    first.train[0] = 7
    assert not np.array_equal(load(data).train[0], first.train[0])


# What is not whole


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_folder_is_named(name: str, small_data: Make) -> None:
    data = small_data(name)
    shutil.rmtree(data.root / data.info.files.folder)
    assert missing_files(data.info, data.root) == [data.info.files.folder]
    with pytest.raises(DataMissingError) as error:
        describe(data)
    for part in (data.info.files.folder, str(data.root), f"data fetch {name}", "--data-dir"):
        assert part in str(error.value)


@pytest.mark.parametrize("part", ["train/cat", "test/truck"])
def test_a_missing_class_of_cinic10_is_named(part: str, small_data: Make) -> None:
    data = small_data("cinic10")
    shutil.rmtree(data.root / "CINIC-10" / part)
    assert missing_files(data.info, data.root) == [f"CINIC-10/{part}"]


@pytest.mark.parametrize("part", ["meta/test.json", "images"])
def test_a_missing_part_of_food101_is_named(part: str, small_data: Make) -> None:
    data = small_data("food101")
    path = data.root / "food-101" / part
    path.rename(data.root / "away")
    assert missing_files(data.info, data.root) == [f"food-101/{part}"]


def test_a_class_of_cinic10_with_a_picture_too_few_is_named(small_data: Make) -> None:
    data = small_data("cinic10")
    next((data.root / "CINIC-10" / "train" / "frog").iterdir()).unlink()
    with pytest.raises(DataCorruptError, match="frog has 5 training images instead of 6"):
        describe(data)


def test_a_half_unpacked_caltech256_is_found(small_data: Make) -> None:
    data = small_data("caltech256")
    file = files(data)[0]
    file.unlink()
    with pytest.raises(DataCorruptError, match="it has 26 pictures, not 27"):
        describe(data)
    shutil.rmtree(file.parent)
    with pytest.raises(DataCorruptError, match="it has 2 classes, not 3"):
        describe(data)


def test_a_picture_that_food101_lists_and_is_not_there_is_named(small_data: Make) -> None:
    data = small_data("food101")
    file = files(data)[5]
    file.unlink()
    with pytest.raises(DataCorruptError) as error:
        describe(data)
    assert f"images/{file.parent.name}/{file.name} is missing" in str(error.value)
    assert "data fetch food101" in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", "7", '{"a": 3}'])
def test_a_broken_list_of_food101_is_named(content: str, small_data: Make) -> None:
    data = small_data("food101")
    (data.root / "food-101" / "meta" / "train.json").write_text(content)
    with pytest.raises(DataCorruptError, match=r"meta/train\.json is no list|different classes"):
        describe(data)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_picture_is_named(name: str, small_data: Make) -> None:
    data = small_data(name)
    file = files(data)[-1]
    file.write_bytes(b"")
    with pytest.raises(DataCorruptError, match=rf"{file.name} is empty"):
        describe(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_picture_is_named_and_nothing_is_left(name: str, small_data: Make) -> None:
    data = small_data(name)
    file = files(data)[2]
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(DataCorruptError) as error:
        load(data)
    assert str(error.value).startswith(f"{file} is broken: it cannot be decoded")
    assert not [p for p in (data.root / "prepared").iterdir() if p.suffix != ".json"]
    with pytest.raises(DataCorruptError, match="1 pictures cannot be decoded") as error:
        check_pictures(data.info, data.root)
    assert file.name in str(error.value)


def test_whole_pictures_pass_the_check(small_data: Make) -> None:
    for name in (*NAMES, "svhn"):
        data = small_data(name)
        check_pictures(data.info, data.root)


def test_a_full_disk_is_told_before_anything_is_decoded(
    small_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_data("food101")
    usage = shutil.disk_usage(data.root)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(pictures, "read", lambda *_: pytest.fail("a picture was decoded"))
    with pytest.raises(InputError, match="55,296 bytes and 1,000 are free") as error:
        load(data)
    assert "--registry" in str(error.value)


def test_a_disk_that_fills_up_leaves_no_half_file(
    small_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_data("food101")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(InputError, match="No space left on device"):
        load(data)
    assert not [p for p in (data.root / "prepared").iterdir() if p.suffix != ".json"]


def test_progress_is_told(small_data: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data("cinic10", train=1, test=1)
    monkeypatch.setattr(pictures, "REPORTED", 4)
    told: list[tuple[int, int]] = []
    sources.load(
        data.info, data.root, SMALL, Path("p"), progress=lambda done, of: told.append((done, of))
    )
    assert told == [(4, 10), (8, 10), (10, 10)] * 2


@pytest.mark.parametrize("broken", [False, True])
def test_pictures_are_begun_as_others_are_done_and_come_in_order(
    monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(pictures, "WAITING", 3)
    found = [folders.Picture(str(i), 0, 0, 0) for i in range(20)]
    begun: list[str] = []

    def work(picture: folders.Picture) -> str:
        begun.append(picture.path)
        if broken and picture.path == "7":
            raise DataCorruptError("7 is broken")
        return picture.path

    done: list[str] = []
    expected = pytest.raises(DataCorruptError) if broken else contextlib.nullcontext()
    with expected:
        for path in pictures._in_order(work, found, None):
            done.append(path)
            assert len(begun) <= len(done) + 2 + 1  # the one that was done made room for another
    assert done == [str(i) for i in range(7 if broken else 20)]
    assert len(begun) <= (10 if broken else 20)


def test_a_file_is_hashed_as_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    assert folders._sha256(tmp_path / "x") == hashlib.sha256(b"content").hexdigest()
