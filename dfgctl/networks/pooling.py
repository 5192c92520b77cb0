"""2x2 max pooling that is quick on a CPU too, where PyTorch's own goes number by number."""

import torch
import torch.nn.functional as F
from torch import Tensor


def max_pool(x: Tensor) -> Tensor:
    """Take the largest of each 2x2 square: (B, C, H, W) to (B, C, H // 2, W // 2).

    Values and gradients are those of ``max_pool2d``, bit for bit.
    """
    # Under vmap a tensor does not tell whether it needs a gradient.
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return F.max_pool2d(x, 2)
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    rows = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])
