"""The last dense layer of the backbones."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-12
"""Added to squared lengths."""


class CosineHead(nn.Module):
    """A head that compares directions alone: s cos(h, w_j), without a bias (LDAM).

    The last layer of Cao et al. 2019, whose features and rows have length 1, times their scale s,
    so that these are logits.

    Args:
        inputs: units of the last hidden layer.
        classes: K.
    """

    SCALE = 30.0
    """s of the released code of LDAM."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.in_features = inputs
        # As there: uniform, then of length 1.
        weight = nn.init.uniform_(torch.empty(classes, inputs), -1, 1)
        self.weight = nn.Parameter(F.normalize(weight, dim=1))

    def forward(self, h: Tensor) -> Tensor:
        """Return the logits (B, K) of features (B, inputs), each in [-s, s]."""
        cosines: Tensor = F.linear(_unit(h), _unit(self.weight))
        return self.SCALE * cosines


def _unit(rows: Tensor) -> Tensor:
    """Return rows of length 1, in float32 at least; one of zeros stays, and has a gradient.

    PyTorch's own cannot be recorded (CUDA graphs): its gradient brings a number from the host.
    """
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    return rows / torch.sqrt(rows.square().sum(1, keepdim=True) + EPSILON)


def head(inputs: int, classes: int, cosine: bool) -> nn.Module:
    """Return a head: a dense layer, or one of cosines."""
    return CosineHead(inputs, classes) if cosine else nn.Linear(inputs, classes)
