"""LeNet-5 by hand, in nothing but PyTorch's functions: what a classifier must give."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def lenet5(
    state: Mapping[str, Tensor], x: Tensor, bounded: bool = False, cosine: bool = False
) -> Tensor:
    """Table A1 by hand: pictures (N, 1, 32, 32) in 0 to 255 to probabilities."""
    h = (x.float() / 255 - 0.5) / 0.5
    for part in ("E.conv", "C.conv"):
        h = F.conv2d(h, state[f"{part}.weight"], state[f"{part}.bias"])
        h = F.max_pool2d(F.relu(h), 2)
    h = h.flatten(1)
    for layer in ("fc1", "fc2"):
        h = F.relu(F.linear(h, state[f"C.{layer}.weight"], state[f"C.{layer}.bias"]))
    h = torch.tanh(h) if bounded else h
    if cosine:
        rows = state["C.head.weight"]
        lengths = h.norm(dim=1)[:, None] * rows.norm(dim=1)
        return torch.softmax(30 * (h @ rows.T) / lengths, 1)
    return torch.softmax(F.linear(h, state["C.head.weight"], state["C.head.bias"]), 1)
