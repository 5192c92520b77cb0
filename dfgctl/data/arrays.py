"""What every loader of a data set returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageArrays:
    """A data set, in memory or mapped from files.

    Attributes:
        train: training images, (N, C, H, W) in 0 to 255.
        train_labels: their labels, (N,) from 0.
        test: test images.
        test_labels: their labels.
        test_seen: which test images the source network has been trained on, (N,); None where that
            is none of them or not known.
    """

    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    test_seen: NDArray[np.bool_] | None = None
