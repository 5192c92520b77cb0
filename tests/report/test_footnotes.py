"""What is said below tables of runs as a whole."""

from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.report import tables
from dfgctl.report.footnotes import several_sources
from dfgctl.report.view import View

SEVERAL = "Digits: runs from one source started from 2 networks"


def test_source_networks_that_share_a_name_alone_are_told(make_run: Any) -> None:
    def runs(*weights: str | None) -> list[Any]:
        return [
            make_run("dfg", 0.9, metrics={"source_weights": w}, seed=i)
            for i, w in enumerate(weights)
        ]

    said = several_sources(runs("a" * 16, "b" * 16, "a" * 16, None))
    assert said is not None
    assert SEVERAL in said
    assert several_sources(runs("a" * 16, "a" * 16, None)) is None
    assert several_sources([make_run("original", 0.9), make_run("dfg", None)]) is None


def test_other_sources_have_other_networks_anyway(make_run: Any) -> None:
    one = make_run("dfg", 0.9, metrics={"source_weights": "a" * 16})
    other = make_run("dfg", 0.9, metrics={"source_weights": "b" * 16}, source_identity="6" * 64)
    assert several_sources([one, other]) is None


@pytest.mark.parametrize("name", ["results", "pairs", "ledger"])
def test_tables_that_subtract_say_so(name: str, make_run: Any) -> None:
    def runs(second: str) -> list[Any]:
        made = []
        for seed, weights in enumerate(("a" * 16, second)):
            for method, protocol in (("delta", "paper"), ("dfg", "paper"), ("dfg", "released")):
                own = {"metrics": {"source_weights": weights}, "protocol": protocol}
                made.append(make_run(method, 0.9 - seed / 10, seed=seed, **own))
        return made

    view = View(runs("b" * 16), {"digits": recipes.load("digits")})
    assert any(SEVERAL in note for note in tables.make(name, view).notes)
    view = View(runs("a" * 16), {"digits": recipes.load("digits")})
    assert not any(SEVERAL in note for note in tables.make(name, view).notes)
