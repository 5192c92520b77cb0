"""``digits``: the 1,797 real handwritten digits that scikit-learn ships (8x8, UCI)."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfgctl import seeding
from dfgctl.data.arrays import ImageArrays

SPLIT = "digits split 1"
"""Names the stream of the fixed train/test split; another name would be another data set."""


def labels_and_split() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the 8x8 pixels (1797, 8, 8) in 0 to 16, the labels, and which images are for training.

    Half of each class (rounded down) trains, the rest tests.
    """
    pixels, labels = _table()
    training = np.zeros(len(labels), dtype=bool)
    for c in range(10):
        members = np.flatnonzero(labels == c)
        order = seeding.permutation(seeding.key(SPLIT, c), len(members))
        training[members[order[: len(members) // 2]]] = True
    return pixels, labels, training


def _table() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read scikit-learn's own file: importing scikit-learn takes each process seconds."""
    package = find_spec("sklearn")
    if package is not None and package.origin is not None:
        file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)
            return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def load() -> ImageArrays:
    """Load the digits, brought to 32x32 grey by bilinear interpolation."""
    pixels, labels, training = labels_and_split()
    large = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
            for image in (pixels.astype(np.float64) * 255 / 16).round().astype(np.uint8)
        ]
    )[:, None]
    return ImageArrays(
        train=large[training],
        train_labels=labels[training],
        test=large[~training],
        test_labels=labels[~training],
    )
