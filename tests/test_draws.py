"""The streams as tensors: the same words as numbers, and uniform numbers and integers of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgctl import seeding
from dfgctl.draws import Stream

CPU = torch.device("cpu")
KEYS = [seeding.run_key(seed, (0, 4)) for seed in range(3)]


def unsigned(words: torch.Tensor) -> list[int]:
    return [word % 2**64 for word in words.flatten().tolist()]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    keys=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3),
    name=st.text(max_size=8),
    step=st.integers(0, 2**40),
    shape=st.lists(st.integers(1, 4), max_size=3).map(tuple),
)
def test_tensors_and_numpy_draw_the_same_words(
    keys: list[int], name: str, step: int, shape: tuple[int, ...]
) -> None:
    words = Stream(keys, name, CPU).words(step, shape)
    assert words.shape == (len(keys), *shape)
    on_device = torch.tensor(step)
    assert torch.equal(Stream(keys, name, CPU).words(on_device, shape), words)
    for key, own in zip(keys, words, strict=True):
        stream = seeding.substream(key, name)
        assert unsigned(own) == seeding.words(stream, step, math.prod(shape)).tolist()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (-3.0, 0.5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_fill_their_interval_evenly(
    low: float, high: float, dtype: torch.dtype
) -> None:
    drawn = Stream(KEYS, "noise", CPU).uniform(1, (200, 100), low, high, dtype)
    assert drawn.dtype == dtype
    assert drawn.shape == (3, 200, 100)
    assert drawn.min() >= low
    assert drawn.max() < high
    n, width = drawn.numel(), high - low
    unit = (drawn.double() - low) / width
    assert abs(unit.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / n)
    assert abs(unit.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / n)
    counts = torch.histc(unit, 10, 0, 1)
    assert (counts - n / 10).abs().max() < 5 * math.sqrt(n / 10)
    correlation = np.corrcoef(unit.flatten()[:-1].numpy(), unit.flatten()[1:].numpy())[0, 1]
    assert abs(correlation) < 5 / math.sqrt(n)


def test_the_largest_word_stays_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(KEYS[:1], "noise", CPU)
    extremes = torch.tensor([[0, -1, 2**63 - 1, -(2**63)]])
    monkeypatch.setattr(Stream, "words", lambda *_: extremes)
    unit = stream.uniform(1, (4,)).tolist()[0]
    assert unit == [0.0, 1 - 2.0**-24, 0.5 - 2.0**-24, 0.5]
    assert stream.uniform(1, (4,), -1, 1).max() < 1
    assert stream.integers(1, (4,), 7).min() >= 0


def test_integers_keep_below_each_replicas_own_bound() -> None:
    high = torch.tensor([[1], [10], [1000]])
    drawn = Stream(KEYS, "batches", CPU).integers(4, (20_000,), high)
    assert drawn.shape == (3, 20_000)
    assert (drawn >= 0).all()
    assert (drawn[0] == 0).all()
    assert drawn[1].unique().tolist() == list(range(10))
    assert len(drawn[2].unique()) == 1000
    assert drawn[2].max() == 999
    counts = drawn[1].bincount(minlength=10)
    assert (counts - 2000).abs().max() < 5 * math.sqrt(2000)
    mean = drawn[2].double().mean()
    assert abs(mean - 499.5) < 5 * 1000 / math.sqrt(12 * 20_000)


def test_integers_take_one_bound_for_all() -> None:
    drawn = Stream(KEYS, "labels", CPU).integers(1, (500, 2), 10)
    assert drawn.shape == (3, 500, 2)
    assert drawn.unique().tolist() == list(range(10))


def test_steps_names_and_replicas_draw_other_words() -> None:
    seen: list[int] = []
    for name in ("batches", "noise", "labels"):
        stream = Stream(KEYS, name, CPU)
        for step in range(4):
            seen += unsigned(stream.words(step, (25,)))
    assert len(set(seen)) == 3 * 4 * 3 * 25


def test_a_replicas_words_do_not_depend_on_its_pack() -> None:
    pack = Stream(KEYS, "batches", CPU)
    for i, key in enumerate(KEYS):
        alone = Stream([key], "batches", CPU)
        for step in (0, 1, 999_999):
            assert torch.equal(pack.words(step, (6, 2))[i], alone.words(step, (6, 2))[0])


def test_a_draw_does_not_depend_on_what_was_drawn_before() -> None:
    fresh = Stream(KEYS, "noise", CPU).words(7, (5,))
    used = Stream(KEYS, "noise", CPU)
    for step in (7, 3, 8):
        used.words(step, (4, 3))
        used.uniform(step, (5,))
    assert torch.equal(used.words(7, (5,)), fresh)
    assert torch.equal(used.words(7, (9,))[:, :5], fresh)


@pytest.mark.parametrize("step", [0, 1, 20_000, 2**40])
def test_a_step_on_the_device_draws_what_its_number_draws(step: int) -> None:
    stream, on_device = Stream(KEYS, "noise", CPU), torch.tensor(step)
    high = torch.tensor([[1], [10], [1000]])
    for place, there in ((step, on_device), (step * 6 + 5, on_device * 6 + 5)):
        assert torch.equal(stream.integers(place, (9,), high), stream.integers(there, (9,), high))
        for dtype in (torch.float32, torch.float64):
            mine, theirs = (stream.uniform(n, (4, 2), -1, 1, dtype) for n in (place, there))
            assert torch.equal(mine, theirs)
