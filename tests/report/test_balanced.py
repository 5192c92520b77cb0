"""What imbalance costs: numbers by hand and by SciPy, and what trains a missing reference."""

import json
from typing import Any

import pytest
from scipy import stats

from dfgctl import recipe as recipes
from dfgctl.cli.table_view import show
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report import balanced
from dfgctl.report.rendering import render
from dfgctl.report.selection import Metric, Select
from dfgctl.report.table import Table
from dfgctl.report.view import Filters, View

RECIPES = {name: recipes.load(name) for name in ("digits", "svhn")}
EVEN: dict[str, Any] = {"ratio": "1:1", "majority": 0, "combination": ()}


def made(runs: list[Any], **asked: Any) -> Table:
    return balanced.make(View(runs, RECIPES, **asked))


def texts(table: Table) -> list[list[str]]:
    return [[cell.text() for cell in row] for row in table.rows]


def test_the_cost_is_what_balanced_runs_have_more(make_run: Any) -> None:
    ours, others = [0.80, 0.82, 0.84], [0.90, 0.94]
    runs = [make_run(accuracy=a, combination=(0, i + 1)) for i, a in enumerate(ours)]
    runs += [make_run(accuracy=a, seed=i, **EVEN) for i, a in enumerate(others)]
    table = made(runs)
    low, high = stats.ttest_ind(others, ours, equal_var=False).confidence_interval(0.95)
    assert texts(table) == [
        [
            "Digits (10:1)",
            "source glyphs",
            "DFG",
            "82.00 ± 2.00 (n = 3, c = 3)",
            "92.00 ± 2.83 (n = 2)",
            f"+10.00 ([{100 * low:+.2f}, {100 * high:+.2f}])",
        ]
    ]
    (record,) = json.loads(render(table, "json"))
    assert record["cost"] == pytest.approx(0.1)
    assert (record["low_95"], record["high_95"]) == pytest.approx((low, high))
    assert (record["n"], record["n_reference"], record["combinations"]) == (3, 2, 3)
    assert record["runs_reference"] == [run.id for run in runs[3:]]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "mnist", "source_identity": "6" * 64},
        {"steps": 100},
        {"protocol": "released"},
        {"numerics": "bf16"},
        {"changed": {"dfg.rho": 0.5}},
        {"majority_count": 40},
        {"data_digest": "e" * 64},
        {"validation": 0.1},
        {"method": "delta"},
    ],
)
def test_a_reference_agrees_in_all_but_the_imbalance(make_run: Any, fields: dict[str, Any]) -> None:
    alike = made([make_run(**fields), make_run(**fields, **EVEN)])
    assert [row[-1].text() for row in alike.rows] == ["+0.00 (no interval, n = 1)"]
    other = made([make_run(**fields), make_run(**EVEN)])
    assert [row[-1].text() for row in other.rows] == ["no reference"]


@pytest.mark.parametrize("majority", [2, 8])
def test_one_reference_serves_whatever_the_majority_and_the_ratio(
    make_run: Any, majority: int
) -> None:
    combination = tuple(range(majority))
    runs = [
        make_run(majority=majority, combination=combination, ratio=ratio, accuracy=0.5)
        for ratio in ("5:1", "10:1")
    ]
    found = [row[-1].lines[0] for row in made([*runs, make_run(accuracy=0.75, **EVEN)]).rows]
    assert found == ["+25.00", "+25.00"]


def test_a_missing_reference_says_what_became_of_it_and_what_trains_it(make_run: Any) -> None:
    runs = [
        make_run("original"),
        make_run("dfg"),
        make_run("dfg", None, status="failed", **EVEN),
        make_run("delta", None, status="queued"),
        make_run("delta", **EVEN),
        make_run("dfg", steps=100, source="mnist", source_identity="6" * 64),
    ]
    table = made(runs)
    assert [[cell.text() for cell in row[2:]] for row in table.rows] == [
        ["Original", "50.00 (n = 1, c = 1)", "never planned", "no reference"],
        ["DELTA", "1 queued", "50.00 (n = 1)", "no result"],
        ["DFG", "50.00 (n = 1, c = 1)", "1 failed", "no reference"],
        ["DFG", "50.00 (n = 1, c = 1)", "never planned", "no reference"],
    ]
    run = "Train missing references: dfgctl run digits"
    assert [note for note in table.notes if "dfgctl" in note] == [
        f"{run} --method original --method dfg --imbalance 1:1",
        f"{run} --method dfg --imbalance 1:1 --source mnist --steps 100",
    ]
    assert table.rows[3][0].text() == "Digits (10:1) †"


def test_runs_without_any_spread_have_an_interval_of_one_point(make_run: Any) -> None:
    runs = [make_run(accuracy=0.5, seed=i) for i in range(2)]
    runs += [make_run(accuracy=0.75, seed=i, **EVEN) for i in range(2)]
    assert made(runs).rows[0][-1].text() == "+25.00 ([+25.00, +25.00])"


def test_balanced_runs_alone_have_nothing_to_be_compared_with(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match=r"dfgctl run digits --imbalance 10:1"):
        made([make_run(**EVEN)])


@pytest.mark.parametrize("metric", [Metric.minority, Metric.majority])
def test_balanced_runs_have_no_minority_classes(make_run: Any, metric: Metric) -> None:
    with pytest.raises(InputError, match=f"--metric {metric}"):
        made([make_run()], metric=metric)


def test_other_metrics_are_the_last_steps(make_run: Any) -> None:
    runs = [make_run(metrics={"macro_f1": 0.2}), make_run(metrics={"macro_f1": 0.3}, **EVEN)]
    table = made(runs, metric=Metric.f1)
    assert table.rows[0][-1].lines[0] == "+10.00"
    assert table.caption.startswith("Macro F1")
    with pytest.raises(InputError, match="--select best"):
        made(runs, metric=Metric.f1, select=Select.best)


def test_references_pass_a_filter_on_majority_classes(make_run: Any) -> None:
    eight = make_run(majority=8, combination=tuple(range(8)))
    runs = [make_run(), eight, make_run(**EVEN)]
    assert Filters(majority=8).passed(runs) == [eight]
    assert Filters(majority=8, references=True).passed(runs) == runs[1:]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_it_fits_a_terminal(
    make_run: Any, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    runs = [make_run(accuracy=a, seed=i, **f) for i, a in enumerate((0.8, 0.9)) for f in ({}, EVEN)]
    show(made([*runs, make_run("difa", changed={"difa.lr": 0.5})]))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert "planned" in text
    assert "…" not in text
