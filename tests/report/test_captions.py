"""A caption lies within the figure, below all that is drawn."""

import pytest

from dfgctl.report.captions import folded, with_caption

LONG = "The LARGEST MEAN WIDTH of 10 (combination, seed) pairs. " * 12


@pytest.mark.parametrize("width", [5.0, 9.0])
def test_a_caption_stays_within_the_figure_and_below_the_axes(width: float) -> None:
    figure, body = with_caption(width, 3.0, ["One sentence.", LONG])
    axes = body.subplots()
    axes.set_xlabel("x")
    figure.draw_without_rendering()
    (text,) = figure.subfigs[1].texts
    assert text.get_text().startswith("One sentence.\n")
    assert text.get_text().split() == ["One", "sentence.", *LONG.split()]
    box, page = text.get_window_extent(), figure.bbox
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= page.x1
    assert box.y1 <= axes.get_tightbbox().y0


def test_a_longer_caption_makes_a_higher_figure() -> None:
    (short, _), (long, _) = (with_caption(5, 3, [text]) for text in ("One.", LONG))
    assert long.get_figheight() > short.get_figheight() > 3


def test_text_is_folded_by_the_width_of_its_letters() -> None:
    wide, narrow = (folded(letter * 100, 3, 9) for letter in "Wi")
    assert "".join(wide) == "W" * 100
    assert len(wide) == 5 > len(narrow)
    assert folded("one two\nthree", 9, 9) == ["one two", "three"]
