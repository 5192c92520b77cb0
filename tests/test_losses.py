"""Every loss against a plain, slow loop written from its equation."""

import math

import pytest
import torch
from torch import nn

from dfgctl import losses

R, B, K = 2, 3, 4


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def slow_entropy(logits: torch.Tensor, label: int) -> float:
    exps = [math.exp(v) for v in logits.tolist()]
    return -math.log(exps[label] / sum(exps))


def test_cross_entropy_is_minus_y_log_c_averaged_over_the_batch():
    logits, labels = randn(R, B, K), torch.randint(K, (R, B))
    expected = [
        sum(slow_entropy(logits[r, b], int(labels[r, b])) for b in range(B)) / B for r in range(R)
    ]
    assert losses.cross_entropy(logits, labels).tolist() == pytest.approx(expected, rel=1e-12)


def test_sample_cross_entropy_keeps_every_image():
    logits, labels = randn(R, B, K), torch.randint(K, (R, B))
    got = losses.sample_cross_entropy(logits, labels)
    for r in range(R):
        for b in range(B):
            assert float(got[r, b]) == pytest.approx(slow_entropy(logits[r, b], int(labels[r, b])))


def test_critic_loss_is_equation_1_with_the_signs_of_a_game():
    real, generated, penalty = randn(R, B), randn(R, B), torch.rand(R, dtype=torch.float64)
    got = losses.critic_loss(real, generated, penalty, 10.0)
    for r in range(R):
        expected = sum(generated[r].tolist()) / B - sum(real[r].tolist()) / B + 10 * penalty[r]
        assert float(got[r]) == pytest.approx(float(expected))


def test_generator_loss_is_equation_2():
    scores = randn(R, B)
    expected = [-sum(scores[r].tolist()) / B for r in range(R)]
    assert losses.generator_loss(scores).tolist() == pytest.approx(expected)


def test_gradient_penalty_goes_image_by_image_along_the_line():
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 1)).double()
            for _ in range(R)]  # fmt: skip

    def gradient(x: torch.Tensor) -> torch.Tensor:
        x = x.requires_grad_()
        return torch.autograd.grad(sum(nets[r](x[r]).sum() for r in range(R)), x)[0]

    real, generated = randn(R, B, 2, 2, 2), randn(R, B, 2, 2, 2)
    epsilon = torch.rand(R, B, dtype=torch.float64)
    got = losses.gradient_penalty(gradient, real, generated, epsilon)
    for r in range(R):
        total = 0.0
        for b in range(B):
            e = float(epsilon[r, b])
            x_hat = (e * real[r, b] + (1 - e) * generated[r, b]).requires_grad_()
            nets[r](x_hat[None]).sum().backward()
            assert x_hat.grad is not None
            norm = math.sqrt(sum(v * v for v in x_hat.grad.flatten().tolist()))
            total += (norm - 1) ** 2
        assert got[r].item() == pytest.approx(total / B)


def test_gradient_penalty_can_be_learned_from():
    net = nn.Linear(8, 1).double()
    got = losses.gradient_penalty(
        lambda x: net.weight.view(2, 2, 2).expand(x.shape),
        randn(1, B, 2, 2, 2),
        randn(1, B, 2, 2, 2),
        torch.rand(1, B, dtype=torch.float64),
    )
    (gradient,) = torch.autograd.grad(got.sum(), [net.weight])
    norm = net.weight.detach().norm()  # the gradient of a linear critic is its weight
    torch.testing.assert_close(gradient, 2 * (norm - 1) * net.weight.detach() / norm)


def test_classifier_loss_is_equation_4():
    real, generated, joint = randn(R), randn(R), randn(R)
    got = losses.classifier_loss(real, generated, joint, 0.2, 0.3, 0.5)
    for r in range(R):
        assert float(got[r]) == pytest.approx(
            float(0.2 * real[r] + 0.3 * generated[r] + 0.5 * joint[r])
        )


def test_feature_distance_sums_over_images_and_channels():
    C, H, W = 3, 2, 4
    target, source = randn(R, B, C, H, W), randn(R, B, C, H, W)
    weights = torch.rand(R, C, dtype=torch.float64)
    got = losses.feature_distance(target, source, weights)
    for r in range(R):
        total = 0.0
        for b in range(B):
            for c in range(C):
                squared = sum(v * v for v in (target - source)[r, b, c].flatten().tolist())
                total += float(weights[r, c]) * C * squared / (H * W)
        assert float(got[r]) == pytest.approx(total / 2)


def test_head_penalty_is_half_the_squared_norm_of_weights_and_biases():
    weight, bias = randn(R, K, 5), randn(R, K)
    for r, got in enumerate(losses.head_penalty(weight, bias).tolist()):
        every = weight[r].flatten().tolist() + bias[r].tolist()
        assert got == pytest.approx(0.5 * sum(v * v for v in every))
