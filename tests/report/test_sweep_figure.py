"""What a figure of a sweep says: the paper's statements, the jumps, and which runs it shows."""

from dataclasses import replace
from typing import Any

import pytest
from crowding import crowded

from dfgctl import recipe as recipes
from dfgctl.report import published
from dfgctl.report.sensitivity import Sensitivity, sensitivity
from dfgctl.report.sweep_figure import draw

VALUES = {"rho": (0.0, 0.5, 0.75, 1.0), "delta": (0.0, 0.5, 0.8, 0.95, 1.0, 1.2, 1.5)}


def swept(make_run: Any, key: str = "rho", dataset: str = "digits", **fields: Any) -> Sensitivity:
    """Two runs at each value; accuracy rises by a point from value to value."""
    runs = [
        make_run(
            accuracy=0.5 + i / 100 + seed / 50,
            changed={f"dfg.{key}": value},
            seed=seed,
            dataset=dataset,
            **fields,
        )
        for i, value in enumerate(VALUES[key])
        for seed in (0, 1)
    ]
    return sensitivity(key, runs, recipes.load(dataset))


def labels(axes: Any) -> list[str]:
    return [line.get_label() for line in axes.lines]


def marks(axes: Any) -> list[tuple[float, float]]:
    (line,) = (line for line in axes.lines if line.get_label().startswith("the paper's text"))
    return list(zip(*line.get_data(), strict=True))


def test_the_papers_numbers_are_marked_on_its_own_data_set(make_run: Any) -> None:
    drawn = draw(swept(make_run, dataset="svhn"))
    (axes,) = drawn.figure.axes
    table = published.everything()["rho"]
    assert marks(axes) == [tuple(map(pytest.approx, point)) for point in table["points"]]
    assert "recipe's ρ = 0.75, the paper's best" in labels(axes)
    said = " ".join(drawn.said)
    assert "The paper (section 4.3): ρ = 0.75 is best, 79.98 % at 0, 80.81 % at 0.75." in said
    assert published.everything()["footnotes"]["svhn"] in drawn.said


def test_of_delta_the_paper_states_only_which_is_best(make_run: Any) -> None:
    drawn = draw(swept(make_run, "delta", "svhn"))
    (axes,) = drawn.figure.axes
    assert not [label for label in labels(axes) if label.startswith("the paper's text")]
    assert "The paper (section 4.3): δ = 0.95 is best." in " ".join(drawn.said)


@pytest.mark.parametrize(("dataset", "ratio"), [("digits", "10:1"), ("svhn", "40:1")])
def test_elsewhere_nothing_of_the_paper_is_said(make_run: Any, dataset: str, ratio: str) -> None:
    drawn = draw(swept(make_run, dataset=dataset, ratio=ratio))
    assert "aper" not in " ".join([*drawn.said, *labels(drawn.figure.axes[0])])


def test_jumps_and_pairs_are_said_in_numbers(make_run: Any) -> None:
    said = draw(swept(make_run)).said
    # A point from value to value; the two runs at each are 2 points apart: 2 / sqrt(2).
    assert said[4:] == [
        "Largest jump between neighbours: 1.00 points from ρ = 0 to 0.5, 0.7 times the standard "
        "deviation of the runs at one value (1.41 points, pooled).",
        "Over the same (combination, seed) pairs: 1.00 points from ρ = 0 to 0.5; the 2 "
        "differences have a standard deviation of 0.00 points.",
        "All values have the same 2 (combination, seed) pairs.",
        "Highest mean here: ρ = 1, 54.00 %.",
    ]


def test_values_with_different_pairs_are_said_to_have_them(make_run: Any) -> None:
    runs = [
        make_run(accuracy=0.5, changed={"dfg.rho": rho}, seed=seed)
        for rho, seeds in ((0.0, (0, 1)), (1.0, (1, 2)))
        for seed in seeds
    ]
    said = draw(sensitivity("rho", runs, recipes.load("digits"))).said
    assert any("different (combination, seed) pairs, 1 of them common to all" in s for s in said)
    assert not any("Over the same" in s for s in said)
    assert said[-1] == "All means are equal."
    assert "All runs at one value are equal." in said[2]


def test_one_run_a_value_is_said_to_tell_no_spread(make_run: Any) -> None:
    runs = [make_run(accuracy=rho, changed={"dfg.rho": rho}) for rho in (0.25, 0.5)]
    said = draw(sensitivity("rho", runs, recipes.load("digits"))).said
    assert "How much runs at one value differ is not known: train more with --repeats." in said[2]


def test_the_data_has_a_row_for_each_run(make_run: Any) -> None:
    points = swept(make_run)
    drawn = draw(points)
    assert list(drawn.data) == ["rho", "accuracy", "combination", "seed", "run"]
    assert list(drawn.data.run) == list(drawn.runs)
    assert len(drawn.data) == 8
    assert tuple(drawn.data.iloc[1]) == (0.0, 0.52, "0 4", 1, points.runs[0.0][1])


def test_each_run_can_be_counted_though_it_lies_on_the_mean_or_on_another(make_run: Any) -> None:
    runs = [
        make_run(accuracy=0.5, changed={"dfg.delta": value}, seed=seed)
        for value in VALUES["delta"]
        for seed in range(5)
    ]
    (axes,) = draw(sensitivity("delta", runs, recipes.load("digits"))).figure.axes
    found = {line.get_label(): line for line in axes.lines}
    one, mean = found["one run"], found["mean"]
    assert one.get_zorder() > mean.get_zorder()
    assert one.get_color() != mean.get_markerfacecolor()
    places = sorted(one.get_xdata())
    assert len(set(places)) == len(runs)
    for value, own in zip(VALUES["delta"], zip(*[iter(places)] * 5, strict=True), strict=True):
        assert min(VALUES["delta"], key=lambda v: abs(v - own[0])) == value
        assert sum(own) / 5 == pytest.approx(value)


def test_what_was_left_out_is_said_wherever_the_figure_is_shown(make_run: Any) -> None:
    points = swept(make_run)
    end = "with another source, imbalance or settings."
    assert draw(replace(points, left_out=1)).said[-1] == f"Left out: 1 group of runs {end}"
    assert draw(replace(points, left_out=2)).said[-1] == f"Left out: 2 groups of runs {end}"


def test_values_without_room_are_marked_without_a_name(make_run: Any) -> None:
    values = (0.0, 0.5, 0.9, 0.94, 0.95, 0.951, 0.96, 1.0, 1.5)
    runs = [make_run(accuracy=0.5, changed={"dfg.delta": v}, dataset="svhn") for v in values]
    figure = draw(sensitivity("delta", runs, recipes.load("svhn"))).figure
    assert crowded(figure) == []
    (axes,) = figure.axes
    assert axes.get_xticks().tolist() == list(values)
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["0", "0.5", "0.9", "", "0.95", "", "", "1", "1.5"]


MANY = {"ratio": "40:1", "steps": 2000, "eval_every": 123, "validation": 0.1, "majority": 8}


@pytest.mark.parametrize(("key", "fields"), [("rho", MANY), ("delta", {})])
def test_no_words_lie_on_each_other(make_run: Any, key: str, fields: Any) -> None:
    assert crowded(draw(swept(make_run, key, "svhn", **fields)).figure) == []
