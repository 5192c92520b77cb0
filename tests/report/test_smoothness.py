"""The largest jump of a sweep, worked out by hand."""

import math

import pytest

from dfgctl.report.smoothness import largest_jump, largest_paired_jump


def test_the_largest_jump_is_held_against_the_pooled_spread() -> None:
    points = {1.0: [0.70, 0.70], 0.5: [0.80, 0.84], 0.75: [0.90, 0.92, 0.94]}
    jump = largest_jump(points)
    assert (jump.start, jump.end, jump.n) == (0.75, 1.0, 7)
    assert jump.size == pytest.approx(0.70 - 0.92)
    # Variances 0.0008 (1 degree of freedom), 0.0004 (2) and 0 (1).
    assert jump.spread == pytest.approx(math.sqrt((0.0008 + 2 * 0.0004) / 4))
    assert jump.ratio == pytest.approx(0.22 / 0.02)


def test_one_run_a_value_tells_no_spread_and_equal_runs_no_ratio() -> None:
    single = largest_jump({0.0: [0.5], 1.0: [0.75]})
    assert (single.size, single.spread, single.ratio) == (0.25, None, None)
    equal = largest_jump({0.0: [0.5, 0.5], 1.0: [0.5, 0.5]})
    assert (equal.size, equal.spread, equal.ratio) == (0.0, 0.0, None)


def test_of_equal_jumps_the_first_is_named() -> None:
    jump = largest_jump({0.0: [0.5], 0.5: [0.75], 1.0: [0.5]})
    assert (jump.start, jump.end) == (0.0, 0.5)


def test_a_paired_jump_takes_only_what_neighbours_share() -> None:
    pairs = {
        0.0: {"a": 0.50, "b": 0.60, "alone": 0.10},
        0.5: {"a": 0.51, "b": 0.63},
        1.0: {"a": 0.52, "b": 0.64, "other": 0.99},
    }
    jump = largest_paired_jump(pairs)
    assert jump is not None
    assert (jump.start, jump.end, jump.n) == (0.0, 0.5, 2)
    assert jump.size == pytest.approx(0.02)
    assert jump.spread == pytest.approx(math.sqrt(2 * 0.01**2))


@pytest.mark.parametrize(
    "last", [{"a": 0.5}, {"b": 0.5, "c": 0.5}, {}], ids=["one", "one of two", "none"]
)
def test_without_two_shared_pairs_between_all_neighbours_there_is_none(
    last: dict[str, float],
) -> None:
    assert largest_paired_jump({0.0: {"a": 1.0, "b": 1.0}, 1.0: last}) is None
