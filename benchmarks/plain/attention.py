"""What the loss is without a filter: the filter weights of Eq. 5 and 6."""

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plain.networks import Classifier, Extractor

T = TypeVar("T", Extractor, Classifier)


def without(network: T, j: int) -> T:
    """Copy a network and set filter j of its convolution to zero; its bias stays (F02)."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        changed.conv.weight[j] = 0
    return changed


@torch.no_grad()
def loss_increases(E: Extractor, C: Classifier, part: str, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each image without each filter of E or C, minus that with it: (B, n_f)."""
    whole = F.cross_entropy(C(E(x)), y, reduction="none")
    ablated: nn.Module = E if part == "E" else C
    increases = []
    for j in range(len(ablated.conv.weight)):
        logits = C(without(E, j)(x)) if part == "E" else without(C, j)(E(x))
        increases.append(F.cross_entropy(logits, y, reduction="none") - whole)
    return torch.stack(increases, dim=1)


def filter_weights(
    E: Extractor, C: Classifier, batches: Iterable[tuple[Tensor, Tensor]], classes: int
) -> Tensor:
    """Eq. 5 for each image, then Eq. 6: (K, n_f); 1 for a class without images."""
    each, labels = [], []
    for x, y in batches:
        each.append(F.softmax(loss_increases(E, C, "E", x, y), dim=1))
        labels.append(y)
    weights, y = torch.cat(each), torch.cat(labels)
    rows = []
    for c in range(classes):
        own = weights[y == c]
        rows.append(weights.shape[1] * own.mean(0) if len(own) else torch.ones_like(weights[0]))
    return torch.stack(rows)
