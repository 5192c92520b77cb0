"""Table 3: where ResNet-50 is split."""

from dataclasses import replace
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.records import Run
from dfgctl.report import published
from dfgctl.report.blocks import SPLITS, make, shape_of
from dfgctl.report.rendering import render
from dfgctl.report.selection import Metric
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in recipes.names()}


def table(runs: list[Run], recipes: Any = RECIPES, **options: Any) -> Table:
    return make(View(runs=runs, recipes=recipes, **options))


def caltech(make_run: Any, split: str, accuracy: float | None, **fields: Any) -> Run:
    balanced = {"majority": 0, "combination": (), "class_counts": (60,) * 257}
    run: Run = make_run("dfg", accuracy, dataset="caltech256", **balanced, **fields)
    if split == "block1":
        return run
    settings = {**run.spec.settings, "network": {"split": split}}
    spec = replace(run.spec, settings=settings)
    return replace(run, spec=spec, id=spec.identity())


def texts(shown: Table) -> list[list[str]]:
    return [[cell.text() for cell in row] for row in shown.rows]


def test_the_shapes_are_those_of_the_paper() -> None:
    table_3 = published.everything()["blocks"]
    for split in SPLITS:
        assert shape_of(split) == table_3[split]["shape"].replace(" x ", "×")


def test_without_runs_the_papers_numbers_stand_there_and_what_to_type() -> None:
    shown = table([])
    assert [row[3:] for row in texts(shown)] == [
        ["never planned", "87.09 ± 0.20"],
        ["never planned", "86.39 ± 0.16"],
        ["never planned", "86.67 ± 0.18"],
        ["never planned", "84.48 ± 0.37"],
    ]
    assert shown.records[2]["remedy"] == "dfgctl run caltech256 --method dfg --split block3"
    assert any(shown.records[2]["remedy"] in note for note in shown.notes)
    assert any("86.29" in note for note in shown.notes)


def test_runs_stand_beside_the_paper_in_the_line_of_their_split(make_run: Any) -> None:
    runs = [caltech(make_run, "block1", a, seed=s) for s, a in enumerate([0.86, 0.88])]
    runs += [caltech(make_run, "block3", 0.85), caltech(make_run, "block4", None)]
    shown = table(runs)
    assert [row[3] for row in texts(shown)] == [
        "87.00 ± 1.41 (n = 2)",
        "never planned",
        "85.00 (n = 1)",
        "1 queued",
    ]
    assert [row[3].best for row in shown.rows] == [True, False, False, False]
    assert [row[0] for row in texts(shown)] == [f"Up to block {i}" for i in (1, 2, 3, 4)]
    assert {row[1] for row in texts(shown)} == {"Caltech-256 (1:1) (source imagenet)"}
    assert shown.records[0]["paper_mean"] == pytest.approx(0.8709)
    assert shown.records[1]["remedy"] == "dfgctl run caltech256 --method dfg --split block2"


def test_other_settings_are_lines_of_their_own_without_the_papers_numbers(make_run: Any) -> None:
    runs = [caltech(make_run, s, 0.5, steps=100) for s in ("block1", "block2")]
    shown = table([*runs, caltech(make_run, "block1", 0.8)])
    assert len(shown.rows) == 8
    own = [row for row in texts(shown) if "100 steps" in row[1]]
    assert [row[4] for row in own] == [""] * 4
    assert [row[3] for row in own][:2] == ["50.00 (n = 1)"] * 2
    assert shown.records[6]["remedy"] == (
        "dfgctl run caltech256 --steps 100 --method dfg --split block3"
    )
    assert any(note.startswith("†") for note in shown.notes)


def test_shortened_runs_leave_the_papers_lines_empty(make_run: Any) -> None:
    shown = table([caltech(make_run, "block2", 0.5, steps=100)])
    assert [row[3] for row in texts(shown)][:4] == ["never planned"] * 4
    assert [row[3] for row in texts(shown)][5] == "50.00 (n = 1)"


def test_another_metric_has_no_number_of_the_paper(make_run: Any) -> None:
    run = caltech(make_run, "block2", 0.5, metrics={"macro_f1": 0.4})
    shown = table([run], metric=Metric.f1)
    assert [row[3:] for row in texts(shown)][1] == ["40.00 (n = 1)", ""]
    assert "F1" in shown.caption


@pytest.mark.parametrize("other", [{"ratio": "5:1"}, {"source": "file:0123"}], ids=str)
def test_another_imbalance_or_source_is_not_what_the_paper_ran(make_run: Any, other: Any) -> None:
    shown = table([caltech(make_run, "block2", 0.5, **other)])
    ((_, *ours),) = ([row[0], *row[3:]] for row in texts(shown) if row[3] == "50.00 (n = 1)")
    assert ours == ["50.00 (n = 1)", ""]


def test_other_networks_have_no_such_table(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match="--split block2"):
        table([make_run()], {"digits": RECIPES["digits"]})


@pytest.mark.parametrize("kind", ["md", "latex", "csv", "json", "html"])
def test_it_can_be_written(make_run: Any, kind: str) -> None:
    text = render(table([caltech(make_run, "block2", 0.5)]), kind)
    assert ("0.8709" if kind in ("csv", "json") else "87.09") in text
