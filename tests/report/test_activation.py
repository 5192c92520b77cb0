"""Activation maps: their concentration by hand, and what is drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crowding import crowded

from dfgctl.errors import NothingToShowError
from dfgctl.report.activation import Activation, Seen, draw

POINT = np.zeros((10, 10), dtype=np.float32)
POINT[3, 4] = 2
FLAT = np.ones((10, 10), dtype=np.float32)
SLOPE = np.arange(100, dtype=np.float32).reshape(10, 10)
DEAD = np.zeros((10, 10), dtype=np.float32)


def of(run: Any, *maps: Any) -> Activation:
    count = len(maps)
    return Activation(
        run, np.stack(maps), np.full(count, 7), np.full(count, 0.625, dtype=np.float32)
    )


@pytest.fixture
def seen() -> Seen:
    """Three pictures, two of them shown."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 10, 10), dtype=np.uint8)
    labels = np.array([7, 2, 3])
    return Seen(pixels, np.array([40, 8, 5]), labels, 2, "by hand", "Grad-CAM", "true")


@pytest.fixture
def found(make_run: Any) -> dict[str, Activation]:
    return {
        "original": of(make_run("original"), FLAT, DEAD, POINT),
        "dfg": of(make_run("dfg"), SLOPE, POINT, POINT),
    }


def test_concentration_is_the_mass_of_the_highest_tenth(make_run: Any) -> None:
    share = of(make_run(), POINT, FLAT, SLOPE, DEAD).concentration()
    np.testing.assert_allclose(share, [1, 0.1, sum(range(90, 100)) / sum(range(100)), np.nan])


def test_entropy_is_a_share_of_a_flat_maps(make_run: Any) -> None:
    half = np.where(SLOPE < 50, 0, 3).astype(np.float32)
    found = of(make_run(), POINT, FLAT, half, DEAD).entropy()
    np.testing.assert_allclose(found, [0, 1, np.log(50) / np.log(100), np.nan], atol=1e-12)
    assert np.isnan(of(make_run(), DEAD).entropy()).all()


def test_a_row_is_a_picture_and_a_column_a_method(seen: Seen, found: Any) -> None:
    drawn = draw(seen, found)
    grid = [axes for axes in drawn.figure.axes if axes.images]
    assert len(grid) == 2 * 3
    assert [axes.get_title() for axes in grid[:3]] == ["picture", "Original", "DFG"]
    assert grid[0].get_xlabel() == "7\ntest picture 40"
    assert [axes.get_xlabel() for axes in grid[1:3]] == ["7\n62 %"] * 2
    assert grid[4].get_xlabel() == "7\n62 %, wrong"  # the second picture is a 2
    picture = np.asarray(grid[0].images[0].get_array())
    np.testing.assert_allclose(picture[..., 1], seen.pixels[0, 0] / 255)
    assert "Grad-CAM of the true class" in drawn.figure.subfigs[0].get_suptitle()
    assert "source glyphs" in drawn.figure.subfigs[0].get_suptitle()  # of dfg, as original has none
    assert drawn.runs == [a.run.id for a in found.values()]


def test_maps_are_scaled_by_their_own_maximum(seen: Seen, found: Any) -> None:
    louder = {name: replace(a, maps=1000 * a.maps) for name, a in found.items()}
    first, second = (
        [np.asarray(a.images[0].get_array()) for a in draw(seen, f).figure.axes if a.images]
        for f in (found, louder)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_all_measured_pictures_are_in_the_data(seen: Seen, found: Any) -> None:
    data = draw(seen, found).data
    assert data.picture.tolist() == [40, 8, 5] * 2
    assert data.shown.tolist() == [True, True, False] * 2
    assert data.method.tolist() == ["original"] * 3 + ["dfg"] * 3
    np.testing.assert_allclose(data.top_tenth[:3], [0.1, np.nan, 1], atol=1e-6)
    assert data["class"].tolist()[:3] == ["7", "2", "3"]


def test_concentration_is_said_of_maps_that_have_any(seen: Seen, found: Any) -> None:
    said = draw(seen, found).said
    assert said[0] == "Pictures: 2 shown, 3 measured, by hand."
    assert said[2] == (
        "Original: 55.0 ± 63.6 %, entropy 0.500; left out, as without any activation: 1 of 3."
    )
    assert said[3].startswith("DFG: ")
    assert "left out" not in said[3]
    one = {"dfg": replace(found["dfg"], maps=np.stack([DEAD] * 2 + [POINT]))}
    assert draw(seen, one).said[2].startswith("DFG: 100.0 %, entropy 0.000; left out")
    none = {**found, "dfg": replace(found["dfg"], maps=np.stack([DEAD] * 3))}
    assert "DFG: no map has any activation." in draw(seen, none).said


def test_nothing_at_all_is_no_figure(seen: Seen, found: Any) -> None:
    dead = {name: replace(a, maps=0 * a.maps) for name, a in found.items()}
    with pytest.raises(NothingToShowError, match="No map has any activation"):
        draw(seen, dead)
    broken = {name: replace(a, maps=np.nan * a.maps) for name, a in found.items()}
    with pytest.raises(NothingToShowError, match="are not finite"):
        draw(seen, broken)


@pytest.mark.parametrize("methods", [("dfg",), ("original", "difa", "dfg")])
def test_no_words_lie_on_each_other(seen: Seen, make_run: Any, methods: Any) -> None:
    kind = "Class activation maps (dfg), Grad-CAM at the last convolution (what enters C.avgpool)"
    many = {"combination": tuple(range(8)), "majority": 8}
    found = {name: of(make_run(name, **many), SLOPE, POINT, FLAT) for name in methods}
    assert crowded(draw(replace(seen, kind=kind), found).figure) == []


def test_where_runs_depart_from_the_recipe_is_said(seen: Seen, make_run: Any) -> None:
    found = {"dfg": of(make_run(changed={"dfg.rho": 0.25}), SLOPE, POINT, FLAT)}
    assert draw(seen, found).said[0] == "Other than the recipe: DFG: dfg.rho=0.25."
