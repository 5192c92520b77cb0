"""The filter weights: supervised attention for each class (section 3.2, Eq. 5 to 7).

A filter is removed by setting its weights to zero; its bias stays (F02). What that costs is a small
difference of two losses, so all of it is computed in float32, whatever the training's precision.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from dfgctl.losses import sample_cross_entropy
from dfgctl.numerics import numerics
from dfgctl.pack import Replicated

TAIL_IMAGES = 64
"""Images of a replica that are sent together through what comes after a convolution."""

_UNSEEN: ContextVar[bool] = ContextVar("_UNSEEN", default=False)


@contextmanager
def gaps_unseen() -> Iterator[None]:
    """Take all gaps as 0 inside: for who wants a method's shapes, and no numbers."""
    token = _UNSEEN.set(True)
    try:
        yield
    finally:
        _UNSEEN.reset(token)


def ablation_gaps(
    extractor: Replicated, classifier: Replicated, layer: str, images: Tensor, labels: Tensor
) -> Tensor:
    """Loss without filter j minus loss with it, for each image (inside Eq. 5; F01).

    A filter without weights gives its bias everywhere, so in evaluation mode only what comes after
    the convolution is computed for each filter. In training mode (F28) each pass is a whole one:
    it moves the batch norms' statistics.

    Args:
        extractor: E.
        classifier: C.
        layer: ``E.conv`` or ``C.conv``, say: the part and the convolution whose filters go.
        images: (R, B, C, H, W).
        labels: (R, B).

    Returns:
        (R, B, n_f) differences of cross-entropy.
    """
    if _UNSEEN.get():
        part, _, name = layer.partition(".")
        filters = (extractor if part == "E" else classifier).tensor(f"{name}.weight").shape[1]
        return images.new_zeros(*images.shape[:2], filters)
    with numerics(images.device):
        return _gaps(extractor, classifier, layer, images, labels)


def _gaps(
    extractor: Replicated, classifier: Replicated, layer: str, images: Tensor, labels: Tensor
) -> Tensor:
    part, _, name = layer.partition(".")
    network = extractor if part == "E" else classifier
    features = extractor(images)
    whole = sample_cross_entropy(classifier(features), labels)
    entering = images if part == "E" else features
    without = _whole_passes if network.training else _tails
    gaps = []
    for output in without(network, name, entering):  # (R, k B, ...), k filters at a time
        logits = classifier(output) if part == "E" else output
        repeated = labels.repeat(1, logits.shape[1] // labels.shape[1])
        losses = sample_cross_entropy(logits, repeated)
        split = losses.view(len(losses), -1, labels.shape[1])  # (R, k, B)
        gaps.append(split - whole[:, None])
    # As one block: the order of a sum, and so its rounding, follows how a tensor lies.
    return torch.cat(gaps, dim=1).transpose(1, 2).contiguous()


def _whole_passes(network: Replicated, name: str, entering: Tensor) -> Iterator[Tensor]:
    """Yield a network's output without each filter of a convolution, by setting weights to zero."""
    weight = network.tensor(f"{name}.weight").detach()  # (R, n_f, ...)
    for j in range(weight.shape[1]):
        without = weight.clone()
        without[:, j] = 0
        yield network.called_with({f"{name}.weight": without}, entering)


def _tails(network: Replicated, name: str, entering: Tensor) -> Iterator[Tensor]:
    """Yield the same, computing only what comes after the convolution, for several filters at once.

    Small batches of several filters are joined to one batch, (R, k B, ...): in evaluation mode
    images do not see each other.
    """
    conv, *beside = network(entering, stop=name)  # (R, B, n_f, H, W)
    count = conv.shape[2]
    bias = torch.zeros(conv.shape[0], count, dtype=conv.dtype, device=conv.device)
    if network.has(f"{name}.bias"):
        bias = network.tensor(f"{name}.bias").detach()
    together = max(1, TAIL_IMAGES // conv.shape[1])
    for start in range(0, count, together):
        filters = range(start, min(start + together, count))
        without = conv.repeat(1, len(filters), 1, 1, 1)
        for place, j in enumerate(filters):
            rows = slice(place * conv.shape[1], (place + 1) * conv.shape[1])
            without[:, rows, j] = bias[:, None, j, None, None]
        added = (part.repeat(1, len(filters), 1, 1, 1) for part in beside)
        yield network(without, *added, resume=name)


@torch.no_grad()
def filter_weights(
    extractor: Replicated,
    classifier: Replicated,
    layer: str,
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
    classes: int,
    sign: int = 1,
) -> Tensor:
    """Class-wise filter weights: Eq. 5 for each image, then Eq. 6, with mean 1 in each class.

    Args:
        extractor: E.
        classifier: C.
        layer: E's last convolution, e.g. ``E.conv``.
        batches: images (R, B, C, H, W), labels (R, B), and which are real (R, B), since replicas
            may have different numbers of images.
        classes: K.
        sign: 1 as Eq. 5 has it, -1 as the released code does (F01).

    Returns:
        (R, K, n_f); a class without images has weight 1 everywhere.
    """
    total: Tensor | None = None
    counts: Tensor | None = None
    for images, labels, real in batches:
        gaps = ablation_gaps(extractor, classifier, layer, images, labels)
        weights = (sign * gaps).softmax(2)  # Eq. 5
        one_hot = torch.nn.functional.one_hot(labels, classes).to(weights.dtype)
        one_hot = one_hot * real[:, :, None].to(weights.dtype)  # (R, B, K)
        with numerics(weights.device):
            part = one_hot.transpose(1, 2) @ weights  # (R, K, n_f)
        total = part if total is None else total + part
        counts = one_hot.sum(1) if counts is None else counts + one_hot.sum(1)
    if total is None or counts is None:
        raise ValueError("filter weights need at least one batch")
    n_f = total.shape[2]
    mean = total / counts.clamp(min=1)[:, :, None]
    return torch.where(counts[:, :, None] > 0, n_f * mean, 1.0)  # Eq. 6


def mixed_weights(source: Tensor, target: Tensor, rho: float) -> Tensor:
    """Eq. 7: rho W(E_S) + (1 - rho) W(E), each (R, K, n_f)."""
    return rho * source + (1 - rho) * target


def thresholded(weights: Tensor, delta: float) -> Tensor:
    """W*: weights not above delta become zero; delta is a share of the class's mean, 1 (F03)."""
    return torch.where(weights > delta, weights, torch.zeros_like(weights))


def channel_weights(gaps: Tensor, temperature: float) -> Tensor:
    """DELTA's channel weights: mean gap standardised over the channels, then softmax (F18).

    Args:
        gaps: loss increase without each filter, (R, B, n_f).
        temperature: the softmax is over w / temperature.

    Returns:
        (R, n_f), summing to 1; equal where no filter matters more than another.
    """
    mean = gaps.mean(1)
    centred = mean - mean.mean(1, keepdim=True)
    spread = mean.std(1, correction=0, keepdim=True)
    standard = torch.where(spread > 0, centred / spread.clamp(min=1e-30), 0.0)
    return (standard / temperature).softmax(1)
