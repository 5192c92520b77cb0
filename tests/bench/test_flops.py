"""FLOP are those of the formulas, worked out by hand."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, linear

from dfgctl.bench import flops

BATCH, CHANNELS, FILTERS, SIDE, KERNEL = 4, 3, 8, 15, 5
OUT = 7  # with stride 2 and padding 1: (15 + 2 - 5) / 2 + 1, which leaves no rest
UNIT = 2 * BATCH * FILTERS * OUT**2 * CHANNELS * KERNEL**2


def convolved(x: Tensor, w: Tensor) -> Tensor:
    return conv2d(x, w, stride=2, padding=1)


def tensors(*lead: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(*lead, BATCH, CHANNELS, SIDE, SIDE, requires_grad=True)
    w = torch.randn(*lead, FILTERS, CHANNELS, KERNEL, KERNEL, requires_grad=True)
    return x, w


def test_a_product_of_matrices_is_two_for_each_number_that_is_multiplied() -> None:
    x, w = torch.randn(6, 7), torch.randn(5, 7)
    assert flops.count(lambda: linear(x, w)) == 2 * 6 * 7 * 5


@pytest.mark.parametrize("replicas", [0, 3])
def test_a_convolution_forward_and_backward_of_one_network_and_of_a_pack(replicas: int) -> None:
    x, w = tensors(*([replicas] if replicas else []))
    call = torch.vmap(convolved) if replicas else convolved
    times = replicas or 1
    assert flops.count(lambda: call(x, w)) == times * UNIT
    y = call(x, w).square().sum()
    assert flops.count(lambda: torch.autograd.grad(y, x, retain_graph=True)) == times * UNIT
    assert flops.count(lambda: torch.autograd.grad(y, (x, w))) == times * 2 * UNIT


@pytest.mark.parametrize("replicas", [0, 3])
def test_a_transposed_convolution_counts_at_each_place_of_its_input(replicas: int) -> None:
    lead = [replicas] if replicas else []
    x = torch.randn(*lead, BATCH, CHANNELS, SIDE, SIDE, requires_grad=True)
    w = torch.randn(*lead, CHANNELS, FILTERS, KERNEL, KERNEL, requires_grad=True)
    call = torch.vmap(conv_transpose2d) if replicas else conv_transpose2d
    unit = (replicas or 1) * 2 * BATCH * SIDE**2 * CHANNELS * FILTERS * KERNEL**2
    assert flops.count(lambda: call(x, w)) == unit
    y = call(x, w).square().sum()
    assert flops.count(lambda: torch.autograd.grad(y, (x, w))) == 2 * unit


@pytest.mark.parametrize("replicas", [0, 3])
def test_the_second_derivative_of_a_penalty_is_counted(replicas: int) -> None:
    x, w = tensors(*([replicas] if replicas else []))
    call = torch.vmap(convolved) if replicas else convolved
    y = call(x, w).square().sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    penalty = g.square().sum()
    # Through the gradient: that of y's gradient, and of the filters; then y's own x and filters.
    assert flops.count(lambda: torch.autograd.grad(penalty, (x, w))) == (replicas or 1) * 4 * UNIT


def test_a_stride_that_leaves_a_rest_makes_larger_filters_gradients() -> None:
    x = torch.randn(BATCH, CHANNELS, 16, 16, requires_grad=True)
    w = torch.randn(FILTERS, CHANNELS, 5, 5, requires_grad=True)
    unit = 2 * BATCH * FILTERS * 8**2 * CHANNELS * 5**2
    y = conv2d(x, w, stride=2, padding=2).square().sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    penalty = g.square().sum()
    count = flops.count(lambda: torch.autograd.grad(penalty, (x, w)))
    assert count == 3 * unit + unit * 6**2 // 5**2


def test_what_works_element_by_element_is_not_counted() -> None:
    x = torch.randn(100)
    assert flops.count(lambda: (x.tanh() * x + 1).sum()) == 0
