"""The page: what is said of the registry, provenance, readings, and text that stays text."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dfgctl.errors import NothingToShowError
from dfgctl.ledger import LEDGER
from dfgctl.records import DatasetCard
from dfgctl.report.page import provenance, readings
from dfgctl.report.page.holdings import holdings
from dfgctl.report.page.parts import Part
from dfgctl.report.page.rendering import Page, Section, write
from dfgctl.report.rendering import html_of

EVIL = "</title><script>alert('x')</script>&\""


def page(**changes: Any) -> Page:
    parts = [
        Part("part-a", "A", [("dfgctl table a", "<figure>1</figure>")], ["Run this."]),
        Part("part-b", "B", (), ["Run that."], ["dfgctl plot b: ValueError: no"]),
    ]
    values: dict[str, Any] = {
        "title": "dfgctl: Digits",
        "holdings": [("Runs", "2: 2 finished")],
        "finding": ["DFG is the best."],
        "singles": ["Row 1.", "Row 2."],
        "warnings": [],
        "sections": [Section("tables", "Tables", parts)],
        "command": "dfgctl report",
        "made": "Made now.",
    }
    return Page(**{**values, **changes})


class Tags(HTMLParser):
    """Collects the tags, and the ids, of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]


def test_a_page_names_what_it_shows_what_it_lacks_and_what_failed() -> None:
    text = write(page())
    assert "<figure>1</figure>" in text
    assert "dfgctl table a" in text
    assert '<p class="absent">Run that.</p>' in text
    assert "<strong>Failed:</strong> dfgctl plot b: ValueError: no" in text
    assert text.index("DFG is the best.") < text.index("<main")
    assert page().failures == ["dfgctl plot b: ValueError: no"]
    ids = Tags(text).ids
    assert len(ids) == len(set(ids))


def test_texts_stay_text_wherever_they_stand() -> None:
    text = write(
        page(
            title=EVIL,
            holdings=[(EVIL, EVIL)],
            finding=[EVIL],
            singles=[EVIL],
            warnings=[EVIL],
            sections=[Section("s", EVIL, [Part("p", EVIL, [(EVIL, "")], [EVIL], [EVIL])])],
            command=EVIL,
            made=EVIL,
        )
    )
    assert Tags(text).tags.count("script") == 1
    assert text.count(html.escape(EVIL).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) == 15


def test_only_the_pages_own_script_may_run_and_nothing_is_asked_for() -> None:
    text = write(page())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert policy is not None
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    allowed = html.unescape(policy[1])
    assert "default-src 'none'" in allowed
    assert f"script-src 'sha256-{digest}'" in allowed
    assert not re.search(r'(src|href)="(?!#|data:)', text)


def test_holdings_count_runs_by_status(make_run: Any, attempt: Any) -> None:
    card = DatasetCard("d" * 64, "digits", "My <digits>", ("a",) * 10)
    plain = [
        make_run("dfg", seed=1),
        make_run("delta", seed=2, ratio="1:1", combination=()),
        make_run("dfg", None, seed=3),
    ]
    runs = [replace(run, card=card) for run in plain]
    made = {runs[0].id: attempt(0), runs[1].id: attempt(2)}
    assert holdings(runs, made) == [
        ("Runs", "3: 1 queued, 2 finished"),
        ("Data sets", "My <digits> (10:1, 1:1)"),
        ("Methods", "DELTA, DFG"),
        ("Trained", "2025-01-01 12:00 to 2025-01-03 12:01 UTC"),
    ]
    assert [about for about, _ in holdings(runs[2:], {})] == ["Runs", "Data sets", "Methods"]


def test_provenance_has_a_row_for_what_was_made_alike(make_run: Any, attempt: Any) -> None:
    runs = [make_run(seed=i) for i in range(4)]
    made = {
        runs[0].id: attempt(0),
        runs[1].id: attempt(3),
        runs[2].id: attempt(1, dirty=True),
        runs[3].id: attempt(1, device="H100", commit=None, dirty=None),
    }
    table = provenance.make([*runs, make_run(accuracy=None, seed=9)], made)
    assert [[c.text() for c in row][:3] for row in table.rows] == [
        ["a" * 10, "clean", "0.1.0"],
        ["a" * 10, "changed", "0.1.0"],
        ["none", "unknown", "0.1.0"],
    ]
    assert [row[7].order for row in table.rows] == [2, 1, 1]
    first = [cell.text() for cell in table.rows[0]]
    assert (first[8], first[9]) == ("2025-01-01 12:00", "2025-01-04 12:01")
    assert first[4] == "torch 2.14.1"
    assert list(table.notes) == [f"From a tree with changes that no commit has: {runs[2].id[:10]}."]


def test_many_runs_of_changed_trees_are_counted(make_run: Any, attempt: Any) -> None:
    runs = [make_run(seed=i) for i in range(1007)]
    table = provenance.make(runs, {run.id: attempt(0, dirty=True) for run in runs})
    (note,) = table.notes
    named = sorted(run.id[:10] for run in runs)[:5]
    assert (
        note == f"From a tree with changes that no commit has: {', '.join(named)} and 1,002 more."
    )


def test_provenance_of_nothing_says_what_to_run(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match="dfgctl worker"):
        provenance.make([make_run(accuracy=None)], {})


def test_readings_count_the_runs_that_took_them(make_run: Any) -> None:
    runs = [
        make_run("dfg", seed=0),
        make_run("dfg", seed=1, protocol="released"),
        make_run("original", seed=0, source=None),
        make_run("dfg", None, seed=2),
    ]
    rows = {row[0].text(): row for row in readings.make(runs).rows}
    assert list(rows) == [entry.id for entry in LEDGER]
    assert rows["F01"][4].lines == ["1 paper", "1 released"]
    assert rows["F02"][3].text() == "the same"
    assert rows["F27"][4].lines == ["none"]  # VGG-16 only
    assert rows["F14"][4].order == 3


def test_a_table_can_be_read_aloud_and_sorted(make_run: Any) -> None:
    text = html_of(readings.make([make_run()]))
    assert text.count("<caption>") == 1
    assert text.count('scope="row"') == len(LEDGER)
    assert text.count('scope="col"') == 5
    assert '<th scope="col" class="value number">Runs</th>' in text
    assert 'data-order="1.0"' in text


def test_what_the_page_is_made_of_travels_with_the_package() -> None:
    folder = Path(readings.__file__).parent
    assert {f.name for f in folder.iterdir()} >= {"page.html.jinja", "page.css", "page.js"}
    assert "</script" not in (folder / "page.js").read_text()
    assert "</style" not in (folder / "page.css").read_text()
