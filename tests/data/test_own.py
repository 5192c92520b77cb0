"""Pictures of one's own: any sizes and colours, broken ones named, what cannot be refused."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dfgctl.data import own, pictures, sources
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.manifest import Manifest, manifest
from dfgctl.data.own import own_folder
from dfgctl.data.views import VIEWS, View
from dfgctl.errors import DataCorruptError, DataMissingError, InputError

Make = Callable[..., Path]
SMALL = View(channels=3, stored=16, crop=16, padding=0, flip=False)


def describe(root: Path, fraction: float | None = None, strict: bool = False) -> Manifest:
    info = own_folder(root, fraction, strict)
    return manifest(info, Path("data"), ChecksumCache(Path("cache.json")))


def load(root: Path, view: View = SMALL, fraction: float | None = None) -> Any:
    return sources.load(own_folder(root, fraction, False), Path("data"), view, Path("prepared"))


def test_a_folder_with_train_and_test_is_a_data_set(own_pictures: Make) -> None:
    root = own_pictures()
    info = own_folder(root, None, False)
    assert (info.name, info.title, info.roles) == ("mine", "mine", ("target",))
    assert (info.class_count, info.classes) == (2, ("cat", "dog"))
    assert (info.train, info.test) == (8, 4)
    found = describe(root)
    assert found.name == "mine"
    assert found.classes == ("cat", "dog")
    assert (found.train_counts, found.test_counts) == ((4, 4), (2, 2))
    assert found.broken == ()


@pytest.mark.parametrize("network", ["lenet5", "vgg16", "resnet50"])
def test_pictures_of_any_size_and_colour_are_brought_to_a_view(
    own_pictures: Make, network: str
) -> None:
    view = VIEWS[network]
    arrays = load(own_pictures(), view)
    assert arrays.train.shape == (8, view.channels, view.stored, view.stored)
    assert arrays.test.shape == (4, view.channels, view.stored, view.stored)
    assert arrays.train_labels.tolist() == [0] * 4 + [1] * 4
    assert arrays.test_labels.tolist() == [0, 0, 1, 1]
    assert all(image.std() > 1 for image in arrays.train)
    assert arrays.test_seen is None


def test_what_is_not_named_as_a_picture_does_not_count(own_pictures: Make) -> None:
    root = own_pictures()
    before = describe(root)
    for folder in (root, root / "train", root / "train" / "cat"):
        for name in (".DS_Store", "Thumbs.db", "notes.txt", "._picture 0.png"):
            (folder / name).write_bytes(b"no picture")
    (root / "train" / ".cache").mkdir()
    deeper = root / "train" / "dog" / "more"
    deeper.mkdir()
    shutil.copy(root / "train" / "dog" / "picture 0.png", deeper)
    assert describe(root) == before


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5, 0.99])
def test_a_share_of_each_class_tests(own_pictures: Make, fraction: float) -> None:
    root = own_pictures(train=8, test=0)
    found = describe(root, fraction)
    count = {0.01: 1, 0.25: 2, 0.5: 4, 0.99: 7}[fraction]
    assert found.test_counts == (count, count)
    assert found.train_counts == (8 - count, 8 - count)
    assert describe(root, fraction) == found


def test_the_split_is_fixed_and_parts_the_pictures(own_pictures: Make) -> None:
    root = own_pictures(train=8, test=0)
    info = own_folder(root, 0.25, False)
    found, _ = own.listing(info.files, ChecksumCache(Path("cache.json")))
    train, test = ({p.path for p in part} for part in (found.train, found.test))
    assert not train & test
    assert train | test == {f"{c}/picture {i}.png" for c in ("cat", "dog") for i in range(8)}
    assert [Path(p.path).stem[-1] for p in found.test] == list("2367")


def test_another_share_is_another_data_set(own_pictures: Make) -> None:
    root = own_pictures(train=8, test=0)
    assert len({describe(root, f).digest for f in (0.25, 0.5, 0.75)}) == 3


def test_the_digest_follows_the_content_and_not_the_place(own_pictures: Make) -> None:
    root = own_pictures()
    before = describe(root)
    moved = root.rename(root.with_name("elsewhere"))
    assert describe(moved).digest == before.digest
    file = moved / "test" / "dog" / "picture 0.png"
    Image.new("RGB", (9, 9), "red").save(file)
    assert describe(moved).digest != before.digest


# Broken pictures


@pytest.fixture
def some_broken(own_pictures: Make) -> Path:
    """A folder in which three pictures are broken, each in its own way."""
    root = own_pictures()
    empty, cut, other = (root / "train" / "cat" / f"picture {i}.png" for i in range(3))
    empty.write_bytes(b"")
    os.truncate(cut, cut.stat().st_size - 200)
    other.write_text("<html>Not found</html>")
    return root


BROKEN = tuple(f"train/cat/picture {i}.png" for i in range(3))


def test_broken_pictures_are_named_and_left_out(some_broken: Path) -> None:
    found = describe(some_broken)
    assert found.broken == BROKEN
    assert found.train_counts == (1, 4)
    arrays = load(some_broken)
    assert arrays.train_labels.tolist() == [0, 1, 1, 1, 1]


def test_strict_stops_at_broken_pictures(some_broken: Path) -> None:
    with pytest.raises(DataCorruptError) as error:
        describe(some_broken, strict=True)
    assert str(error.value).startswith("3 pictures in ")
    for part in (*BROKEN, "--strict"):
        assert part in str(error.value)


def test_broken_pictures_are_no_part_of_the_digest(some_broken: Path) -> None:
    before = describe(some_broken)
    for name in BROKEN:
        (some_broken / name).unlink()
    after = describe(some_broken)
    assert after.digest == before.digest
    assert after.broken == ()


def test_a_second_look_decodes_no_picture(
    some_broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = describe(some_broken)
    monkeypatch.setattr(pictures, "read", lambda *_: pytest.fail("a picture was decoded"))
    assert describe(some_broken) == before
    with pytest.raises(DataCorruptError):
        describe(some_broken, strict=True)
    os.utime(some_broken / BROKEN[0], ns=(1, 1))
    with pytest.raises(pytest.fail.Exception):
        describe(some_broken)


def test_a_class_whose_pictures_are_all_broken_is_named(some_broken: Path) -> None:
    (some_broken / "train" / "cat" / "picture 3.png").write_bytes(b"")
    with pytest.raises(InputError, match="no whole training picture: cat"):
        describe(some_broken)


# What cannot be trained on


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="no folder"):
        own_folder(tmp_path / "nowhere", None, False)


def test_one_class_is_refused(own_pictures: Make) -> None:
    root = own_pictures()
    for split in ("train", "test"):
        shutil.rmtree(root / split / "dog")
    with pytest.raises(InputError, match=r"needs two classes, and .* has 1: give"):
        own_folder(root, None, False)


def test_classes_that_differ_are_named(own_pictures: Make) -> None:
    root = own_pictures()
    (root / "test" / "dog").rename(root / "test" / "dogs")
    with pytest.raises(InputError, match=r"train/dog, test/dogs has no counterpart"):
        own_folder(root, None, False)


def test_a_class_without_test_pictures_is_named(own_pictures: Make) -> None:
    root = own_pictures()
    for file in (root / "test" / "dog").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no whole test picture: dog"):
        own_folder(root, None, False)


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_with_too_few_pictures_to_part_is_named(own_pictures: Make, count: int) -> None:
    root = own_pictures(train=3, test=0)
    for i in range(count, 3):
        (root / "dog" / f"picture {i}.png").unlink()
    with pytest.raises(InputError, match=r"no whole (training|test) picture: dog"):
        own_folder(root, 0.5, False)


def test_a_folder_of_classes_needs_a_test_fraction(own_pictures: Make) -> None:
    with pytest.raises(InputError, match=r"--test-fraction 0\.2"):
        own_folder(own_pictures(test=0), None, False)


def test_a_folder_with_its_own_test_needs_none(own_pictures: Make) -> None:
    with pytest.raises(InputError, match="leave --test-fraction out"):
        own_folder(own_pictures(), 0.2, False)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, float("nan")])
def test_a_fraction_is_between_0_and_1(own_pictures: Make, fraction: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        own_folder(own_pictures(test=0), fraction, False)


@pytest.mark.parametrize("name", ["digits", "SVHN", "cifar10"])
def test_the_name_of_a_published_data_set_is_refused(own_pictures: Make, name: str) -> None:
    with pytest.raises(InputError, match="rename the folder"):
        own_folder(own_pictures(name), None, False)


@pytest.mark.parametrize(
    ("folder", "name"), [("my cats & dogs", "my-cats-dogs"), ("Skin_v1.2", "Skin_v1.2")]
)
def test_the_data_set_is_named_after_the_folder(own_pictures: Make, folder: str, name: str) -> None:
    assert own_folder(own_pictures(folder), None, False).name == name


def test_a_name_without_a_letter_is_refused(own_pictures: Make) -> None:
    with pytest.raises(InputError, match="rename it"):
        own_folder(own_pictures("图片"), None, False)


# How single pictures are read


def one(image: Image.Image, file: str, view: View = SMALL, **options: Any) -> np.ndarray:
    image.save(file, **options)
    return pictures.read(Path(file), view, True)


GREY = View(channels=1, stored=16, crop=16, padding=0, flip=False)


def test_transparency_becomes_black() -> None:
    image = Image.new("RGBA", (16, 16), (200, 100, 50, 0))
    image.paste((200, 100, 50, 255), (0, 0, 8, 16))
    pixels = one(image, "x.png")
    assert pixels[:, :, :8].reshape(3, -1).T.tolist() == [[200, 100, 50]] * 128
    assert pixels[:, :, 8:].max() == 0


def test_a_palettes_transparent_colour_becomes_black() -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 250, 240, 230])
    assert one(image, "x.png").reshape(3, -1).T.tolist() == [[250, 240, 230]] * 256
    assert one(image, "y.png", transparency=1).max() == 0


def test_grey_pictures_are_repeated_and_colours_become_grey() -> None:
    grey = one(Image.new("L", (16, 16), 77), "x.png")
    assert grey.shape == (3, 16, 16)
    assert set(grey.ravel()) == {77}
    assert one(Image.new("RGB", (16, 16), "red"), "y.png", GREY)[0, 0, 0] == 76


@pytest.mark.parametrize("value", [0, 256, 40_000, 65_535])
def test_16_bits_are_brought_to_8(value: int) -> None:
    image = Image.fromarray(np.full((16, 16), value, dtype=np.uint16))
    assert set(one(image, "x.png", GREY).ravel()) == {value // 256}


def test_the_cameras_note_on_which_side_is_up_is_followed() -> None:
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = one(image, "x.png", GREY, exif=exif)
    assert turned[0, :8].max() == 0
    assert turned[0, 8:].min() == 255
    assert pictures.read(Path("x.png"), GREY, False)[0, :8].min() == 255


def test_a_picture_is_made_square_without_keeping_its_proportions() -> None:
    image = Image.new("L", (64, 32), 0)
    image.paste(255, (0, 0, 32, 32))
    pixels = one(image, "x.png", GREY)
    assert pixels.shape == (1, 16, 16)
    assert pixels[0, :, :7].min() == 255
    assert pixels[0, :, 9:].max() == 0
