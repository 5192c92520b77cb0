"""The page of ``dfgctl report`` in a real browser: Chromium without a window or a network."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium
from report_runs import registry_of, several, swept
from typer.testing import CliRunner

from dfgctl.cli import app, report_parts
from dfgctl.cli.plot.parts import FIGURES, Look
from dfgctl.records import DatasetCard
from dfgctl.report.figures import Drawn
from dfgctl.report.page.parts import Part
from dfgctl.report.page.rendering import Page, Section, write
from dfgctl.report.rendering import html_of
from dfgctl.report.table import Cell, Column, Table

pytestmark = pytest.mark.browser

EVIL = "<script>window.evil = 1</script>"
WIDTH = 375
LEGIBLE = 4.5
"""Contrast of text by WCAG 2.2, level AA (criterion 1.4.3)."""

CONTRASTS = """
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const read = (text) => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = read(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
document.querySelectorAll("details").forEach((e) => { e.open = true; });
return [...document.body.querySelectorAll("*")]
  .filter((e) => !e.closest("svg, script"))
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => {
    const pair = [luminance(read(getComputedStyle(e).color)), luminance(ground(e))];
    const [low, high] = pair.sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), `${e.tagName}.${e.className}`];
  });
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser for all tests of this file."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def crowded(look: Look) -> Drawn:
    """Draw a figure that is too large for an SVG."""
    drawn = FIGURES["delta"].draw(look)
    x, y = np.random.default_rng(0).random((2, 4_000))
    drawn.figure.axes[0].scatter(x, y, s=np.linspace(1, 2, 4_000))
    return drawn


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a registry whose data set has a script as its name; one run's tree is dirty.

    It has one picture of each kind: an SVG and a PNG.
    """
    folder = tmp_path_factory.mktemp("page")
    card = DatasetCard("d", "digits", EVIL, tuple(EVIL + str(i) for i in range(10)))
    runs = [*several(), *swept()]
    where = registry_of(folder / "registry.sqlite", runs, finished=len(runs) - 1, card=card)
    page = folder / "page.html"
    few = {"rho": FIGURES["rho"], "delta": replace(FIGURES["delta"], draw=crowded)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_parts, "FIGURES", few)
        made = CliRunner().invoke(app, ["report", "--registry", str(where), "-o", str(page)])
    assert made.exit_code == 0, made.output
    return page


@pytest.fixture
def page(driver: Any, file: Path) -> Iterator[Any]:
    """The browser with the page just opened, light, and as wide as a desk's."""
    look(driver, 1200, "light")
    driver.get(file.as_uri())
    yield driver
    driver.execute_script("localStorage.clear()")


def look(driver: Any, width: int, scheme: str, media: str = "screen") -> None:
    """Set the window's width in CSS pixels, the preferred colours and the medium."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [feature]})


def column(page: Any, title: str) -> tuple[Any, list[str]]:
    """Return the button of a column of the table of results, and the first line of its cells."""
    heads = page.find_elements("css selector", "#table-results thead th")
    titles = [head.text.strip() for head in heads]
    cells = page.find_elements(
        "css selector", f"#table-results tbody tr > :nth-child({titles.index(title) + 1})"
    )
    button = heads[titles.index(title)].find_element("tag name", "button")
    return button, [cell.text.splitlines()[0] for cell in cells]


def state(button: Any) -> Any:
    """Return what a screen reader is told of a column's order."""
    return button.find_element("xpath", "..").get_dom_attribute("aria-sort")


def test_nothing_goes_wrong_and_nothing_is_asked_for(page: Any) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_names_stay_text(page: Any) -> None:
    assert page.execute_script("return window.evil === undefined")
    assert page.title == f"dfgctl: {EVIL}"
    assert page.find_element("tag name", "h1").text == page.title
    assert column(page, "Data set")[1][-1].startswith(f"{EVIL} (")
    assert page.execute_script("return document.scripts.length") == 1


def test_the_policy_runs_no_other_script(page: Any) -> None:
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.evil = 2';"
        "document.body.append(s);"
    )
    assert page.execute_script("return window.evil === undefined")
    assert any("Content Security Policy" in line["message"] for line in page.get_log("browser"))


def test_a_table_sorts_numbers_as_numbers(page: Any) -> None:
    button, before = column(page, "Original")
    means = [float(text.partition(" ")[0]) for text in before if text[0].isdigit()]
    blank = [text for text in before if not text[0].isdigit()]
    assert 9.0 in means
    assert blank
    button.click()
    _, falling = column(page, "Original")
    assert [float(t.partition(" ")[0]) for t in falling[: len(means)]] == sorted(means)[::-1]
    assert falling[len(means) :] == blank
    assert state(button) == "descending"
    button.send_keys("\ue007")  # Enter
    _, rising = column(page, "Original")
    assert [float(t.partition(" ")[0]) for t in rising[: len(means)]] == sorted(means)
    assert rising[len(means) :] == blank
    assert state(button) == "ascending"
    button.send_keys(" ")
    assert column(page, "Original")[1] == before
    assert state(button) is None


