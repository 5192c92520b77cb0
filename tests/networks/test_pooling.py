"""Max pooling equals PyTorch's bit for bit, ties and all."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgctl.networks.pooling import max_pool


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    values=st.sampled_from([2, 3, 1000]),
)
def test_values_and_gradients_are_pytorchs(seed: int, height: int, width: int, values: int):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(values, (2, 3, height, width), generator=generator) / values - 0.4
    x.requires_grad_(True)
    mine, theirs = max_pool(x), F.max_pool2d(x, 2)
    assert torch.equal(mine, theirs)
    with torch.no_grad():
        assert torch.equal(max_pool(x), theirs)
    upstream = torch.randn(mine.shape, generator=generator)
    (a,), (b,) = (torch.autograd.grad(y, x, upstream) for y in (mine, theirs))
    assert torch.equal(a, b)


def test_what_is_not_a_number_stays_so():
    x = torch.tensor([[[[1.0, float("nan")], [3.0, 2.0]]]], requires_grad=True)
    assert max_pool(x).isnan().all()
    with torch.no_grad():
        assert max_pool(x).isnan().all()


def test_it_serves_a_pack_ties_and_all():
    x = torch.randint(2, (3, 2, 4, 6, 6)).float().requires_grad_(True)
    expected = F.max_pool2d(x.flatten(0, 1), 2).unflatten(0, (3, 2))
    got = torch.vmap(max_pool)(x)
    assert torch.equal(got, expected)
    upstream = torch.randn(expected.shape)
    (mine,), (theirs,) = (torch.autograd.grad(y, x, upstream) for y in (got, expected))
    assert torch.equal(mine, theirs)
    with torch.no_grad():
        assert torch.equal(torch.vmap(max_pool)(x), expected)
