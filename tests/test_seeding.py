"""The named streams: the words are SplitMix64's, and each name, step and repeat has its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgctl import seeding
from dfgctl.data.imbalance import combination_at

words64 = st.integers(0, 2**64 - 1)


def splitmix64(state: int, count: int) -> list[int]:
    """SplitMix64 as its authors' C code writes it, in Python's integers."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        numbers.append(z ^ (z >> 31))
    return numbers


def test_the_finaliser_gives_the_published_numbers_of_splitmix64() -> None:
    # For the seed 1234567, as Rosetta Code lists them; for 0 the first of Java's SplittableRandom.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = [(1234567 + i * seeding.WEYL) & seeding.MASK for i in range(1, 6)]
    assert [seeding.mix(state) for state in states] == published
    assert seeding.mix(seeding.WEYL) == 0xE220A8397B1DCDAF


@settings(deadline=None, derandomize=True)
@given(stream=words64, step=st.integers(0, 2**40), count=st.integers(0, 40))
def test_words_are_splitmix64_from_a_state_that_the_step_gives(
    stream: int, step: int, count: int
) -> None:
    start = splitmix64((stream + (step - 1) * seeding.WEYL) % 2**64, 1)[0]
    assert seeding.words(stream, step, count).tolist() == splitmix64(start, count)


@settings(deadline=None, derandomize=True)
@given(words64, words64)
def test_the_finaliser_never_joins_two_words(a: int, b: int) -> None:
    assert 0 <= seeding.mix(a) <= seeding.MASK
    assert (seeding.mix(a) == seeding.mix(b)) == (a == b)


def test_one_changed_bit_changes_about_half_of_the_word() -> None:
    word = seeding.key("some word")
    changed = [(seeding.mix(word) ^ seeding.mix(word ^ (1 << i))).bit_count() for i in range(64)]
    assert 28 < np.mean(changed) < 36
    assert min(changed) > 12


@settings(deadline=None, derandomize=True)
@given(stream=words64, count=st.integers(0, 300))
def test_a_permutation_holds_each_number_once(stream: int, count: int) -> None:
    assert sorted(seeding.permutation(stream, count).tolist()) == list(range(count))


def test_permutations_of_different_streams_differ() -> None:
    orders = {tuple(seeding.permutation(seeding.key(i), 20).tolist()) for i in range(100)}
    assert len(orders) == 100


def test_every_place_of_a_permutation_holds_every_number_about_equally_often() -> None:
    counts = np.zeros((5, 5))
    for i in range(2000):
        counts[np.arange(5), seeding.permutation(seeding.key(i), 5)] += 1
    assert abs(counts - 400).max() < 5 * np.sqrt(400)


def test_streams_of_other_names_or_runs_share_no_word() -> None:
    names = ("batches", "subset", "E", "C", "G", "D", "noise", "labels", "epsilon", "head batches")
    seen: list[int] = []
    for seed in range(3):
        for name in names:
            stream = seeding.substream(seeding.run_key(seed, (0, 4)), name)
            for step in range(3):
                seen += seeding.words(stream, step, 50).tolist()
    assert len(set(seen)) == 3 * len(names) * 3 * 50


def test_a_run_key_depends_on_seed_and_combination() -> None:
    combinations = [(), *(combination_at(i, 10, 2) for i in range(45)), (0,), (0, 1, 2)]
    keys = {seeding.run_key(seed, c) for seed in range(20) for c in combinations}
    assert len(keys) == 20 * len(combinations)
    assert seeding.run_key(3, (0, 4)) == seeding.run_key(3, (0, 4))


def test_keys_tell_their_parts_apart() -> None:
    keys = [
        seeding.key(1, 23),
        seeding.key(12, 3),
        seeding.key(123),
        seeding.key("123"),
        seeding.key("a", "b"),
        seeding.key("a\x1fb"),
        seeding.key("ab"),
        seeding.key((1, 2)),
        seeding.key(1, 2),
    ]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**64 for key in keys)


def test_streams_stay_what_they_were() -> None:
    # Changing these numbers changes every result: raise RESULTS_VERSION with them.
    run = seeding.run_key(0, (0, 4))
    stream = seeding.substream(run, "batches")
    assert run == 0x8493615C432F357
    assert stream == 0x2D75E3DF7EA260A9
    assert seeding.words(stream, 1, 2).tolist() == [0xBCA96949F2F29C3A, 0xA0000D460DD87D58]


@pytest.mark.parametrize("stream", [0, 2**64 - 1])
def test_numpys_generator_repeats_itself(stream: int) -> None:
    first = seeding.generator(stream).standard_normal(4)
    assert np.array_equal(first, seeding.generator(stream).standard_normal(4))
    assert not np.array_equal(first, seeding.generator(stream ^ 1).standard_normal(4))
