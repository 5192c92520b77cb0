"""Pictures that are no data set: found in a folder, read, and left out where broken."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfgctl.data.pictures import SUFFIXES, in_folder, read, read_all
from dfgctl.data.views import VIEWS, View
from dfgctl.errors import DataCorruptError, DataMissingError

SMALL = View(channels=3, stored=16, crop=16, padding=0, flip=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three pictures, the last of them deeper."""
    root = tmp_path / "some"
    for i, name in enumerate(["a.png", "b.JPG", "deep/er/c.png"]):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + i, 30), (10 * i, 100, 200)).save(file)
    return root


def names(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in in_folder(root)]


# Where they are


def test_pictures_are_found_in_all_folders_and_sorted(folder: Path) -> None:
    assert names(folder) == ["a.png", "b.JPG", "deep/er/c.png"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".Jpeg"])
def test_a_file_counts_by_the_end_of_its_name(folder: Path, suffix: str) -> None:
    (folder / f"new{suffix}").touch()
    assert f"new{suffix}" in names(folder)


@pytest.mark.parametrize("name", ["notes.txt", "png", ".hidden.png", "._a.png", ".cache/a.png"])
def test_other_files_do_not_count(folder: Path, name: str) -> None:
    before = names(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    assert names(folder) == before


def test_a_folder_that_is_named_like_a_picture_is_looked_into(folder: Path) -> None:
    (folder / "d.png").mkdir()
    Image.new("L", (9, 9)).save(folder / "d.png" / "e.png")
    assert names(folder)[-2:] == ["d.png/e.png", "deep/er/c.png"]


def test_a_folder_below_a_hidden_one_is_looked_into(folder: Path) -> None:
    hidden = folder.rename(folder.with_name(".some"))
    assert names(hidden) == ["a.png", "b.JPG", "deep/er/c.png"]


def test_a_single_file_is_itself_whatever_its_name(folder: Path) -> None:
    odd = (folder / "a.png").rename(folder / "a.dat")
    assert in_folder(odd) == [odd]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataMissingError) as caught:
        in_folder(tmp_path)
    assert str(caught.value).startswith(f"There is no picture in {tmp_path} ")
    assert ".png" in str(caught.value)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="nowhere"):
        in_folder(tmp_path / "nowhere")


# How they are read


@pytest.mark.parametrize("network", VIEWS)
def test_all_are_read_as_a_data_sets_are(folder: Path, network: str) -> None:
    view = VIEWS[network]
    files = in_folder(folder)
    good, pixels, broken = read_all(files, view, strict=True)
    assert (good, broken) == (files, [])
    assert pixels.shape == (3, view.channels, view.stored, view.stored)
    assert pixels.dtype == np.uint8
    for file, picture in zip(files, pixels, strict=True):
        assert np.array_equal(picture, read(file, view, upright=True))


def test_they_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "x.png", exif=exif)
    _, pixels, _ = read_all([tmp_path / "x.png"], SMALL, strict=True)
    assert pixels[0, :, :8].max() == 0
    assert pixels[0, :, 8:].min() == 255


def test_broken_ones_are_left_out_and_returned(folder: Path) -> None:
    files = in_folder(folder)
    (folder / "a.png").write_bytes(b"no picture")
    good, pixels, broken = read_all(files, SMALL, strict=False)
    assert (good, broken) == (files[1:], files[:1])
    assert len(pixels) == 2
    assert np.array_equal(pixels[0], read(files[1], SMALL, upright=True))


def test_strict_names_the_first_broken_one(folder: Path) -> None:
    files = in_folder(folder)
    for file in files[1:]:
        file.write_bytes(b"no picture")
    with pytest.raises(DataCorruptError) as caught:
        read_all(files, SMALL, strict=True)
    assert str(caught.value).startswith(f"{files[1]} cannot be decoded ")
    assert "--strict" in str(caught.value)


def test_nothing_but_broken_ones_are_no_pixels(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"no picture")
    good, pixels, broken = read_all([folder / "a.png"], SMALL, strict=False)
    assert (good, broken) == ([], [folder / "a.png"])
    assert pixels.shape == (0, 3, 16, 16)


def test_odd_metadata_are_no_reason_to_complain(tmp_path: Path) -> None:
    """Pillow warns of damaged metadata, which do not concern the pixels."""
    file = tmp_path / "x.jpg"
    Image.new("RGB", (16, 16), "red").save(file, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x09")
    good, _, broken = read_all([file], SMALL, strict=True)
    assert (good, broken) == ([file], [])
