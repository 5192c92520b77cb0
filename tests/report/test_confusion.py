"""Mean confusion matrices, worked out by hand, and how classes are named and marked."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from crowding import crowded

from dfgctl import recipe as recipes
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import DatasetCard
from dfgctl.report.choosing import Chosen, choose
from dfgctl.report.confusion import MARK, NAMED, confusion, draw, with_combination
from dfgctl.report.names import fit

DIGITS = {"digits": recipes.load("digits")}


def made(make_run: Any, matrix: Any, names: tuple[str, ...], **fields: Any) -> Any:
    """A finished run with a confusion matrix and classes of one's own."""
    counts = tuple(map(tuple, matrix))
    run = make_run("dfg", metrics={"confusion": counts}, **fields)
    card = DatasetCard("d" * 64, "digits", "Three", names)
    return replace(run, card=card, class_counts=(1,) * len(names))


ABC = ("ant", "bee", "cat")
FIRST = [[8, 2, 0], [0, 4, 0], [5, 0, 5]]
SECOND = [[6, 0, 4], [1, 1, 2], [0, 0, 10]]


@pytest.fixture
def two(make_run: Any) -> list[Any]:
    return [
        made(make_run, FIRST, ABC, combination=(0,), majority=1),
        made(make_run, SECOND, ABC, combination=(2,), majority=1),
    ]


def chosen_of(runs: list[Any]) -> Chosen:
    return choose(runs, DIGITS)


def test_each_run_counts_the_same_and_rows_are_shares(two: list[Any]) -> None:
    found = confusion(two)
    expected = [[0.7, 0.1, 0.2], [0.125, 0.625, 0.25], [0.25, 0.0, 0.75]]
    assert found.shares == pytest.approx(np.array(expected))
    assert found.shares.sum(axis=1) == pytest.approx(np.ones(3))
    assert found.majority.tolist() == [1, 0, 1]
    assert found.largest(2) == [(1, 2, pytest.approx(0.25)), (2, 0, pytest.approx(0.25))]
    assert len(found.largest(99)) == 5


def test_classes_are_named_and_majorities_marked(two: list[Any]) -> None:
    drawn = draw(chosen_of(two), two)
    axes = drawn.figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"{MARK} ant (1 of 2)", "bee", f"{MARK} cat (1 of 2)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(ABC)
    assert [t.get_text() for t in axes.texts] == ["70", "10", "20", "12", "62", "25", "25", "75"]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(100 * confusion(two).shares)
    said = " ".join(drawn.said)
    assert "the mean over 2 runs with 2 combinations" in said
    assert "mixes a class's recall as majority and as minority" in said
    assert "Largest confusions: bee as cat (25.0 %), cat as ant (25.0 %), ant as cat" in said


def test_one_combination_marks_its_majority_classes(two: list[Any]) -> None:
    drawn = draw(chosen_of(two), two, (2,))
    names = drawn.figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in names] == ["ant", "bee", f"{MARK} cat"]
    assert [label.get_fontweight() for label in names] == ["normal", "normal", "bold"]
    assert drawn.runs == [two[1].id]
    assert drawn.name == "confusion-digits-dfg-2"
    assert f"{MARK} majority classes: cat." in drawn.said


def test_a_combination_without_runs_is_refused_with_those_that_have(two: list[Any]) -> None:
    assert with_combination(two, (0,)) == two[:1]
    with pytest.raises(InputError, match=r"classes 1: there is 0; 2\.$"):
        with_combination(two, (1,))


def test_runs_without_majority_classes_mark_none(make_run: Any) -> None:
    run = made(make_run, FIRST, ABC, ratio="1:1", majority=0, combination=())
    drawn = draw(chosen_of([run]), [run])
    assert drawn.figure.axes[0].get_ylabel() == "true class"
    assert not any(MARK in sentence for sentence in drawn.said)
    with pytest.raises(InputError, match="leave --combinations out"):
        draw(chosen_of([run]), [run], (0,))


def test_a_class_without_test_images_is_grey_and_said(make_run: Any) -> None:
    run = made(make_run, [[1, 0, 0], [0, 0, 0], [0, 0, 1]], ABC, combination=(0,), majority=1)
    drawn = draw(chosen_of([run]), [run])
    assert "Grey: no test images of bee." in drawn.said
    assert "No image is taken for another class." in drawn.said
    image = drawn.figure.axes[0].images[0]
    assert np.isnan(np.asarray(image.get_array()[1], dtype=float)).all()
    assert image.cmap(np.ma.masked_invalid([np.nan]))[0][:3] == pytest.approx(
        (0.733,) * 3, abs=0.01
    )


def test_without_matrices_it_is_said_what_to_run(make_run: Any) -> None:
    run = make_run("dfg", metrics={"confusion": ()})
    with pytest.raises(NothingToShowError, match="dfgctl run digits --method dfg --force"):
        draw(chosen_of([run]), [run])


@pytest.mark.parametrize("classes", [1, 2, 12, 257])
def test_no_words_lie_on_each_other(make_run: Any, classes: int) -> None:
    names = tuple(f"A NAME THAT IS TOO LONG {i}" for i in range(classes))
    run = made(make_run, np.eye(classes, dtype=int) + 1, names, combination=(0,), majority=1)
    assert crowded(draw(chosen_of([run]), [run]).figure) == []


@pytest.mark.parametrize("classes", [NAMED, NAMED + 1])
def test_names_of_many_classes_never_touch(make_run: Any, classes: int) -> None:
    names = tuple(f"$odd_{i}^ name" for i in range(classes))
    run = made(make_run, 3 * np.eye(classes, dtype=int) + 1, names, combination=(0, 4))
    drawn = draw(chosen_of([run]), [run])
    figure = drawn.figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [label.get_window_extent() for label in shown]
        assert len(boxes) > 3
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
        assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)
    named = [t.get_text() for t in axes.get_yticklabels()]
    assert (fit(names[1]) in named) == (classes <= NAMED)
    assert any("--data has their names" in s for s in drawn.said) == (classes > NAMED)
    assert not axes.texts


def test_the_data_has_the_images_of_each_run(two: list[Any]) -> None:
    data = draw(chosen_of(two), two).data
    assert list(data) == ["true", "predicted", "images", "combination", "seed", "run"]
    own = data[data.run == two[0].id]
    assert own[["true", "predicted", "images"]].values.tolist() == [
        ["ant", "ant", 8],
        ["ant", "bee", 2],
        ["bee", "bee", 4],
        ["cat", "ant", 5],
        ["cat", "cat", 5],
    ]
