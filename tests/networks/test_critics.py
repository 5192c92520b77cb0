"""The critics' own gradients against automatic differentiation, and what is learned from them."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dfgctl.networks.discriminator import Discriminator
from dfgctl.networks.feature_gan import FeatureCritic
from dfgctl.pack import Replicated

SLOPE_ONE = 1.0  # F08 as released


def by_autograd(critic: nn.Module, x: Tensor, *seen: Tensor) -> Tensor:
    """The gradient of each score with respect to its features, differentiable once more."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x, *seen).sum(), x, create_graph=True)
    return gradient


def discriminator(channels: int, size: int, slope: float) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        made = Discriminator(channels, size)
        made.slope = slope
        return made.double()

    return make


CRITICS = {
    f"D {channels}x{size}, slope {slope}": (discriminator(channels, size, slope), (channels, size))
    for channels, size, slope in (
        (6, 14, 0.2),  # LeNet-5
        (6, 14, SLOPE_ONE),
        (4, 16, 0.2),  # VGG-16's size
        (3, 56, 0.2),  # ResNet-50's, by split
        (3, 28, 0.2),
        (3, 7, 0.2),
    )
}


@pytest.mark.parametrize("name", CRITICS)
def test_a_discriminators_gradient_is_that_of_autograd(name: str):
    torch.manual_seed(1)
    make, (channels, size) = CRITICS[name]
    critic = make()
    x = torch.randn(5, channels, size, size, dtype=torch.float64)
    _equal(critic, x)


@pytest.mark.parametrize("classes", [0, 3])
def test_a_feature_critics_gradient_is_that_of_autograd(classes: int):
    torch.manual_seed(1)
    critic = FeatureCritic(7, classes, 9).double()
    seen = [torch.eye(3, dtype=torch.float64)[[0, 1, 2, 2]]] if classes else []
    _equal(critic, torch.randn(4, 7, dtype=torch.float64), *seen)


def _equal(critic: nn.Module, x: Tensor, *seen: Tensor) -> None:
    expected, got = by_autograd(critic, x, *seen), critic(x, *seen, gradient=True)
    torch.testing.assert_close(got, expected)
    # What learns from it: any function of the gradient, here the penalty's.
    parameters = [p for n, p in critic.named_parameters() if not n.endswith("bias")]
    learned = [
        torch.autograd.grad((g.flatten(1).norm(dim=1) - 1).square().sum(), parameters)
        for g in (got, expected)
    ]
    for mine, theirs in zip(*learned, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs)


def test_each_member_of_a_pack_has_its_own_gradient():
    torch.manual_seed(1)
    members = [Discriminator(6, 14).double() for _ in range(3)]
    x = torch.randn(3, 4, 6, 14, 14, dtype=torch.float64)
    expected = [by_autograd(member, x[r]) for r, member in enumerate(copy.deepcopy(members))]
    got = Replicated(members)(x, gradient=True)
    for r in range(3):
        torch.testing.assert_close(got[r], expected[r])


def test_a_score_that_is_not_a_number_does_not_hide():
    critic = Discriminator(6, 14)
    x = torch.randn(2, 6, 14, 14)
    x[0, 0, 0, 0] = float("nan")
    assert critic(x).isnan().tolist() == [True, False]
    assert critic(x, gradient=True)[1].isfinite().all()
