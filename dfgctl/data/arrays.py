"""What every loader of a small data set returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageArrays:
    """A data set in memory: pixels (N, C, H, W) in 0 to 255, labels (N,) from 0.

    ``test_seen`` marks the test images that the source network was trained on; None where there
    are none.
    """

    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    test_seen: NDArray[np.bool_] | None = None
