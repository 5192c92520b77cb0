"""The words of a run's random streams, as NumPy arrays without a replica axis."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl import seeding


def words(key: int, name: str, draw: int, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return 64-bit words of a run's stream ``name`` at a draw."""
    stream = seeding.substream(key, name)
    return seeding.words(stream, draw, int(np.prod(shape))).reshape(shape)


def integers(key: int, name: str, draw: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Draw integers uniform on [0, 2**63), to be taken modulo what is wanted."""
    return (words(key, name, draw, shape) >> np.uint64(1)).astype(np.int64)


def uniform(
    key: int,
    name: str,
    draw: int,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    low: float = 0.0,
    high: float = 1.0,
) -> Tensor:
    """Draw numbers uniform from low to high, on a grid of 2**24 values."""
    unit = (words(key, name, draw, shape) >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return torch.from_numpy(unit).to(dtype) * (high - low) + low