def test_10_runs_are_more_than_9(page: Any) -> None:
    head = page.find_elements("css selector", "#table-readings thead th")[-1]
    cells = "#table-readings tbody tr > :last-child"

    def counts() -> list[float]:
        found = page.find_elements("css selector", cells)
        return [float(cell.get_dom_attribute("data-order")) for cell in found]

    before = counts()
    assert sorted(before) != sorted(before, key=str)
    head.find_element("tag name", "button").click()
    assert counts() == sorted(before)[::-1]


def test_intervals_are_sorted_by_their_lower_ends(page: Any, tmp_path: Path) -> None:
    texts = ["[-2.70, +1.81]", "–", "[+0.35, +3.07]", "[-4.08, +7.26]"]
    rows = [[Cell([text])] for text in texts]
    table = Table("pairs", "Pairs", [Column("Interval")], rows, "A caption.", [], [])
    section = Section("s", "S", [Part("p", "P", [("", html_of(table))])])
    file = tmp_path / "page.html"
    file.write_text(write(Page("Title", [], [], [], [], [section], "dfgctl report", "Now.")))
    page.get(file.as_uri())
    page.find_element("css selector", "thead button").click()
    found = [cell.text for cell in page.find_elements("css selector", "tbody td")]
    assert found == [texts[i] for i in (2, 0, 3, 1)]


def test_only_one_column_is_said_to_be_sorted(page: Any) -> None:
    first, second = (column(page, title)[0] for title in ("Original", "Data set"))
    first.click()
    second.click()
    assert (state(first), state(second)) == (None, "ascending")
    labels = column(page, "Data set")[1]
    ratios = [int(label.split("(")[-1].partition(":")[0]) for label in labels]
    assert ratios == sorted(ratios)  # 10:1 after 5:1, though it is text


def test_it_fits_a_phone(page: Any, file: Path) -> None:
    look(page, WIDTH, "light")
    page.get(file.as_uri())
    page.execute_script("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide == WIDTH
    box = "document.querySelector('#table-results .scroll')"
    assert page.execute_script(f"return {box}.scrollWidth > {box}.clientWidth")
    assert page.execute_script(f"return {box}.tabIndex") == 0


def test_a_rows_name_stays_in_sight_on_a_phone(page: Any) -> None:
    look(page, WIDTH, "light")
    box, name, cell = page.execute_script("""
      const box = document.querySelector("#table-results .scroll");
      box.scrollLeft = 150;
      const found = [box, box.querySelector("tbody th"), box.querySelector("tbody td")];
      return found.map((e) => e.getBoundingClientRect());
    """)
    assert name["left"] == box["left"]
    assert name["width"] < box["width"] / 2  # a long one leaves room for numbers
    assert cell["left"] < name["right"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: Any, scheme: str) -> None:
    look(page, 1200, scheme)
    for toggled in (False, True):
        if toggled:
            page.find_element("id", "theme").click()
        dark = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (dark != "rgb(255, 255, 255)") == ((scheme == "dark") != toggled)
        found = page.execute_script(CONTRASTS)
        assert len(found) > 100
        assert min(found)[0] >= LEGIBLE, min(found)


def test_pictures_are_shown_on_white_in_any_colours(page: Any) -> None:
    for scheme in ("light", "dark"):
        look(page, 1200, scheme)
        found = page.execute_script("""
          return [...document.querySelectorAll(".picture svg, .picture img")].map((e) => [
            e.getAttribute("aria-label") || e.alt,
            e.tagName === "svg" || e.naturalWidth > 0,
            getComputedStyle(e.parentElement).backgroundColor,
          ]);
        """)
        titles = [f"{FIGURES[name].title}, digits" for name in ("rho", "delta")]
        assert found == [[title, True, "rgb(255, 255, 255)"] for title in titles]


def test_the_colours_that_were_chosen_are_kept(page: Any, file: Path) -> None:
    toggle = page.find_element("id", "theme")
    assert (toggle.text, toggle.get_dom_attribute("aria-pressed")) == ("Dark", "false")
    toggle.click()
    page.get(file.as_uri())
    toggle = page.find_element("id", "theme")
    assert (toggle.text, toggle.get_dom_attribute("aria-pressed")) == ("Light", "true")


def test_paper_stays_light_and_shows_what_is_folded(page: Any) -> None:
    look(page, 700, "dark", "print")
    colour = "return getComputedStyle(document.body).backgroundColor"
    assert page.execute_script(colour) == "rgb(255, 255, 255)"
    still = "return document.querySelectorAll('details:not([open])').length"
    assert page.execute_script(still) > 0
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script(still) == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script(still) > 0


def test_it_can_be_read_aloud_and_gone_through(page: Any) -> None:
    lacking = page.execute_script("""
      const all = (selector) => [...document.querySelectorAll(selector)];
      const ids = all("[id]").map((e) => e.id);
      return {
        captions: all("table").filter((e) => !e.caption || !e.caption.textContent).length,
        scopes: all("th:not([scope])").length,
        pictures: all("svg:not([aria-label]), img:not([alt])").length,
        twice: ids.filter((id, i) => ids.indexOf(id) !== i),
        lost: all("a[href^='#']").filter((e) => !document.getElementById(e.hash.slice(1))).length,
        unnamed: all("button").filter((e) => !e.textContent.trim()).length,
        languages: document.documentElement.lang,
      };
    """)
    assert lacking == {
        **dict.fromkeys(("captions", "scopes", "pictures", "lost", "unnamed"), 0),
        "twice": [],
        "languages": "en",
    }
