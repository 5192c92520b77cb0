"""Pictures are copied from the host's memory as plain indexing would."""

import numpy as np
import pytest
import torch

from dfgctl.data.reading import Swept, gather

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3, 7, 7), dtype=np.uint8)


def test_whole_pictures_are_gathered():
    index = np.array([3, 19, 3, 0])
    out = np.empty((4, 3, 7, 7), np.uint8)
    gather(PIXELS, index, None, out)
    assert np.array_equal(out, PIXELS[index])


def test_windows_of_pictures_are_gathered():
    index, corners = np.array([3, 19, 3]), np.array([[0, 0], [2, 1], [3, 2]])
    out = np.empty((3, 3, 4, 5), np.uint8)
    gather(PIXELS, index, corners, out)
    for window, i, (top, left) in zip(out, index, corners, strict=True):
        assert np.array_equal(window, PIXELS[i, :, top : top + 4, left : left + 5])


@pytest.mark.parametrize("index", [[0, 20], [-1, 3]])
@pytest.mark.parametrize("corners", [None, np.zeros((2, 2), np.int64)])
def test_a_picture_that_is_not_there_is_an_error(index, corners):
    with pytest.raises(IndexError, match="there are 20 pictures"):
        gather(PIXELS, np.array(index), corners, np.empty((2, 3, 7, 7), np.uint8))


@pytest.mark.parametrize(("crop", "edge"), [(None, 0), (7, 0), (6, 0), (5, 1), (9, 0)])
def test_the_middle_of_larger_pictures_is_swept(crop, edge):
    index = torch.tensor([[0, 5, 9], [7, 7, 1]])
    swept = Swept(PIXELS, index, 2, crop)
    for place, count in ((0, 2), (2, 1)):
        (part,) = swept.empty(place, pinned=False)
        swept.fill(place, (part,))
        expected = PIXELS[index[:, place : place + count].numpy()]
        if edge:
            expected = expected[..., edge:-edge, edge:-edge]
        assert np.array_equal(part.numpy(), expected)
