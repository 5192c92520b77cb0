"""Places on a log axis of costs, on numbers worked out by hand."""

import pytest

from dfgctl.report.cost_axis import beside, limits, moved


def test_points_of_nearly_the_same_cost_are_drawn_side_by_side() -> None:
    assert beside([1.0, 2.0, 4.0], 10) == pytest.approx([1, 2, 4])
    one, two, three = beside([2.0, 2.0, 4.0], 10)
    assert one < 2 < two
    assert one * two == pytest.approx(4)
    assert three == pytest.approx(4)


def test_points_side_by_side_stay_in_the_order_of_their_costs() -> None:
    """Seven of one cost take more room than there is to those beside them."""
    drawn = beside([39.3, 39.3, 40.7, *[43.5] * 7, 45.0, 90.0], 60)
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 12
    assert drawn[-1] == pytest.approx(90)


def test_an_axis_reaches_less_far_without_names() -> None:
    (left, right), (near, far) = limits([1.0, 100.0]), limits([1.0, 100.0], named=False)
    assert left < near < 1
    assert 100 < far < right
    assert not moved([1.0, 100.0], named=True)
    assert moved([1.0, 1.001, 100.0], named=False)
