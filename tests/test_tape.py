"""The recorder of the tests forbids what a CUDA graph forbids, and forgets what one may forget."""

import pytest
import torch
from tape import Tape, UnrecordableError


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda x: x.max().item(), "waits"),
        (lambda x: bool((x > 0).any()), "waits"),
        (lambda x: x[x > 0], "mask waits"),
        (lambda x: x.nonzero(), "waits"),
        (lambda x: torch.nn.functional.one_hot(x.long()), "waits"),
        (lambda x: x + torch.tensor(1.0), "host"),
        (lambda x: torch.where(x > 0, x, 0.0), "host"),
        (lambda x: x.to("meta"), "devices"),
        (lambda x: torch.rand_like(x), "random"),
        (lambda x: torch.nn.functional.dropout(x), "random"),
    ],
)
def test_what_a_graph_cannot_hold_raises(work, why):
    with pytest.raises(UnrecordableError, match=why):
        Tape().record(lambda: work(torch.ones(3)))


def test_memory_from_before_is_written_again_and_numbers_are_baked_in():
    total, scale = torch.zeros(2), 2.0

    def work() -> None:
        total.add_(scale * torch.ones(2))

    again = Tape().record(work)
    scale = 100.0
    for expected in (2, 4, 6):
        assert total.tolist() == [expected] * 2
        again()


def test_views_and_gradients_are_done_again():
    weight, x, seen = torch.ones(2, requires_grad=True), torch.zeros(2), torch.zeros(4)

    def work() -> None:
        x.add_(1)
        y = (weight * x).view(2, 1).expand(2, 2).reshape(-1)
        (gradient,) = torch.autograd.grad(y.square().sum(), weight)
        seen.copy_(y.detach())
        with torch.no_grad():
            weight.sub_(0.1 * gradient)

    again = Tape().record(work)
    expected = torch.ones(2)
    for n in (1, 2, 3):
        torch.testing.assert_close(seen, (expected * n).repeat_interleave(2))
        expected = expected - 0.1 * 4 * expected * n * n
        torch.testing.assert_close(weight.detach(), expected)
        again()


def test_what_a_recording_made_is_not_there_afterwards():
    kept: list[torch.Tensor] = []
    x = torch.ones(2)
    again = Tape().record(lambda: kept.extend([x * 2, x.long() + 1, (x * 3)[:1]]))
    for _ in range(2):
        assert kept[0].isnan().all()
        assert kept[1].tolist() == [113, 113]
        assert kept[2].isnan().all()
        assert x.tolist() == [1, 1]
        again()
