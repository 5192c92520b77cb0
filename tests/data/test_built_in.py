"""The built-in data sets: digits are split once and for all, glyphs are drawn the same again."""

import hashlib

import numpy as np
import pytest

from dfgctl.data import digits as digits_module
from dfgctl.data import glyphs as glyphs_module
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS, dataset
from dfgctl.data.files import IdxFiles
from dfgctl.errors import UnknownNameError


def check_form(arrays: ImageArrays, name: str) -> None:
    info = DATASETS[name]
    for pixels, labels, count in (
        (arrays.train, arrays.train_labels, info.train),
        (arrays.test, arrays.test_labels, info.test),
    ):
        assert pixels.shape == (count, 1, 32, 32)
        assert pixels.dtype == np.uint8
        assert labels.shape == (count,)
        assert labels.dtype == np.int64
        assert np.unique(labels).tolist() == list(range(len(info.classes)))


def test_digits_are_896_and_901_images_of_32_by_32(digits: ImageArrays) -> None:
    assert (len(digits.train), len(digits.test)) == (896, 901)
    check_form(digits, "digits")
    assert digits.train.max() == 255
    assert digits.train.min() == 0


def test_half_of_each_class_of_digits_trains() -> None:
    _, labels, training = digits_module.labels_and_split()
    everything = np.bincount(labels)
    assert everything.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels[training]).tolist() == (everything // 2).tolist()


def test_the_split_of_digits_stays_what_it_was() -> None:
    # Another split is another data set: results would not compare.
    _, _, training = digits_module.labels_and_split()
    assert (
        hashlib.sha256(training.tobytes()).hexdigest()
        == "40acc6f5a3ff670e97904aa5463359ad809b982b04d18319230d82851b51d7ac"
    )


def test_no_image_of_digits_trains_and_tests() -> None:
    from sklearn.datasets import load_digits

    pixels, labels, training = digits_module.labels_and_split()
    bunch = load_digits()
    assert np.array_equal(pixels, bunch.images)
    assert np.array_equal(labels, bunch.target)
    assert training.sum() + (~training).sum() == 1797
    train = set(np.flatnonzero(training))
    assert train.isdisjoint(np.flatnonzero(~training))


def test_large_digits_are_the_small_ones_in_order(digits: ImageArrays) -> None:
    pixels, labels, training = digits_module.labels_and_split()
    for large, own, mask in (
        (digits.train, digits.train_labels, training),
        (digits.test, digits.test_labels, ~training),
    ):
        assert np.array_equal(own, labels[mask])
        small = large.reshape(-1, 8, 4, 8, 4).mean((2, 4)) / 255 * 16
        assert abs(small.mean((1, 2)) - pixels[mask].mean((1, 2))).max() < 0.2
        together = np.corrcoef(small.ravel(), pixels[mask].ravel())[0, 1]
        assert together > 0.95


def test_glyphs_are_600_and_100_images_a_class(glyphs: ImageArrays) -> None:
    check_form(glyphs, "glyphs")
    assert np.bincount(glyphs.train_labels).tolist() == [600] * 10
    assert np.bincount(glyphs.test_labels).tolist() == [100] * 10


def test_glyphs_are_drawn_the_same_again(
    glyphs: ImageArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glyphs_module, "TRAIN_PER_CLASS", 20)
    monkeypatch.setattr(glyphs_module, "TEST_PER_CLASS", 5)
    few, again = glyphs_module.load(), glyphs_module.load()
    for name in ("train", "train_labels", "test", "test_labels"):
        assert np.array_equal(getattr(few, name), getattr(again, name))
    # The first class is drawn first: its images do not depend on how many follow.
    assert np.array_equal(few.train[:20], glyphs.train[:20])
    assert np.array_equal(few.test[:5], glyphs.train[20:25])


def test_no_two_glyphs_are_the_same_picture(glyphs: ImageArrays) -> None:
    pictures = {image.tobytes() for image in (*glyphs.train, *glyphs.test)}
    assert len(pictures) == 7000


def test_the_ten_digits_of_the_glyphs_differ(glyphs: ImageArrays) -> None:
    means = np.stack([glyphs.train[glyphs.train_labels == c].mean(0).ravel() for c in range(10)])
    # The nearest class mean names about half of the test images, whatever their font and turn.
    distances = ((glyphs.test.reshape(-1, 1, 1024) - means) ** 2).sum(2)
    assert (distances.argmin(1) == glyphs.test_labels).mean() > 0.4
    apart = ((means[:, None] - means) ** 2).sum(2)
    assert apart[~np.eye(10, dtype=bool)].min() > 50_000


def test_every_font_of_the_glyphs_is_there_and_draws_ten_different_digits() -> None:
    from PIL import ImageFont

    folder = glyphs_module.font_folder()
    assert len(set(glyphs_module.FONTS)) == len(glyphs_module.FONTS) == 21
    for name in glyphs_module.FONTS:
        assert (folder / name).is_file(), name
        font = ImageFont.truetype(str(folder / name), 48)
        drawn = {bytes(font.getmask(str(digit))) for digit in range(10)}
        assert len(drawn) == 10, name


def test_a_data_set_is_found_by_name_and_role() -> None:
    assert dataset("digits", "target").title == "Digits"
    assert dataset("mnist", "source").title == "MNIST"
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        dataset("digit")
    with pytest.raises(UnknownNameError, match="Unknown target data set 'glyphs'"):
        dataset("glyphs", "target")


def test_every_catalog_entry_says_where_it_is_from_and_under_what_licence() -> None:
    for name, info in DATASETS.items():
        assert info.name == name
        assert len(set(info.classes)) == len(info.classes) in (0, info.class_count)
        assert info.class_count > 1
        assert set(info.roles) <= {"target", "source"}
        assert info.roles
        assert info.licence
        assert info.origin
        if isinstance(info.files, IdxFiles):
            assert len(set(info.files.names())) == 4
            assert set(info.files.checksums) in (set(), set(info.files.names()))
