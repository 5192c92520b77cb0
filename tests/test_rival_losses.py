"""The rivals' losses against numbers worked out by hand, and what may be 0 in them."""

from math import exp, log

import pytest
import torch

from dfgctl.losses import cross_entropy
from dfgctl.rival_losses import (
    adjusted_cross_entropy,
    effective_weights,
    focal_loss,
    ldam_loss,
    ldam_margins,
    log_priors,
    weighted_cross_entropy,
)

COUNTS = torch.tensor([[4, 1, 0], [2, 2, 2]])
LOGITS = torch.tensor([[[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]], [[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]]])
LABELS = torch.tensor([[0, 1], [2, 0]])


def entropy(logits: list[float], label: int) -> float:
    return log(sum(map(exp, logits))) - logits[label]


def per_image() -> list[list[float]]:
    """Cross-entropy of each image, (R, B)."""
    return [[entropy(LOGITS[r, b].tolist(), int(LABELS[r, b])) for b in range(2)] for r in range(2)]


def test_effective_weights_by_hand() -> None:
    # beta 1/2: 0.5 / (1 - 1/16) = 8/15 and 0.5 / (1 - 1/2) = 1, scaled to a sum of 2.
    found = effective_weights(COUNTS, 0.5)
    assert found[0].tolist() == pytest.approx([16 / 23, 30 / 23, 0])
    assert found[1].tolist() == pytest.approx([1, 1, 1])


def test_effective_weights_at_the_ends_of_beta() -> None:
    counts = torch.tensor([[6000, 150]])
    assert effective_weights(counts, 0.0).tolist() == [[1, 1]]
    near = effective_weights(counts, 1 - 1e-9)
    assert (near[0, 1] / near[0, 0]).item() == pytest.approx(40, rel=1e-4)


def test_weighted_cross_entropy_is_the_mean_of_each_image_s_own_weight_times_its_entropy() -> None:
    weights = torch.tensor([[0.5, 3.0, 9.0], [2.0, 1.0, 0.25]])
    one, two = per_image()
    found = weighted_cross_entropy(LOGITS, LABELS, weights)
    expected = [(0.5 * one[0] + 3 * one[1]) / 2, (0.25 * two[0] + 2 * two[1]) / 2]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_a_sum_over_sigmoids(gamma: float) -> None:
    weights = torch.tensor([[0.5, 3.0, 9.0], [2.0, 1.0, 0.25]])
    expected = []
    for r in range(2):
        total = 0.0
        for b in range(2):
            for k in range(3):
                p = 1 / (1 + exp(-float(LOGITS[r, b, k])))
                p_t = p if k == LABELS[r, b] else 1 - p
                total -= float(weights[r, LABELS[r, b]]) * (1 - p_t) ** gamma * log(p_t)
        expected.append(total / 2)
    assert focal_loss(LOGITS, LABELS, weights, gamma).tolist() == pytest.approx(expected, rel=1e-5)


def test_log_priors_are_those_of_the_shares() -> None:
    found = log_priors(COUNTS).exp()
    assert found[0].tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6])  # none counts as one
    assert found[1].tolist() == pytest.approx([1 / 3] * 3)


def test_adjusted_cross_entropy_adds_tau_log_pi_to_the_logits() -> None:
    priors, tau = torch.log(torch.tensor([[0.5, 0.4, 0.1], [0.8, 0.1, 0.1]])), 2.0
    expected = []
    for r in range(2):
        shifted = [
            [float(LOGITS[r, b, k]) + tau * float(priors[r, k]) for k in range(3)] for b in range(2)
        ]
        expected.append(sum(entropy(z, int(LABELS[r, b])) for b, z in enumerate(shifted)) / 2)
    found = adjusted_cross_entropy(LOGITS, LABELS, priors, tau)
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    plain = adjusted_cross_entropy(LOGITS, LABELS, priors, 0.0)
    torch.testing.assert_close(plain, cross_entropy(LOGITS, LABELS))


def test_margins_fall_with_the_fourth_root_and_the_rarest_class_has_the_largest() -> None:
    found = ldam_margins(torch.tensor([[16, 1, 81, 0], [16, 16, 16, 16]]), 0.6)
    assert found[0].tolist() == pytest.approx([0.3, 0.6, 0.2, 0.0])
    assert found[1].tolist() == pytest.approx([0.6] * 4)


@pytest.mark.parametrize("weighted", [False, True])
def test_ldam_takes_the_margin_from_the_true_class_alone(weighted: bool) -> None:
    cosines = LOGITS / 4
    margins = torch.tensor([[0.1, 0.5, 0.0], [0.2, 0.2, 0.2]])
    weights = torch.tensor([[0.5, 3.0, 9.0], [2.0, 1.0, 0.25]])
    expected = []
    for r in range(2):
        each, w = [], []
        for b in range(2):
            y = int(LABELS[r, b])
            z = [30 * float(cosines[r, b, k]) for k in range(3)]
            z[y] -= 30 * float(margins[r, y])
            each.append(entropy(z, y))
            w.append(float(weights[r, y]) if weighted else 1.0)
        expected.append(sum(a * b for a, b in zip(each, w, strict=True)) / sum(w))
    given = weights if weighted else None
    found = ldam_loss(30 * cosines, LABELS, margins, 30.0, given)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def losses_of(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    weights, margins = effective_weights(COUNTS, 0.9999).float(), ldam_margins(COUNTS, 0.5).float()
    priors = log_priors(COUNTS).float()
    return {
        "softmax": weighted_cross_entropy(logits, LABELS, weights),
        "focal": focal_loss(logits, LABELS, weights, 0.5),
        "adjusted": adjusted_cross_entropy(logits, LABELS, priors, 1.0),
        "ldam": ldam_loss(logits, LABELS, margins, 30.0, weights),
    }


@pytest.mark.parametrize("size", [0.0, 1.0, 200.0])
def test_values_and_gradients_are_finite_also_where_a_class_has_no_image(size: float) -> None:
    for name in losses_of(LOGITS):
        logits = (size * LOGITS).requires_grad_()
        loss = losses_of(logits)[name]
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert loss.isfinite().all(), name
        assert gradient.isfinite().all(), name


def test_they_compute_in_float32_what_bfloat16_networks_give() -> None:
    rough = LOGITS.bfloat16()
    for name, loss in losses_of(rough).items():
        assert loss.dtype is torch.float32
        assert torch.equal(loss, losses_of(rough.float())[name]), name
