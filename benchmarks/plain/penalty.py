"""WGAN-GP's gradient penalty."""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, epsilon: Tensor
) -> Tensor:
    """Mean over the batch of (||gradient||_2 - 1)^2 between real and fake (Eq. 1).

    Args:
        critic: features (B, ...) to (B,) scores.
        real: real features, (B, ...).
        fake: generated features, likewise.
        epsilon: where on the line between them, (B,).
    """
    epsilon = epsilon.view(-1, *[1] * (real.dim() - 1))
    x_hat = (epsilon * real + (1 - epsilon) * fake).requires_grad_(True)
    scores = critic(x_hat)
    (gradient,) = torch.autograd.grad(
        scores, x_hat, grad_outputs=torch.ones_like(scores), create_graph=True
    )
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
