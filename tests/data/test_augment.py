"""Random crops and flips, against a plain loop over the numbers that were drawn."""

import pytest
import torch

from dfgctl import seeding
from dfgctl.data.augment import centred, is_random, randomly
from dfgctl.data.views import VIEWS, View
from dfgctl.draws import Stream

KEYS = [seeding.run_key(seed, (0, 4)) for seed in range(3)]
CROPPED = View(channels=3, stored=9, crop=6, padding=0, flip=True)
STANDING = View(channels=3, stored=9, crop=9, padding=2, flip=False)
MIRRORED = View(channels=3, stored=9, crop=9, padding=0, flip=True)
ALL = {"crop": CROPPED, "padding": STANDING, "flip": MIRRORED, "vgg16": VIEWS["vgg16"]}


def stream(keys: list[int] = KEYS) -> Stream:
    return Stream(keys, "augmentation", torch.device("cpu"))


def pictures(view: View, count: int = 5) -> torch.Tensor:
    made = torch.Generator().manual_seed(2)
    shape = (len(KEYS), count, view.channels, view.stored, view.stored)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=made)


def one(picture: list, view: View, row: int, column: int, flip: bool) -> list:
    """Pad, crop and mirror one channel, pixel by pixel."""
    size = len(picture)
    out = []
    for i in range(view.crop):
        line = []
        for j in range(view.crop):
            y, x = row + i - view.padding, column + j - view.padding
            inside = 0 <= y < size and 0 <= x < size
            line.append(picture[y][x] if inside else 0)
        out.append(line[::-1] if flip else line)
    return out


@pytest.mark.parametrize("name", ALL)
def test_pictures_are_cropped_and_flipped_as_the_numbers_say(name: str):
    view = ALL[name]
    pixels = pictures(view)
    got = randomly(pixels, view, stream(), 7)
    assert got.dtype == torch.uint8
    assert got.shape == (3, 5, 3, view.crop, view.crop)
    room = view.stored + 2 * view.padding - view.crop + 1
    drawn = stream().integers(7, (5, 3), 2**62).tolist()
    for r in range(3):
        for b in range(5):
            row, column, coin = drawn[r][b]
            flip = view.flip and coin % 2 == 1
            expected = [
                one(channel, view, row % room, column % room, flip)
                for channel in pixels[r, b].tolist()
            ]
            assert got[r, b].tolist() == expected


@pytest.mark.parametrize("name", ALL)
def test_a_pack_changes_pictures_as_each_member_alone_does(name: str):
    pixels = pictures(ALL[name])
    together = randomly(pixels, ALL[name], stream(), 3)
    for r in range(3):
        alone = randomly(pixels[r : r + 1], ALL[name], stream(KEYS[r : r + 1]), 3)
        assert torch.equal(alone[0], together[r])


def test_every_place_and_both_directions_occur():
    # A picture whose pixels tell where they were: crops of 2 from 3, mirrored or not.
    view = View(channels=1, stored=3, crop=2, padding=0, flip=True)
    picture = torch.arange(9, dtype=torch.uint8).view(1, 1, 1, 3, 3).expand(1, 400, 1, 3, 3)
    seen = {tuple(p.flatten().tolist()) for p in randomly(picture, view, stream(KEYS[:1]), 0)[0]}
    crops = [(0, 1, 3, 4), (1, 2, 4, 5), (3, 4, 6, 7), (4, 5, 7, 8)]
    assert seen == {*crops, *((b, a, d, c) for a, b, c, d in crops)}


def test_steps_are_changed_differently():
    pixels = pictures(CROPPED)
    assert not torch.equal(
        randomly(pixels, CROPPED, stream(), 1), randomly(pixels, CROPPED, stream(), 2)
    )


def test_nothing_is_random_for_lenet5():
    view = VIEWS["lenet5"]
    pixels = pictures(View(channels=1, stored=32, crop=32, padding=0, flip=False))
    assert not is_random(view)
    assert torch.equal(randomly(pixels, view, stream(), 1), pixels)


def test_the_paper_s_augmentations_are_the_other_networks_own():
    assert is_random(VIEWS["vgg16"])
    assert is_random(VIEWS["resnet50"])
    assert VIEWS["vgg16"] == View(channels=3, stored=32, crop=32, padding=4, flip=True)
    assert VIEWS["resnet50"] == View(channels=3, stored=256, crop=224, padding=0, flip=True)


def test_the_centre_is_as_far_from_one_edge_as_from_the_other():
    picture = torch.arange(36).view(1, 6, 6)
    view = View(channels=1, stored=6, crop=2, padding=0, flip=True)
    assert centred(picture, view).tolist() == [[[14, 15], [20, 21]]]
    whole = VIEWS["vgg16"]
    pixels = pictures(whole)
    assert torch.equal(centred(pixels, whole), pixels)
