"""Dropout whose masks depend on the run alone, so that a pack does not change them (F27)."""

import torch
from torch import Tensor, nn

from dfgctl import draws


class StreamDropout(nn.Module):
    """Dropout by counter-based random numbers, which ``torch.vmap`` keeps apart by replica.

    Its state is two buffers: the run's key, and how many masks it has drawn.

    Args:
        share: share of the units that are dropped, in [0, 1).
    """

    key: Tensor
    count: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        # Networks are made under the run's own seed (``seeded``), and so is the key.
        self.register_buffer("key", torch.randint(2**62, ()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Drop units in training mode, and scale the others up."""
        if not self.training:
            return x
        self.count.add_(1)
        mask = draws.uniform_from(self.key, self.count, x.numel()).view(x.shape) >= self.share
        return x * mask.to(x.dtype) / (1 - self.share)
