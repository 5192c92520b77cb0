"""Accuracy by combination: triangles, points in order, and why a cell is empty."""

from dataclasses import replace
from itertools import combinations as subsets
from typing import Any

import numpy as np
import pytest
from crowding import crowded

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.records import DatasetCard
from dfgctl.report.choosing import Chosen, choose
from dfgctl.report.combination_figure import MOST_NAMED, draw
from dfgctl.report.combinations import combinations, words
from dfgctl.report.selection import Select

DIGITS = {"digits": recipes.load("digits")}


def chosen_of(runs: list[Any]) -> Chosen:
    return choose(runs, DIGITS, ["dfg"])


def each(make_run: Any, majority: int, count: int | None = None, **fields: Any) -> list[Any]:
    """A run for each of the first combinations, each better than the one before."""
    every = list(subsets(range(10), majority))[:count]
    return [
        make_run("dfg", 0.5 + i / 1000, combination=c, majority=majority, **fields)
        for i, c in enumerate(every)
    ]


def texts(axes: Any) -> dict[tuple[int, int], str]:
    """Return the cells' texts by row and column."""
    return {
        (round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts
    }


def test_seeds_are_averaged_within_a_combination(make_run: Any) -> None:
    runs = [make_run("dfg", a, seed=i) for i, a in enumerate((0.5, 0.7))]
    found = combinations(chosen_of([*runs, make_run("dfg", 0.9, combination=(1, 2))]))
    assert found.means == {(0, 4): pytest.approx(0.6), (1, 2): 0.9}
    assert found.seeds == {(0, 4): 2, (1, 2): 1}
    assert (found.total, found.majority) == (45, 2)


def test_two_majority_classes_make_a_triangle(make_run: Any) -> None:
    axes = draw(chosen_of(each(make_run, 2))).figure.axes[0]
    cells = np.asarray(axes.images[1].get_array().filled(np.nan))
    assert np.isnan(cells[np.tril_indices(10)]).all()
    assert cells[np.triu_indices(10, 1)] == pytest.approx(50 + np.arange(45) / 10)
    assert (axes.get_ylabel(), axes.get_xlabel()) == (
        "first majority class",
        "second majority class",
    )
    assert texts(axes)[0, 1] == "50.0"
    assert texts(axes)[8, 9] == "54.4"
    assert axes.get_legend() is None


def test_eight_majority_classes_make_a_triangle_of_the_minority_classes(make_run: Any) -> None:
    runs = each(make_run, 8)
    drawn = draw(chosen_of(runs))
    axes = drawn.figure.axes[0]
    assert axes.get_ylabel() == "first minority class"
    # The first combination is 0 to 7, so that 8 and 9 are minority classes.
    assert texts(axes)[8, 9] == "50.0"
    assert "lowest all but 8, 9 (50.00 %), highest all but 0, 1 (54.40 %)" in " ".join(drawn.said)


def test_empty_cells_are_grey_with_a_reason(make_run: Any) -> None:
    waiting = {(0, 1): "queued", (0, 2): "failed", (0, 3): "running", (4, 5): "queued"}
    runs = [
        make_run("dfg", 0.6),
        make_run("dfg", 0.8, combination=(1, 2)),
        *(make_run("dfg", None, combination=c, status=s) for c, s in waiting.items()),
        # Another seed of it is queued, too; and of one that has an accuracy.
        make_run("dfg", None, combination=(0, 2), seed=1),
        make_run("dfg", None, seed=1),
    ]
    drawn = draw(chosen_of(runs))
    axes = drawn.figure.axes[0]
    found = texts(axes)
    assert [found[c] for c in ((0, 1), (0, 2), (0, 3), (4, 5))] == ["q", "q", "r", "q"]
    assert (found[0, 4], found[1, 2], found[8, 9]) == ("60.0", "80.0", "·")
    assert len(found) == 45
    legend = [t.get_text() for t in axes.get_legend().get_texts()]
    assert legend == ["r  running (1)", "q  queued (3)", "·  never planned (39)"]
    assert drawn.said[0] == (
        "2 of 45 combinations of 2 majority classes have finished runs, with 1 seed. Waiting or "
        "ended otherwise: 1 running, 3 queued."
    )
    assert drawn.said[2] == "--repeats with the number of combinations covers all."


def test_other_numbers_make_points_in_order_with_names(make_run: Any) -> None:
    axes = draw(chosen_of(each(make_run, 3, 20))).figure.axes[0]
    (line,) = axes.lines
    assert line.get_xdata() == pytest.approx(50 + np.arange(20) / 10)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["0, 1, 2", "0, 1, 3"]
    assert axes.texts[0].get_text().strip() == "50.0"


def test_one_majority_class_makes_ten_points(make_run: Any) -> None:
    axes = draw(chosen_of(each(make_run, 1))).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("0123456789")


def test_too_many_for_names_are_shown_in_order_alone(make_run: Any) -> None:
    drawn = draw(chosen_of(each(make_run, 3, MOST_NAMED + 1)))
    axes = drawn.figure.axes[0]
    assert axes.lines[0].get_ydata() == pytest.approx(50 + np.arange(MOST_NAMED + 1) / 10)
    assert drawn.said[-1] == "--data has the classes' names."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ratio": "1:1", "majority": 0, "combination": ()}, "is balanced"),
        ({"ratio": "as-is", "majority": 0, "combination": ()}, "is taken as it is"),
    ],
)
def test_without_majority_classes_it_is_said_what_to_run(
    make_run: Any, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(NothingToShowError, match=f"{words}.*--imbalance 10:1") as error:
        draw(chosen_of([make_run("dfg", **fields)]))
    assert "dfgctl run digits" in str(error.value)


def test_one_combination_and_equal_ones_are_drawn(make_run: Any) -> None:
    one = draw(chosen_of([make_run("dfg", 0.6)]))
    assert texts(one.figure.axes[0])[0, 4] == "60.0"
    assert not any("lowest" in sentence for sentence in one.said)
    same = draw(chosen_of([make_run("dfg", 0.6), make_run("dfg", 0.6, combination=(1, 2))]))
    assert "All combinations have the same accuracy." in same.said
    image = same.figure.axes[0].images[1]
    assert image.get_clim() == pytest.approx((59.5, 60.5))


def test_the_accuracy_that_is_asked_for_is_shown(make_run: Any) -> None:
    run = make_run("dfg", 0.6, metrics={"accuracy_best": 0.75})
    drawn = draw(chosen_of([run]), Select.best)
    assert texts(drawn.figure.axes[0])[0, 4] == "75.0"
    assert drawn.figure.axes[1].get_ylabel() == "best test accuracy (%), looks at the test set"
    with pytest.raises(NothingToShowError, match=r"--validation 0\.1"):
        draw(chosen_of([run]), Select.val)


def test_the_data_has_a_row_for_each_run(make_run: Any) -> None:
    runs = each(make_run, 2, 3)
    drawn = draw(chosen_of(runs))
    assert list(drawn.data) == ["combination", "classes", "seed", "accuracy", "run"]
    assert tuple(drawn.data.iloc[1]) == ("0 2", "0 + 2", 0, 0.501, runs[1].id)
    assert list(drawn.runs) == [run.id for run in runs]


def test_long_combinations_are_cut(make_run: Any) -> None:
    found = combinations(chosen_of(each(make_run, 5, 1)))
    assert words((0, 1, 2, 3, 4), found) == "0, 1, 2, 3, 4"
    found = combinations(chosen_of(each(make_run, 7, 1)))
    assert words((0, 1, 2, 3, 4, 5, 6), found) == "all but 7, 8, 9"


def of_own(run: Any, count: int) -> Any:
    """The run on classes with long names."""
    names = tuple(f"Long Name of Class {i}" for i in range(count))
    card = DatasetCard("d" * 64, "digits", "Own", names)
    return replace(run, card=card, class_counts=(8,) * count)


@pytest.mark.parametrize(("classes", "majority"), [(3, 2), (10, 2), (10, 3), (257, 2)])
def test_no_words_lie_on_each_other(make_run: Any, classes: int, majority: int) -> None:
    runs = [of_own(run, classes) for run in each(make_run, majority, 1 if classes == 3 else 20)]
    drawn = draw(chosen_of(runs))
    assert crowded(drawn.figure) == []
    numbered = "Classes are numbered from 0; --data has their names." in drawn.said
    assert numbered == (majority == 3 or classes == 257)


def test_an_accuracy_that_is_no_number_is_left_out(make_run: Any) -> None:
    runs = [make_run("dfg", a, combination=(0, c)) for a, c in ((0.5, 1), (float("nan"), 2))]
    assert combinations(chosen_of(runs)).means == {(0, 1): 0.5}
