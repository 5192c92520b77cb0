"""The paper's losses, one pure function per equation, in the paper's order.

Every function takes tensors with a leading replica axis and returns one number a replica, (R,).
They compute in float32 also where a network under autocast gives bfloat16.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor in float32 if it is of less; any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def critic_loss(real: Tensor, generated: Tensor, penalty: Tensor, gp_lambda: float) -> Tensor:
    """Eq. 1, L_D = E[D(G)] - E[D(E(x))] + lambda GP, with the signs of a game (F10).

    Args:
        real: D's scores of real features, (R, B).
        generated: D's scores of generated features, (R, B).
        penalty: the gradient penalty, (R,).
        gp_lambda: lambda.
    """
    return whole(generated).mean(1) - whole(real).mean(1) + gp_lambda * penalty


def gradient_penalty(
    gradient: Callable[[Tensor], Tensor],
    real: Tensor,
    generated: Tensor,
    epsilon: Tensor,
    added: float = 0.0,
) -> Tensor:
    """The penalty of Eq. 1, E[(||grad D(x^)||_2 - 1)^2], x^ on the line between real and generated.

    Args:
        gradient: features to the gradients of D's scores with respect to them, both (R, B, ...).
        real: real features, (R, B, ...).
        generated: generated features, likewise.
        epsilon: where on the line, one number in [0, 1) an image, (R, B).
        added: what the released code adds to the gradient (F23).
    """
    weight = epsilon.view(*epsilon.shape, *(1,) * (real.dim() - 2))
    x_hat = (weight * whole(real) + (1 - weight) * whole(generated)).detach()
    slopes = whole(gradient(x_hat)).flatten(2)
    slopes = slopes + added if added else slopes
    norm: Tensor = torch.linalg.vector_norm(slopes, dim=2)
    return (norm - 1).square().mean(1)


def generator_loss(generated: Tensor) -> Tensor:
    """Eq. 2, L_G = -E[D(G(z, y^))], from D's scores (R, B)."""
    return -whole(generated).mean(1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 3, 4a and 4b, E[-y log C(.)]: which one depends on whose features gave the logits.

    Args:
        logits: C's output before the softmax, (R, B, K).
        labels: classes, (R, B).
    """
    return sample_cross_entropy(logits, labels).mean(1)


def sample_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-y log C(.) of each image, (R, B)."""
    flat = F.cross_entropy(whole(logits).flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


def classifier_loss(
    real: Tensor, generated: Tensor, joint: Tensor, alpha: float, beta: float, gamma: float
) -> Tensor:
    """Eq. 4, L_C = alpha L_C^r + beta L_C^g + gamma L_C^c, the second term being 4b (F26)."""
    return alpha * real + beta * generated + gamma * joint


def feature_distance(target: Tensor, source: Tensor, channel_weights: Tensor) -> Tensor:
    """DELTA's regulariser of one layer (F18).

    1/2 sum over images and channels of w_ch * C * ||difference||^2 / (H W): a sum over the batch,
    as its authors' code takes it.

    Args:
        target: feature maps of the network in training, (R, B, C, H, W).
        source: those of the source network.
        channel_weights: w, (R, C), summing to 1.
    """
    channels, height, width = target.shape[2:]
    squared = (whole(target) - whole(source)).square().sum(dim=(3, 4))  # (R, B, C)
    scale = channels / (height * width)
    return 0.5 * scale * (channel_weights[:, None, :] * squared).sum(dim=(1, 2))


def head_penalty(weight: Tensor, bias: Tensor) -> Tensor:
    """DELTA's regulariser of the last dense layer, 1/2 ||.||^2 (F18).

    Args:
        weight: (R, K, inputs).
        bias: (R, K).
    """
    return 0.5 * (weight.square().sum(dim=(1, 2)) + bias.square().sum(dim=1))
