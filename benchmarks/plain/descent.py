"""A step down a loss, as every PyTorch tutorial takes it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dfgctl.settings import OptimizerSettings


def adam(networks: Iterable[nn.Module], lr: float, settings: OptimizerSettings) -> torch.optim.Adam:
    """Return Adam over all parameters of some networks."""
    parameters = [p for network in networks for p in network.parameters()]
    return torch.optim.Adam(parameters, lr=lr, betas=(settings.beta1, settings.beta2))


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Take one step down a loss, and return it."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
