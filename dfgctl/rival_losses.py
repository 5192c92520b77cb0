"""The losses of the simple rivals, pure functions like those of ``losses``.

Every loss takes tensors with a leading replica axis and returns one number a replica, (R,), in
float32 at least. What depends on the classes' frequencies follows from n, the images of each class
that a replica trains on, (R, K); a class without images is in no batch, and spoils no number.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfgctl.losses import cross_entropy, sample_cross_entropy, whole


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """Class-balanced weights (Cui et al. 2019, section 4): w_j ~ (1 - beta) / (1 - beta^n_j).

    They sum to the number of classes that have images; the others weigh nothing.

    Args:
        counts: n, (R, K).
        beta: in [0, 1); 0 weighs all alike, near 1 by 1 / n_j.

    Returns:
        (R, K), float64.
    """
    n = counts.to(torch.float64)
    weights = torch.where(counts > 0, (1 - beta) / (1 - beta ** n.clamp(min=1)), 0.0)
    present = (counts > 0).sum(1, keepdim=True)
    return weights * present / weights.sum(1, keepdim=True)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Class-balanced softmax loss (Cui et al. 2019, 4.1): the mean of w_y times cross-entropy.

    Args:
        logits: (R, B, K).
        labels: classes, (R, B).
        weights: w, (R, K).
    """
    return (weights.gather(1, labels) * sample_cross_entropy(logits, labels)).mean(1)


def focal_loss(logits: Tensor, labels: Tensor, weights: Tensor, gamma: float) -> Tensor:
    """Class-balanced focal loss (Cui et al. 2019, 4.3): K sigmoids an image, each told apart.

    -w_y sum over the classes of (1 - p_t)^gamma log p_t, with p_t the sigmoid's probability of what
    is true of the class; the mean over the images.

    Args:
        logits: (R, B, K).
        labels: classes, (R, B).
        weights: w, (R, K).
        gamma: at least 0; 0 is cross-entropy of sigmoids.
    """
    z = whole(logits)
    own = labels[..., None] == torch.arange(z.shape[2], device=z.device)
    z_t = (2 * own.to(z.dtype) - 1) * z
    # (1 - p_t)^gamma by its logarithm: the gradient is finite also where p_t is 1.
    modulator = torch.exp(gamma * F.logsigmoid(-z_t))
    each = -(modulator * F.logsigmoid(z_t)).sum(2)  # (R, B)
    return (weights.gather(1, labels) * each).mean(1)


def log_priors(counts: Tensor) -> Tensor:
    """Return log pi, each class's share of the images, (R, K), float64.

    A class without images counts as one with one: the logarithm of 0 is no number to learn with.
    """
    n = counts.to(torch.float64).clamp(min=1)
    return torch.log(n / n.sum(1, keepdim=True))


def adjusted_cross_entropy(logits: Tensor, labels: Tensor, priors: Tensor, tau: float) -> Tensor:
    """Logit-adjusted loss (Menon et al. 2021, eq. 10): cross-entropy of logits + tau log pi.

    Args:
        logits: (R, B, K).
        labels: classes, (R, B).
        priors: log pi, (R, K).
        tau: at least 0.
    """
    return cross_entropy(whole(logits) + tau * priors[:, None], labels)


def ldam_margins(counts: Tensor, largest: float) -> Tensor:
    """LDAM's margins (Cao et al. 2019, section 3.2): C / n_j^(1/4); the rarest class's is given.

    Args:
        counts: n, (R, K).
        largest: the largest margin.

    Returns:
        (R, K), float64; 0 for a class without images.
    """
    n = counts.to(torch.float64)
    margins = torch.where(counts > 0, n.clamp(min=1) ** -0.25, 0.0)
    return largest * margins / margins.amax(1, keepdim=True)


def ldam_loss(
    logits: Tensor, labels: Tensor, margins: Tensor, scale: float, weights: Tensor | None = None
) -> Tensor:
    """LDAM (Cao et al. 2019, section 3.2): the true class's cosine is less by its margin.

    With weights the mean is that of the released code: weighted, by the sum of a batch's weights.

    Args:
        logits: s times cosines, (R, B, K).
        labels: classes, (R, B).
        margins: (R, K), in cosines.
        scale: s.
        weights: of the classes, (R, K); None for all alike.
    """
    z = whole(logits)
    own = labels[..., None] == torch.arange(z.shape[2], device=z.device)
    entropy = sample_cross_entropy(z - scale * margins[:, None] * own, labels)
    if weights is None:
        return entropy.mean(1)
    w = weights.gather(1, labels)
    return (w * entropy).sum(1) / w.sum(1)
