"""Pictures in a page: ids of their own, no scripts, and PNGs where an SVG would be large."""

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dfgctl.report.captions import with_caption
from dfgctl.report.figures import Drawn
from dfgctl.report.page import pictures
from dfgctl.report.page.pictures import picture


def drawn(name: str = "a", title: str = "Title", points: int = 3) -> Drawn:
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    values = np.random.default_rng(0).random((2, points))
    axes.scatter(*values, s=np.linspace(1, 9, points))
    axes.set_title(title)
    frame = pd.DataFrame(values.T, columns=["x", "y"])
    return Drawn(name, figure, frame, ["f" * 64, "e" * 64], ["mean <b>1</b>"])


def captioned() -> Drawn:
    """Draw a figure with a long caption."""
    figure, body = with_caption(5, 3, ["A sentence that the page says beside it. " * 20])
    body.subplots().plot([1, 2])
    return Drawn("a", figure, pd.DataFrame(), [], ["Said."])


def svg(html: str) -> str:
    found = re.search(r"<svg.*?</svg>", html, re.DOTALL)
    assert found is not None
    return found.group()


def test_ids_are_unique_to_the_figure_and_all_references_are_met() -> None:
    both = [svg(picture(drawn(name), "A label")) for name in ("rho-digits", "delta-digits")]
    ids = [re.findall(r'\bid="([^"]+)"', text) for text in both]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for text, own in zip(both, ids, strict=True):
        assert len(own) == len(set(own))
        used = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)
        assert set(used) == set(own)


def test_a_picture_holds_no_style_of_the_whole_page_and_no_comment() -> None:
    text = svg(picture(drawn(), "A label"))
    assert "<style" not in text
    assert "<metadata" not in text
    assert "<!--" not in text
    root = ElementTree.fromstring(text)
    assert root.attrib["viewBox"].split()[2:] == ["360", "216"]
    assert root.attrib["aria-label"] == "A label"
    assert "stroke-linejoin: round" in root.attrib["style"]


def test_a_figures_own_caption_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    text = svg(picture(captioned(), "A label"))
    root = ElementTree.fromstring(text)
    assert root.attrib["viewBox"].split()[2:] == ["360", "216"]
    monkeypatch.setattr(pictures, "_without_words", lambda _: None)
    assert len(text) < 0.5 * len(svg(picture(captioned(), "A label")))


def test_names_stay_text() -> None:
    evil = '<script>alert("x")</script>'
    html = picture(drawn(f"rho-{evil}", evil), evil)
    assert "<script" not in html
    assert "mean &lt;b&gt;1&lt;/b&gt;" in html
    svg_root = ElementTree.fromstring(svg(html))
    assert svg_root.attrib["aria-label"] == evil


def test_the_same_figure_is_the_same_text() -> None:
    assert picture(drawn(), "A label") == picture(drawn(), "A label")


def test_a_large_one_is_a_png(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 80_000)
    html = picture(drawn(points=1_500), "1,500 <points>")
    assert "<svg" not in html
    found = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', html)
    assert found is not None
    assert base64.b64decode(found[1]).startswith(b"\x89PNG")
    assert found[2] == "1,500 &lt;points&gt;"
    monkeypatch.setattr(pictures, "LARGEST", 10_000_000)
    assert len(html) < len(picture(drawn(points=1_500), "1,500 <points>"))


def test_a_png_that_is_larger_still_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 1)
    assert "<img" not in picture(drawn(), "A label")


def test_the_runs_behind_it_are_named() -> None:
    html = picture(drawn(), "A label")
    assert "The 2 runs behind it" in html
    assert f"<code>{'f' * 10} {'e' * 10}</code>" in html
