"""How filter weights move: spreads by hand, and what is drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crowding import crowded

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report.filter_weights import Moves, draw, most_different, spread

SOURCE = np.array([[3.0, 0.5, 1.0, 0.5], [1.0, 2.5, 1.0, 0.5]])  # (K, n_f)
TARGET = np.array([[1.2, 1.0, 0.8, 1.0], [1.0, 1.0, 0.8, 1.2]])


@pytest.fixture
def pair(make_run: Any) -> list[Moves]:
    """Two runs, with rho 0.75 and 0, whose targets end the same."""
    return [
        Moves(
            run=make_run(changed={"dfg.rho": rho}),
            rho=rho,
            share=rho,
            steps=np.array([0, 100, 200]),
            weights=np.stack([SOURCE, *[rho * SOURCE + (1 - rho) * TARGET] * 2]),
            source=SOURCE,
        )
        for rho in (0.75, 0.0)
    ]


def test_the_spread_is_between_classes_and_over_all_filters() -> None:
    # Half the differences: 1, 1, 0, 0.
    assert spread(SOURCE) == 0.5
    assert spread(TARGET) == pytest.approx((0.1 + 0 + 0 + 0.1) / 4)


def test_filters_that_differ_most_come_first() -> None:
    assert most_different(SOURCE) == (0, 1)
    assert most_different(SOURCE[:, [2, 3, 1, 0]], 1) == (2,)


def test_the_targets_own_weights_are_solved_for(pair: list[Moves]) -> None:
    for moves in pair:
        np.testing.assert_allclose(moves.target(), TARGET)
    assert replace(pair[0], share=1.0).target() is None


def test_each_rho_is_a_row_and_each_filter_a_column(pair: list[Moves]) -> None:
    drawn = draw(pair, {}, (0, 1))
    grid = drawn.figure.axes
    assert [a.get_title(loc="left") for a in grid] == ["Filter 0", "Filter 1", "", ""]
    assert [a.get_ylabel() for a in grid[::2]] == [
        "ρ = 0.75\nfilter weight W",
        "ρ = 0\nfilter weight W",
    ]
    for axes, (moves, j) in zip(grid, [(m, j) for m in pair for j in (0, 1)], strict=True):
        *classes, equality = axes.lines
        for c, one in enumerate(classes):
            np.testing.assert_array_equal(one.get_xdata(), [0, 100, 200])
            np.testing.assert_array_equal(one.get_ydata(), moves.weights[:, c, j])
        assert set(equality.get_ydata()) == {1}
    (legend,) = drawn.figure.subfigs[0].legends
    assert [t.get_text() for t in legend.get_texts()] == ["0", "1", "equality"]
    assert "before the threshold" in " ".join(drawn.figure.subfigs[0].get_suptitle().split())
    assert drawn.runs == [moves.run.id for moves in pair]


def test_filters_and_classes_may_be_named(pair: list[Moves]) -> None:
    drawn = draw(pair, {}, (1,), (3,))
    first = drawn.figure.axes[0]
    assert first.get_title(loc="left") == "Filter 3"
    np.testing.assert_array_equal(first.lines[0].get_ydata(), pair[0].weights[:, 1, 3])
    assert "as named with --filters" in drawn.said[0]
    with pytest.raises(InputError, match="no filter 4: filters are 0 to 3"):
        draw(pair, {}, (0,), (4,))


def test_all_weights_are_in_the_data(pair: list[Moves]) -> None:
    data = draw(pair, {}, (0,)).data
    assert len(data) == 2 * 3 * 2 * 4
    one = data[
        (data.rho == 0) & (data.step == 200) & (data["class"] == "1") & (data["filter"] == 3)
    ]
    assert one.weight.item() == 1.2
    assert one.run.item() == pair[1].run.id


def test_the_claim_is_said_in_numbers(pair: list[Moves]) -> None:
    said = draw(pair, {0.75: [pair[0]], 0.0: [pair[1]]}, (0,)).said
    end = spread(0.75 * SOURCE + 0.25 * TARGET)
    assert f"0.500 at step 0, {end:.3f} at step 200; of it the target's own W(E) 0.050." in said[2]
    assert said[3].endswith("0.500 at step 0, 0.050 at step 200.")
    assert not any("pairs" in line for line in said)  # one pair says nothing of others
    assert "a share rho of W is the source's and never moves" in said[-1]


def test_several_pairs_are_summarised(pair: list[Moves]) -> None:
    wide = replace(pair[1], weights=np.stack([SOURCE, SOURCE]))
    said = draw(pair, {0.75: [pair[0], pair[0]], 0.0: [pair[1], wide]}, (0,)).said
    (line,) = [line for line in said if "pairs" in line]
    assert "over 2 (combination, seed) pairs" in line
    std = np.std([0.05, 0.5], ddof=1)
    assert f"{(0.05 + 0.5) / 2:.3f} ± {std:.3f} with rho 0" in line
    assert line.endswith("wider with rho 0.75 in 1 of 2.")


def test_one_point_is_no_figure(make_run: Any, pair: list[Moves]) -> None:
    few = replace(
        pair[0],
        run=make_run(changed={"dfg.n_W": 5000}),
        steps=np.array([0]),
        weights=SOURCE[None],
    )
    with pytest.raises(NothingToShowError, match=r"400 steps and n_W is 5,000: .*dfg\.n_W=40,"):
        draw([few], {}, (0,))
    gated = replace(few, run=make_run())
    with pytest.raises(NothingToShowError, match=r"never updated \(F07\)"):
        draw([gated], {}, (0,))
    broken = replace(pair[0], weights=pair[0].weights * np.nan)
    with pytest.raises(NothingToShowError, match="are not finite"):
        draw([broken], {}, (0,))


def test_rho_without_effect_is_said(pair: list[Moves]) -> None:
    released = [replace(moves, share=0.0) for moves in pair]
    np.testing.assert_array_equal(released[0].target(), pair[0].weights[-1])
    drawn = draw(released, {}, (0,))
    assert drawn.said[-1] == (
        "F06 is read as released: W is the target's alone, and rho has no effect."
    )
    assert "whatever ρ is (F06 as released)" in " ".join(
        drawn.figure.subfigs[0].get_suptitle().split()
    )
    assert not any("of it the target" in line for line in drawn.said)


def test_one_value_of_rho_is_compared_with_none(pair: list[Moves]) -> None:
    said = draw(pair[:1], {0.75: [pair[0], pair[0]]}, (0,)).said
    (line,) = [line for line in said if "pairs" in line]
    assert line.endswith("± 0.000 with rho 0.75.")


@pytest.mark.parametrize("filters", [(0,), (0, 1, 2)])
def test_no_words_lie_on_each_other(pair: list[Moves], filters: Any) -> None:
    drawn = draw(pair[:1], {0.75: [pair[0], pair[1]]}, (0, 1), filters)
    assert crowded(drawn.figure) == []
    assert list(drawn.runs) == [moves.run.id for moves in pair]  # those behind a number, too
