"""Curves: means and bands over runs, a panel for each loss, and what is not shown."""

import math
from dataclasses import replace
from typing import Any

import pytest
from crowding import crowded

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.records import Measurement
from dfgctl.report.choosing import choose
from dfgctl.report.curves import draw, table_of

DIGITS = {"digits": recipes.load("digits")}


def curve(*accuracies: float, **losses: float) -> list[Measurement]:
    """An evaluation every 50 steps, the losses from the second one on."""
    return [
        Measurement(50 * i, a, 2 - a, None, losses if i else {}, 1.0)
        for i, a in enumerate(accuracies)
    ]


@pytest.fixture
def two(make_run: Any) -> tuple[Any, dict[str, list[Measurement]]]:
    """Two runs of dfg and one of original."""
    runs = [make_run("dfg"), make_run("dfg", seed=1), make_run("original")]
    curves = {
        runs[0].id: curve(0.1, 0.70, 0.80, L_G=-1.0, **{"L_C^r": 0.5}),
        runs[1].id: curve(0.3, 0.74, 0.90, L_G=-3.0, **{"L_C^r": 0.7}),
        runs[2].id: curve(0.1, 0.60, 0.65, loss=0.25),
    }
    return choose(runs, DIGITS), curves


def lines(axes: Any) -> dict[str, list[tuple[float, float]]]:
    return {
        line.get_label(): [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]
        for line in axes.lines
    }


def test_lines_are_means_and_bands_a_standard_deviation(two: Any) -> None:
    axes = draw(*two).figure.axes[0]
    assert axes.get_title(loc="left") == "test accuracy (%)"
    assert lines(axes) == {
        "Original": [pytest.approx(p) for p in ((0, 10), (50, 60), (100, 65))],
        "DFG": [pytest.approx(p) for p in ((0, 20), (50, 72), (100, 85))],
    }
    # 0.80 and 0.90 have the standard deviation 0.1 / sqrt(2).
    edges = [tuple(v) for v in axes.collections[1].get_paths()[0].vertices]
    for sign in (1, -1):
        assert any(v == pytest.approx((100, 85 + sign * 10 / math.sqrt(2))) for v in edges)
    assert all(math.isfinite(n) for v in edges for n in v)


def test_each_loss_has_a_panel_named_by_its_method(two: Any) -> None:
    axes = {a.get_title(loc="left"): a for a in draw(*two).figure.axes}
    assert list(axes) == [
        "test accuracy (%)",
        "test loss (cross-entropy)",
        "training loss",
        "DFG: $L_{C}^{r}$",
        "DFG: $L_{G}$",
    ]
    assert lines(axes["DFG: $L_{G}$"]) == {"DFG": [(50, -2), (100, -2)]}
    assert lines(axes["training loss"]) == {"Original": [(50, 0.25), (100, 0.25)]}


def test_losses_of_one_name_in_two_methods_share_no_panel(make_run: Any) -> None:
    runs = [make_run("dfg"), make_run("difa")]
    curves = {run.id: curve(0.1, 0.5, L_E=float(i)) for i, run in enumerate(runs)}
    titles = [a.get_title(loc="left") for a in draw(choose(runs, DIGITS), curves).figure.axes]
    assert titles[2:] == ["DIFA + cMWGAN: $L_{E}$", "DFG: $L_{E}$"]


def test_the_untrained_start_is_said_where_the_axis_leaves_it_out(two: Any) -> None:
    drawn = draw(*two)
    assert drawn.said[0] == "Below the axis, at step 0: Original 10.0 %, DFG 20.0 %."
    assert drawn.figure.axes[0].get_ylim()[0] == pytest.approx(58)


def test_what_is_shown_and_what_not_is_said(two: Any, make_run: Any) -> None:
    chosen, curves = two
    bare = make_run("dfg", seed=2)
    other = make_run("dfg", changed={"dfg.rho": 0.0})
    drawn = draw(choose([*chosen.runs, bare, other], DIGITS), curves)
    text = " ".join(drawn.said)
    assert "Runs: Original 1, DFG 2." in text
    assert "One run alone has no band: Original." in text
    assert "different (combination, seed) pairs, 1 of them common to all" in text
    assert "1 of these runs were kept without their evaluations." in text
    assert "Left out: 1 finished run with" in text
    assert set(drawn.runs) == set(curves)


def test_values_that_are_no_numbers_are_left_out_and_counted(make_run: Any) -> None:
    runs = [make_run("dfg"), make_run("dfg", seed=1)]
    curves = {
        runs[0].id: curve(0.1, 0.5, L_D=math.nan),
        runs[1].id: curve(0.1, 0.7, L_D=-4.0),
    }
    drawn = draw(choose(runs, DIGITS), curves)
    assert lines(drawn.figure.axes[2]) == {"DFG": [(50, -4)]}
    assert "1 values are no finite numbers and are left out of the means." in drawn.said


def test_the_data_has_a_row_for_each_run_quantity_and_step(two: Any) -> None:
    data = table_of(*two)
    assert list(data) == ["method", "quantity", "step", "value", "combination", "seed", "run"]
    assert len(data) == 2 * (3 * 2 + 2 * 2) + (3 * 2 + 2)
    row = data[(data.run == two[0].runs[1].id) & (data.quantity == "L_G") & (data.step == 50)]
    assert row.value.tolist() == [-3.0]
    assert (row.combination.item(), row.seed.item()) == ("0 4", 1)


def test_without_evaluations_it_is_said_what_to_run(two: Any) -> None:
    with pytest.raises(NothingToShowError, match=r"dfgctl run digits --method .* --force$"):
        draw(two[0], {})


def test_the_untrained_start_alone_is_drawn(make_run: Any) -> None:
    run = make_run("dfg")
    drawn = draw(choose([run], DIGITS), {run.id: curve(0.1)})
    assert lines(drawn.figure.axes[0]) == {"DFG": [(0, pytest.approx(10))]}
    assert not any("Below" in sentence for sentence in drawn.said)


def own(run: Any, title: str) -> Any:
    """The run of a method of one's own."""
    code = {"title": title, "class": "a:B", "sha256": "a" * 64, "defaults": {"steps": 200}}
    settings = {**run.spec.settings, "code": code}
    spec = replace(run.spec, method=title, steps=200, settings=settings)
    return replace(run, spec=spec, id=spec.identity())


def test_no_panels_words_lie_on_each_other(two: Any, make_run: Any) -> None:
    assert crowded(draw(*two).figure) == []
    titles = [f"_the $long title$ of method {i}" for i in range(4)]
    runs = [own(make_run(), title) for title in titles]
    losses = {"L_G": 1.0, "a_very_long_name_of_a_loss": 0.1, "L_a$b^{": 2.0}
    figure = draw(choose(runs, DIGITS), {run.id: curve(0.1, 0.5, **losses) for run in runs}).figure
    assert crowded(figure) == []
    (legend,) = figure.subfigs[0].legends
    assert len(legend.get_texts()) == 4  # a leading underscore would hide them
