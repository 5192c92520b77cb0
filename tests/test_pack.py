"""Replicated: a pack is nothing but its members side by side."""

import copy

import pytest
import torch
from torch import nn

from dfgctl.networks.generator import generator
from dfgctl.networks.lenet5 import LeNet5Classifier, LeNet5Extractor
from dfgctl.pack import Replicated, descend


def make(count: int, factory) -> list[nn.Module]:
    torch.manual_seed(1)
    return [factory().double() for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_forward_equals_each_member_alone(count: int):
    members = make(count, lambda: LeNet5Classifier(10))
    x = torch.randn(count, 5, 6, 14, 14, dtype=torch.float64)
    expected = [m(x[r], maps=True) for r, m in enumerate(copy.deepcopy(members))]
    logits, conv = Replicated(members)(x, maps=True)
    for r in range(count):
        torch.testing.assert_close(logits[r], expected[r][0])
        torch.testing.assert_close(conv[r], expected[r][1])


@pytest.mark.parametrize("count", [1, 3])
def test_batch_norm_keeps_statistics_for_each_member(count: int):
    members = make(count, lambda: generator("lenet5", "block1", 4, 3))
    alone = copy.deepcopy(members)
    pack = Replicated(members)
    z = torch.randn(count, 5, 4, dtype=torch.float64)
    hot, w = torch.eye(3).double()[[0, 1, 2, 0, 1]].expand(count, 5, 3), torch.ones(count, 5, 6)
    with torch.no_grad():
        out = pack(z, hot, w.double())
        for r in range(count):
            torch.testing.assert_close(out[r], alone[r](z[r], hot[r], w[r].double()))
            state = pack.replica_state(r)
            for name, value in alone[r].state_dict().items():
                torch.testing.assert_close(state[name], value)
    pack.eval()
    [a.eval() for a in alone]
    with torch.no_grad():
        out = pack(z, hot, w.double())
        for r in range(count):
            torch.testing.assert_close(out[r], alone[r](z[r], hot[r], w[r].double()))


@pytest.mark.parametrize("count", [1, 2])
def test_called_with_replaces_parameters_for_one_call(count: int):
    members = make(count, LeNet5Extractor)
    alone = copy.deepcopy(members)
    pack = Replicated(members)
    x = torch.randn(count, 2, 1, 32, 32, dtype=torch.float64)
    weight = pack.tensor("conv.weight").detach().clone()
    weight[:, 0] = 0
    changed = pack.called_with({"conv.weight": weight}, x)
    for r in range(count):
        torch.testing.assert_close(pack(x)[r], alone[r](x[r]))
        with torch.no_grad():
            alone[r].conv.weight[0] = 0
        torch.testing.assert_close(changed[r], alone[r](x[r]))


@pytest.mark.parametrize("count", [1, 3])
def test_descend_takes_the_step_that_plain_adam_takes(count: int):
    members = make(count, LeNet5Extractor)
    alone = copy.deepcopy(members)
    pack = Replicated(members)
    fused = torch.optim.Adam(pack.parameter_list(), lr=1e-2, betas=(0.5, 0.9), fused=True)
    plain = [torch.optim.Adam(a.parameters(), lr=1e-2, betas=(0.5, 0.9)) for a in alone]
    for step in range(3):
        x = torch.randn(count, 4, 1, 32, 32, dtype=torch.float64, generator=_seeded(step))
        descend(fused, pack(x).square().mean(dim=(1, 2, 3, 4)))
        for r in range(count):
            plain[r].zero_grad()
            alone[r](x[r]).square().mean().backward()
            plain[r].step()
    for r in range(count):
        for name, value in alone[r].state_dict().items():
            torch.testing.assert_close(pack.replica_state(r)[name], value)


def test_descend_heeds_the_strides_of_gradients():
    # Fused Adam on the CPU reads a gradient's memory in the order in which it lies.
    class Transposed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, weight):
            ctx.save_for_backward(weight)
            return weight.square().sum()

        @staticmethod
        def backward(ctx, upstream):
            (weight,) = ctx.saved_tensors
            return (2 * upstream * weight).t().contiguous().t()

    start = torch.arange(6.0).view(2, 3) - 2
    results = []
    for fused in (True, False):
        weight = nn.Parameter(start.clone())
        optimizer = torch.optim.Adam([weight], lr=0.1, fused=fused)
        for _ in range(2):
            descend(optimizer, Transposed.apply(weight)[None])
        results.append(weight.detach())
    torch.testing.assert_close(results[0], results[1])
    assert torch.equal(results[0].sign()[start.abs() > 0.5], start.sign()[start.abs() > 0.5])


def test_descend_leaves_networks_alone_that_a_loss_only_passes_through():
    front, back = (
        Replicated(make(2, LeNet5Extractor)),
        Replicated(make(2, lambda: LeNet5Classifier(3))),
    )
    before = {n: v.clone() for n, v in back.stacked().items()}
    x = torch.randn(2, 2, 1, 32, 32, dtype=torch.float64)
    optimizer = torch.optim.SGD(front.parameter_list(), lr=1.0)
    for parameter in back.parameter_list():
        parameter.grad = torch.ones_like(parameter)
    descend(optimizer, back(front(x)).square().mean(dim=(1, 2)))
    for name, value in back.stacked().items():
        assert torch.equal(value, before[name])
    assert all((p.grad == 1).all() for p in back.parameter_list())


def test_descend_gives_the_gradients_memory_back():
    network = Replicated(make(2, LeNet5Extractor))
    before = network.tensor("conv.weight").detach().clone()
    x = torch.randn(2, 2, 1, 32, 32, dtype=torch.float64)
    optimizer = torch.optim.SGD(network.parameter_list(), lr=1.0)
    descend(optimizer, network(x).square().mean(dim=(1, 2, 3, 4)))
    assert all(p.grad is None for p in network.parameter_list())
    assert not torch.equal(network.tensor("conv.weight"), before)


def test_a_replica_with_nan_harms_no_other():
    members = make(2, LeNet5Extractor)
    pack = Replicated(members)
    before = pack.replica_state(1)["conv.weight"]
    x = torch.randn(2, 2, 1, 32, 32, dtype=torch.float64)
    x[0, 0, 0, 0, 0] = float("nan")
    optimizer = torch.optim.Adam(pack.parameter_list(), lr=1e-2, fused=True)
    descend(optimizer, pack(x).square().mean(dim=(1, 2, 3, 4)))
    assert pack.replica_state(0)["conv.weight"].isnan().any()
    after = pack.replica_state(1)["conv.weight"]
    assert after.isfinite().all()
    assert not torch.equal(after, before)


@pytest.mark.parametrize("count", [1, 2])
def test_parameter_list_filters_by_plain_names(count: int):
    pack = Replicated(make(count, lambda: LeNet5Classifier(10)))
    assert len(pack.parameter_list()) == 8
    head = pack.parameter_list(lambda name: name.startswith("head."))
    assert sorted(p.numel() for p in head) == [count * 10, count * 840]


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
