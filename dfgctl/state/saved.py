"""What is kept of a run in training, and the error where nothing can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Node = Any
"""What stands for a value in JSON: itself if it is plain, otherwise an object with its ``kind``."""


class StateError(Exception):
    """A method's state cannot be saved, or what was saved does not fit."""


@dataclass(frozen=True)
class Saved:
    """One run's state after a step: all that training needs to go on.

    Attributes:
        step: training steps done.
        tensors: by name, without a replica axis, on the CPU, contiguous, in memory of their own.
        content: the rest, as plain JSON values.
    """

    step: int
    tensors: Mapping[str, Tensor]
    content: Mapping[str, Any]


def own(tensor: Tensor) -> Tensor:
    """Copy a tensor to memory of its own on the CPU, contiguous."""
    copy = torch.empty(tensor.shape, dtype=tensor.dtype)
    return copy.copy_(tensor.detach())


def order_of(tensor: Tensor) -> list[int]:
    """Return a tensor's dimensions in the order in which they lie in memory, outermost first.

    Sums follow how a tensor lies, so a copy has to lie likewise.
    """
    strides = tensor.stride()
    if any(s == 0 and n > 1 for s, n in zip(strides, tensor.shape, strict=True)):
        return list(range(tensor.dim()))  # expanded: nothing lies in memory by itself
    return sorted(range(tensor.dim()), key=lambda d: -strides[d])


def laid_out(
    shape: tuple[int, ...], order: list[int], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Make a tensor, not filled, that lies in memory in an order (see ``order_of``).

    Raises:
        StateError: the order is none of the shape's dimensions.
    """
    if sorted(order) != list(range(len(shape))):
        raise StateError(f"{order} is no order of {len(shape)} dimensions")
    dense = torch.empty([shape[d] for d in order], dtype=dtype, device=device)
    return dense.permute([order.index(d) for d in range(len(shape))])
