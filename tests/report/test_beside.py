"""The table of results with the paper's numbers, gains, and metrics other than the accuracy."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.cli.table_view import show
from dfgctl.contenders import METHODS
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report import results
from dfgctl.report.rendering import render
from dfgctl.report.selection import Metric, Select
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in ("digits", "fmnist", "svhn", "stl10")}
PAIRS = ((0, 1), (0, 2), (0, 3), (0, 4), (0, 5))


def five(make_run: Any, method: str = "dfg", mean: float = 0.8081, **fields: Any) -> list[Any]:
    """Five runs on SVHN whose best accuracy is 5 points above the last."""
    given = {"dataset": "svhn", **fields}
    return [
        make_run(
            method,
            mean + shift,
            combination=pair,
            metrics={"accuracy_best": mean + shift + 0.05},
            **given,
        )
        for pair, shift in zip(PAIRS, (-0.002, -0.001, 0.0, 0.001, 0.002), strict=True)
    ]


def shown(runs: list[Any], **asked: Any) -> results.ResultsTable:
    return results.results(View(runs, RECIPES, published=True, **asked))


def cell(table: results.ResultsTable, method: str = "dfg") -> list[str]:
    ((_, cells),) = table.lines
    return cells[method].lines()


def test_last_and_best_are_judged_where_none_is_chosen(make_run: Any) -> None:
    table = shown(five(make_run))
    assert cell(table) == [
        "80.81 ± 0.16",
        "n = 5, c = 5",
        "paper 80.81 ± 0.25",
        "last: +0.00 reproduced",
        "best: +5.00 differs",
    ]
    assert cell(table, "delta") == ["never planned", "paper 78.47 ± 0.57"]
    assert "over 45 runs" in table.caption


@pytest.mark.parametrize(
    ("select", "last"), [(Select.last, "+0.00 reproduced"), (Select.best, "+5.00 differs")]
)
def test_the_chosen_one_alone_is_judged(make_run: Any, select: Select, last: str) -> None:
    assert cell(shown(five(make_run), select=select))[-1] == last


def test_margin_and_the_papers_number_of_runs_can_be_chosen(make_run: Any) -> None:
    table = shown(five(make_run), margin=6.0, paper_n=3)
    assert cell(table)[-1] == "best: +5.00 reproduced"
    assert "±6" in table.caption
    assert "over 3 runs" in table.caption
    (record,) = (r for r in table.records() if r["method"] == "dfg")
    assert record["paper_n"] == 3


def test_what_is_not_the_papers_gets_no_verdict_but_on_demand(make_run: Any) -> None:
    dirty = [replace(run, dirty=True) for run in five(make_run)]
    assert cell(shown(dirty))[3:] == ["no verdict: 5 of 5 runs from a dirty tree"]
    both = cell(shown(dirty, judge_all=True))
    assert both[3] == "last: +0.00 reproduced"
    assert both[-1] == "despite: 5 of 5 runs from a dirty tree"


def test_rows_of_other_sources_and_steps_say_so_in_their_cells(make_run: Any) -> None:
    runs = five(make_run, source="mnist", source_identity="6" * 64)
    runs += [*five(make_run, steps=100), *five(make_run, "original", 0.7657)]
    table = shown(runs)
    found = {row.source or "": cells for row, cells in table.lines if not row.notes}
    assert found["mnist"]["dfg"].lines()[-1] == "no verdict: source mnist"
    # Original has no source, and is judged in whichever row it stands.
    assert found["mnist"]["original"].lines()[-2] == "last: +0.00 reproduced"
    # What never ran in a row of other settings has nothing of the paper's beside it.
    assert found["mnist"]["delta"].lines() == ["never planned"]
    (short,) = (cells for row, cells in table.lines if row.notes)
    assert short["dfg"].lines()[-1] == "no verdict: 100 steps"


def test_the_released_reading_is_judged_on_its_own_and_marked(make_run: Any) -> None:
    runs = [*five(make_run), *five(make_run, mean=0.7, protocol="released")]
    table = shown(runs)
    paper, released = table.lines
    assert paper[1]["dfg"].lines()[-2:] == ["last: +0.00 reproduced", "best: +5.00 differs"]
    assert released[1]["dfg"].lines()[-2:] == ["last: -10.81 differs", "best: -5.81 differs"]
    labels = [table.label(row) for row, _ in table.lines]
    assert labels == ["SVHN (10:1)", "SVHN (10:1) ‡ §"]
    assert any(note.startswith("§") for note in table.footnotes)


def test_footnotes_are_those_of_the_numbers_that_are_shown(make_run: Any) -> None:
    text = " ".join(shown(five(make_run)).footnotes)
    assert "73,237" in text
    assert "standard deviation" in text
    assert "SVHN +4.24" in text
    assert "14.73" not in text
    stl10 = make_run(dataset="stl10", ratio="1:1", majority=0, combination=())
    table = shown([stl10, make_run()])
    text = " ".join(table.footnotes)
    assert "14.73 points" in text
    assert "has no number for: Digits (10:1)." in text
    assert "over 10 runs" in table.caption


def test_without_a_number_of_the_papers_nothing_is_claimed(make_run: Any) -> None:
    table = shown([make_run()])
    assert cell(table) == ["50.00", "n = 1, c = 1"]
    assert "Welch" not in table.caption
    assert table.footnotes == ("The paper has no number for: Digits (10:1).",)


def test_what_is_no_number_is_not_judged(make_run: Any) -> None:
    runs = [*five(make_run)[1:], make_run(accuracy=float("nan"), dataset="svhn")]
    assert cell(shown(runs, select=Select.last))[1:] == [
        "n = 4, c = 4",
        "1 not a number",
        "paper 80.81 ± 0.25",
        "too few runs",
    ]


def test_records_have_the_papers_number_and_both_verdicts(make_run: Any) -> None:
    table = shown([*five(make_run), *five(make_run, "original", 0.7657)])
    rows = csv.DictReader(io.StringIO(render(table.table(), "csv")))
    found = {row["method"]: row for row in rows}
    assert list(found) == list(METHODS)
    dfg = found["dfg"]
    assert (dfg["verdict_last"], dfg["verdict_best"]) == ("reproduced", "differs")
    assert float(dfg["paper_gain"]) == pytest.approx(0.0424)
    assert float(dfg["gain"]) == pytest.approx(0.0424)
    assert found["delta"]["verdict_last"] == found["original"]["gain"] == ""
    assert (dfg["protocol"], dfg["precision"], dfg["steps"]) == ("paper", "fp32", "20000")
    assert dfg["runs"].split("; ") == [run.id for run in five(make_run)]


@pytest.mark.parametrize("margin", [float("inf"), float("nan")])
def test_a_margin_that_is_no_number_is_one_sentence(make_run: Any, margin: float) -> None:
    with pytest.raises(InputError, match="--margin"):
        shown(five(make_run), margin=margin)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_it_fits_a_terminal_and_breaks_no_word(
    make_run: Any, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    runs = [run for method in METHODS for run in five(make_run, method)]
    show(shown([*runs, *five(make_run, source="mnist", source_identity="6" * 64)]).table())
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    for word in ("reproduced", "differs", "± 0.25", "verdict:", "Fine-tuning", "gain +0.00"):
        assert word in text
    assert "…" not in text


# Gains


def test_the_gain_stands_only_where_both_methods_have_results(make_run: Any) -> None:
    view = View([make_run("dfg", 0.9), make_run("original", 0.7), make_run(steps=9)], RECIPES)
    table = results.results(view)
    (_, own), (_, short) = table.lines
    assert own["dfg"].lines() == ["90.00", "n = 1, c = 1", "gain +20.00"]
    assert own["original"].lines() == ["70.00", "n = 1, c = 1"]
    assert short["dfg"].gain is None
    assert "on the combinations and seeds that both have" in table.caption
    alone = results.results(View([make_run("dfg", 0.9)], RECIPES))
    assert "Gain" not in alone.caption


def test_the_gain_is_of_what_both_methods_have(make_run: Any) -> None:
    runs = [make_run("dfg", 0.6), make_run("dfg", 0.9, combination=(1, 8))]
    runs += [make_run("original", 0.7), make_run("original", 0.1, seed=1)]
    ((_, cells),) = results.results(View(runs, RECIPES)).lines
    assert cells["dfg"].gain == pytest.approx(-0.1)
    ((_, cells),) = results.results(View(runs[1:], RECIPES)).lines
    assert cells["dfg"].gain is None


# Other metrics

OTHERS = {"balanced_accuracy": 0.1, "macro_f1": 0.2, "gmean": 0.3}
RECALLS = {"minority_recall": 0.4, "majority_recall": 0.6}


@pytest.mark.parametrize(
    ("metric", "number", "words"),
    [
        (Metric.accuracy, "90.00", "Test accuracy"),
        (Metric.balanced, "10.00", "Balanced test accuracy"),
        (Metric.f1, "20.00", "Macro F1"),
        (Metric.gmean, "30.00", "G-mean"),
        (Metric.minority, "40.00", "minority classes"),
        (Metric.majority, "60.00", "majority classes"),
    ],
)
def test_each_metric_is_its_own(make_run: Any, metric: Metric, number: str, words: str) -> None:
    run = make_run("dfg", 0.9, metrics={**OTHERS, **RECALLS})
    table = results.results(View([run], RECIPES, metric=metric))
    assert cell(table)[0] == number
    assert words in table.caption
    assert {r["metric"] for r in table.records()} == {metric.value}


@pytest.mark.parametrize("select", [Select.best, Select.val])
def test_only_the_accuracy_is_kept_for_other_steps(make_run: Any, select: Select) -> None:
    with pytest.raises(InputError, match="--metric f1"):
        results.make(View([make_run()], RECIPES, select, Metric.f1))


def test_the_paper_has_accuracies_only(make_run: Any) -> None:
    with pytest.raises(InputError, match="accuracies only"):
        shown(five(make_run), metric=Metric.gmean)


def test_a_balanced_row_has_no_minority_classes(make_run: Any) -> None:
    balanced = make_run(
        "dfg",
        ratio="1:1",
        majority=0,
        combination=(),
        metrics={"minority_recall": None, "majority_recall": None},
    )
    table = results.results(View([make_run(), balanced], RECIPES, metric=Metric.minority))
    assert [cells["dfg"].lines()[0] for _, cells in table.lines] == ["no minority classes", "50.00"]
    with pytest.raises(NothingToShowError, match="no minority classes"):
        results.make(View([balanced], RECIPES, metric=Metric.minority))


def test_what_is_no_number_is_not_averaged(make_run: Any) -> None:
    runs = [make_run(seed=0), make_run(seed=1, metrics={"gmean": float("nan")})]
    table = results.results(View(runs, RECIPES, metric=Metric.gmean))
    assert cell(table) == ["50.00", "n = 1, c = 1", "1 not a number"]


def test_the_released_reading_of_f14_is_of_the_accuracy_alone(make_run: Any) -> None:
    run = make_run(protocol="released", metrics={"accuracy_best": 0.9, "macro_f1": 0.3})
    table = results.results(View([make_run(), run], RECIPES, metric=Metric.f1))
    assert [table.label(row) for row, _ in table.lines] == ["Digits (10:1)"] * 2
