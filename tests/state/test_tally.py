"""The tally: means of losses, summed where they lie."""

import math

import torch

from dfgctl.state import Tally

CPU = torch.device("cpu")


def test_means_are_those_of_a_sum_that_begins_with_the_first_loss() -> None:
    torch.manual_seed(0)
    losses = torch.randn(7, 3)
    tally = Tally(3, CPU)
    for loss in losses:
        tally.add({"L": loss})
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    assert tally.take_means() == {"L": (total / 7).tolist()}


def test_a_zero_keeps_its_sign() -> None:
    tally = Tally(2, CPU)
    for _ in range(2):
        tally.add({"L": torch.tensor([-0.0, 0.0])})
        (mean,) = tally.take_means().values()
        assert [math.copysign(1, x) for x in mean] == [-1, 1]


def test_means_are_of_the_losses_since_the_last_ones_in_the_order_they_came() -> None:
    tally = Tally(1, CPU)
    one = torch.ones(1)
    tally.add({"a": one, "b": 3 * one})
    tally.add({"b": 5 * one})
    assert tally.take_means() == {"a": [1.0], "b": [4.0]}
    assert tally.take_means() == {}
    tally.add({"b": 7 * one})
    tally.add({"a": 9 * one})
    means = tally.take_means()
    assert list(means.items()) == [("b", [7.0]), ("a", [9.0])]


def test_a_loss_that_changes_afterwards_was_counted_as_it_was() -> None:
    tally, loss = Tally(1, CPU), torch.ones(1)
    for value in (1.0, 2.0, 6.0):
        tally.add({"L": loss.fill_(value)})
    assert tally.take_means() == {"L": [3.0]}


def test_one_loss_that_is_not_finite_is_remembered() -> None:
    tally = Tally(3, CPU)
    memory = tally.finite.data_ptr()
    tally.add({"L": torch.tensor([1.0, float("nan"), 1.0])})
    tally.add({"L": torch.tensor([1.0, 1.0, float("inf")])})
    tally.take_means()
    assert tally.finite.tolist() == [True, False, False]
    assert tally.finite.data_ptr() == memory


def test_what_is_saved_are_the_losses_since_the_last_means() -> None:
    tally = Tally(2, CPU)
    tally.add({"a": torch.ones(2)})
    tally.take_means()
    tally.add({"b": torch.tensor([2.0, 3.0])})
    tensors, content = tally.saved(1)
    assert {name: t.item() for name, t in tensors.items()} == {"b": 3.0}
    assert content["counts"] == {"b": 1}
