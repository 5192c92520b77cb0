"""Step imbalance: ratios, combinations, how many images a class keeps, and which."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgctl import seeding
from dfgctl.data.imbalance import (
    Ratio,
    class_counts,
    combination_at,
    parse_combinations,
    subset,
    validation_counts,
)
from dfgctl.errors import InputError

quick = settings(deadline=None, derandomize=True, max_examples=60)


# Ratios


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("10:1", Fraction(10), "10:1"),
        ("1:1", Fraction(1), "1:1"),
        ("2.5:1", Fraction(5, 2), "2.5:1"),
        (" 40 : 1 ", Fraction(40), "40:1"),
        ("10.0:1", Fraction(10), "10:1"),
        ("100:1", Fraction(100), "100:1"),
    ],
)
def test_a_ratio_is_read_exactly_and_written_in_one_way(
    text: str, value: Fraction, shown: str
) -> None:
    ratio = Ratio.parse(text)
    assert ratio.value == value
    assert str(ratio) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("10", "0:1", "abc", "1:10", "-3:1", "nan:1", "inf:1", "", ":", ":1", "0.9:1", "10:1:1"),
        *("10:2", "1/0:1", "10:1.5", "ten:1", "10;1", "10:", "1e400:1"),
    ],
)
def test_what_is_no_ratio_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match=r"--imbalance 10:1"):
        Ratio.parse(text)


@pytest.mark.parametrize("text", ["100.0001:1", "1000001:1", "1.0000001:1", "1000000:1"])
def test_a_ratio_that_is_written_can_be_read_back(text: str) -> None:
    # What is written is part of a run's identity: two ratios must not look the same.
    ratio = Ratio.parse(text)
    assert Ratio.parse(str(ratio)) == ratio


@quick
@given(whole=st.integers(1, 200), cents=st.integers(0, 99), majority_count=st.integers(1, 100_000))
def test_a_minority_class_keeps_the_floor_of_majority_over_ratio(
    whole: int, cents: int, majority_count: int
) -> None:
    ratio = Ratio.parse(f"{whole}.{cents:02}:1")
    exact = (majority_count * 100) // (100 * whole + cents)
    assert ratio.minority_count(majority_count) == exact


def test_the_floor_is_taken_of_the_exact_quotient() -> None:
    assert math.floor(33 / 1.1) == 29  # which is what floats would give
    assert Ratio.parse("1.1:1").minority_count(33) == 30
    assert Ratio.parse("2.5:1").minority_count(80) == 32
    assert Ratio.parse("40:1").minority_count(6000) == 150
    assert Ratio.parse("7:1").minority_count(80) == 11


# Combinations


@quick
@given(st.integers(1, 12).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, k))))
def test_the_order_holds_every_combination_once(sizes: tuple[int, int]) -> None:
    classes, majority = sizes
    order = [combination_at(i, classes, majority) for i in range(math.comb(classes, majority))]
    assert sorted(order) == list(itertools.combinations(range(classes), majority))


def test_the_order_is_fixed_and_not_the_lexicographic_one() -> None:
    order = [combination_at(i, 10, 2) for i in range(45)]
    assert order == [combination_at(i, 10, 2) for i in range(45)]
    assert order != sorted(order)
    # Early positions are spread over the classes: a few repeats see most classes as majority.
    assert len({c for combination in order[:10] for c in combination}) >= 7


@pytest.mark.parametrize(("classes", "majority"), [(101, 51), (257, 100)])
def test_positions_of_a_huge_order_are_found_without_listing_it(
    classes: int, majority: int
) -> None:
    total = math.comb(classes, majority)
    assert total > 10**29
    positions = [*range(200), total // 2, total - 2, total - 1]
    found = [combination_at(position, classes, majority) for position in positions]
    assert len(set(found)) == len(positions)
    for combination in found:
        assert len(set(combination)) == majority
        assert combination == tuple(sorted(combination))
        assert combination[0] >= 0
        assert combination[-1] < classes
    often = np.bincount(np.concatenate(found), minlength=classes) / len(found)
    assert abs(often - majority / classes).max() < 5 * math.sqrt(1 / 4 / len(found))


@pytest.mark.parametrize("position", [-1, 45, 10**30])
def test_a_position_outside_the_order_is_an_error(position: int) -> None:
    with pytest.raises(ValueError, match="0 to 44"):
        combination_at(position, 10, 2)


def test_combinations_are_read_sorted() -> None:
    assert parse_combinations("4,0; 1 , 7", 10, 2) == ((0, 4), (1, 7))
    assert parse_combinations("9", 10, 1) == ((9,),)
    assert parse_combinations(" all ", 10, 2) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,a", "write class numbers with commas"),
        ("", "write class numbers with commas"),
        ("0,4;", "write class numbers with commas"),
        ("0 4", "write class numbers with commas"),
        ("0.5,1", "write class numbers with commas"),
        ("3,3", "names a class twice"),
        ("0,10", "classes are 0 to 9"),
        ("-1,4", "classes are 0 to 9"),
        ("0,1,2", "--majority 3"),
        ("0", "--majority 1"),
        ("0,4;1,7;4,0", "A combination is named twice"),
    ],
)
def test_what_is_no_combination_is_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_combinations(text, 10, 2)


# Counts


def test_majority_and_minority_classes_keep_their_counts() -> None:
    counts = class_counts([100] * 5, (1, 3), Ratio.parse("10:1"), 80)
    assert counts == (8, 80, 8, 80, 8)


def test_a_class_with_fewer_images_keeps_all_that_it_has() -> None:
    counts = class_counts([60, 60, 5, 100], (0, 3), Ratio.parse("10:1"), 80)
    assert counts == (60, 8, 5, 80)


def test_at_one_to_one_every_class_keeps_the_majoritys_count() -> None:
    assert class_counts([100, 70, 90], (), Ratio.parse("1:1"), 80) == (80, 70, 80)


def test_a_minority_without_images_is_refused_with_the_largest_ratio() -> None:
    with pytest.raises(InputError, match=r"at most 80:1"):
        class_counts([100] * 3, (0,), Ratio.parse("81:1"), 80)
    assert class_counts([100] * 3, (0,), Ratio.parse("80:1"), 80) == (80, 1, 1)


@quick
@given(
    counts=st.lists(st.integers(1, 5000), min_size=1, max_size=12),
    share=st.floats(0, 1, exclude_max=True),
)
def test_validation_leaves_each_class_an_image_and_scores_each_that_can_spare_one(
    counts: list[int], share: float
) -> None:
    held_out = validation_counts(counts, share)
    for count, out in zip(counts, held_out, strict=True):
        assert 0 <= out < count
        if share == 0:
            assert out == 0
        elif count > 1:
            assert out >= 1
            assert out in (1, count - 1) or abs(out - count * share) <= 0.5


def test_a_class_without_images_holds_none_out() -> None:
    assert validation_counts((0, 1, 2, 100), 0.1) == (0, 0, 1, 10)


# Subsets

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), (30, 20, 25, 40)))
KEY = seeding.run_key(0, (0, 3))


def test_a_subset_has_the_counts_and_labels_that_were_asked_for() -> None:
    train, validation = subset(LABELS, (10, 2, 3, 40), (2, 1, 0, 8), KEY)
    assert np.bincount(LABELS[train], minlength=4).tolist() == [8, 1, 3, 32]
    assert np.bincount(LABELS[validation], minlength=4).tolist() == [2, 1, 0, 8]
    assert len({*train, *validation}) == 55


@quick
@given(
    counts=st.tuples(*(st.integers(1, n) for n in (30, 20, 25, 40))),
    share=st.floats(0, 0.9),
    key=st.integers(0, 2**64 - 1),
)
def test_training_and_validation_images_are_disjoint(
    counts: tuple[int, ...], share: float, key: int
) -> None:
    held_out = validation_counts(counts, share)
    train, validation = subset(LABELS, counts, held_out, key)
    assert len(np.unique(np.concatenate([train, validation]))) == sum(counts)
    assert len(validation) == sum(held_out)
    # Holding some out changes who is kept for what, never who is kept.
    everything, nothing = subset(LABELS, counts, (0,) * 4, key)
    assert len(nothing) == 0
    assert set(everything) == {*train, *validation}


def test_a_subset_is_the_keys_own() -> None:
    first = subset(LABELS, (10,) * 4, (2,) * 4, KEY)
    again = subset(LABELS, (10,) * 4, (2,) * 4, KEY)
    other_seed = subset(LABELS, (10,) * 4, (2,) * 4, seeding.run_key(1, (0, 3)))
    other_combination = subset(LABELS, (10,) * 4, (2,) * 4, seeding.run_key(0, (1, 3)))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (other_seed, other_combination):
        assert set(first[0]) != set(other[0])


def test_a_class_is_sampled_and_not_taken_from_the_front() -> None:
    labels = np.zeros(1000, dtype=np.int64)
    train, _ = subset(labels, (100,), (0,), KEY)
    assert 400 < train.mean() < 600
    kept = np.zeros(1000)
    for seed in range(300):
        kept[subset(labels, (100,), (0,), seeding.run_key(seed, ()))[0]] += 1
    assert abs(kept - 30).max() < 6 * math.sqrt(300 * 0.1 * 0.9)


def test_images_of_a_minority_class_are_among_those_that_it_keeps_as_a_majority() -> None:
    few, _ = subset(LABELS, (3, 3, 3, 3), (0,) * 4, KEY)
    many, _ = subset(LABELS, (20, 20, 20, 20), (0,) * 4, KEY)
    assert set(few) < set(many)


def test_a_class_keeps_its_images_whatever_the_others_keep() -> None:
    one, _ = subset(LABELS, (10, 2, 2, 2), (0,) * 4, KEY)
    other, _ = subset(LABELS, (10, 20, 20, 20), (0,) * 4, KEY)
    assert set(one[LABELS[one] == 0]) == set(other[LABELS[other] == 0])
