"""A step down a loss, as every PyTorch tutorial takes it."""

import torch
from torch import Tensor


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Take one step down a loss, and return it."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
