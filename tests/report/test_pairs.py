"""The table of pairs: its numbers by hand, its reasons, and what it tells one to type."""

import json
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import InputError, NothingToShowError, UnknownNameError
from dfgctl.records import Run
from dfgctl.report.pairs import make
from dfgctl.report.rendering import render
from dfgctl.report.selection import Metric, Select
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in ("digits", "fmnist")}
COMBINATIONS = [(0, 4), (1, 7), (2, 3), (5, 9), (0, 6), (1, 8)]
GAINS = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]


def table(runs: list[Run], **options: Any) -> Table:
    return make(View(runs=runs, recipes=RECIPES, **options))


def records(runs: list[Run], **options: Any) -> dict[str, dict[str, Any]]:
    """Return the records by method."""
    return {r["method"]: r for r in json.loads(render(table(runs, **options), "json"))}


def cells(shown: Table, method: str) -> dict[str, str]:
    """Return a line's texts by the columns' titles."""
    row = next(row for row in shown.rows if row[0].lines == [method])
    return {column.title: cell.text() for column, cell in zip(shown.columns, row, strict=True)}


def six(make_run: Any, **options: Any) -> list[Run]:
    """Six combinations of which dfg gains 1 to 6 points on original."""
    runs = []
    unsourced = {name: value for name, value in options.items() if name != "source"}
    for combination, gain in zip(COMBINATIONS, GAINS, strict=True):
        runs.append(make_run("original", 0.8, combination=combination, **unsourced))
        runs.append(make_run("dfg", 0.8 + gain, combination=combination, **options))
    return runs


def test_positive_means_that_the_method_of_against_is_better(make_run: Any) -> None:
    found = records(six(make_run))["original"]
    assert found["difference"] == pytest.approx(0.035)
    assert (found["wins"], found["ties"], found["losses"]) == (6, 0, 0)
    assert (found["against"], found["units"], found["pairs"]) == ("dfg", 6, 6)
    turned = records(six(make_run), against="original")["dfg"]
    assert turned["difference"] == pytest.approx(-0.035)
    assert (turned["wins"], turned["losses"]) == (0, 6)


def test_a_line_is_read_as_it_was_computed(make_run: Any) -> None:
    shown = table(six(make_run))
    line = cells(shown, "Original")
    # Standard deviation of 1 to 6 is 1.8708; t of 5 degrees 2.5706: 2.5706 * 1.8708 / sqrt 6.
    assert line["Difference"] == "+3.50"
    assert line["95 % interval"] == "[+1.54, +5.46]"
    assert line["p"] == "0.031 (Holm 0.031)"
    assert line["Wins, ties, losses"] == "6/0/0"
    assert line["n"] == "6"
    assert line["On"] == "Digits (10:1) (source glyphs)"
    assert "above 0 DFG is better" in shown.caption
    assert "1 comparison (Holm)" in shown.caption
    assert any("share classes" in note for note in shown.notes)


def test_the_jackknife_stands_beside_the_interval(make_run: Any) -> None:
    found = records(six(make_run))["original"]
    # Sums without class k over those left: classes 0 and 1 lose two combinations, others one.
    left = [(21 - 1 - 5) / 4, (21 - 2 - 6) / 4, *[(21 - g) / 5 for g in (3, 3, 1, 4, 5, 2, 6, 4)]]
    variance = 9 / 10 * sum((x - 3.5) ** 2 for x in left)
    half = 2.570581836 * variance**0.5 / 100
    assert found["jackknife_low"] == pytest.approx(0.035 - half)
    assert found["jackknife_high"] == pytest.approx(0.035 + half)


def test_holm_counts_all_comparisons_that_are_shown(make_run: Any) -> None:
    runs = six(make_run)
    runs += [make_run("delta", 0.9, combination=c) for c in COMBINATIONS]
    found = records(runs)
    assert found["delta"]["p"] == found["original"]["p"] == pytest.approx(2 / 64)
    assert found["delta"]["p_holm"] == found["original"]["p_holm"] == pytest.approx(4 / 64)


def test_seeds_are_averaged_within_a_combination(make_run: Any) -> None:
    runs = [make_run("original", 0.8, combination=c, seed=s) for c in COMBINATIONS for s in (0, 1)]
    runs += [
        make_run("dfg", 0.8 + (0.02 if s else 0.04), combination=c, seed=s)
        for c in COMBINATIONS
        for s in (0, 1, 2)
    ]
    found = records(runs)["original"]
    assert found["difference"] == pytest.approx(0.03)
    assert (found["units"], found["pairs"]) == (6, 12)
    assert cells(table(runs), "Original")["n"] == "6 (12 pairs)"


def test_without_majority_classes_pairs_are_seeds_and_there_is_no_jackknife(make_run: Any) -> None:
    even = {"ratio": "1:1", "majority": 0, "combination": ()}
    runs = [make_run("original", 0.8, seed=s, **even) for s in range(3)]
    runs += [make_run("dfg", 0.81 + s / 100, seed=s, **even) for s in range(3)]
    shown = table(runs)
    assert cells(shown, "Original")["Jackknife"] == "–"
    assert records(runs)["original"]["unit"] == "seed"
    assert records(runs)["original"]["jackknife_low"] is None
    assert not any("share classes" in note for note in shown.notes)
    assert any("p cannot be below 0.250" in note for note in shown.notes)


def test_runs_that_differ_in_a_setting_are_never_paired(make_run: Any) -> None:
    runs = six(make_run) + six(make_run, steps=100)
    found = [r["settings"] for r in table(runs).records if r["units"]]
    assert found == [[], ["100 steps"]]
    assert any("†" in note for note in table(runs).notes)
    other = [make_run("dfg", 0.9, combination=c, changed={"dfg.rho": 0.5}) for c in COMBINATIONS]
    shown = table([*six(make_run), *other])
    assert [r["settings"] for r in shown.records if r["units"]] == [[]]
    assert any(note.startswith("1 more row of runs") for note in shown.notes)


def test_what_is_missing_is_said_with_what_to_type(make_run: Any) -> None:
    runs = [
        *six(make_run, source="mnist"),
        make_run("finetune", 0.8, source="mnist", combination=(7, 8)),
        make_run("difa", 0.8, source="mnist"),
        make_run("delta", None, source="mnist"),
    ]
    shown, found = table(runs), records(runs)
    assert cells(shown, "Fine-tuning")["Difference"] == "no common pairs"
    assert cells(shown, "DELTA")["Difference"] == "1 queued"
    assert cells(shown, "DIFA + cMWGAN")["Difference"] == "+1.00"
    assert cells(shown, "DIFA + cMWGAN")["p"] == "one combination"
    assert cells(shown, "DIFA + cMWGAN")["95 % interval"] == "–"
    assert found["finetune"]["remedy"] == (
        "dfgctl run digits --source mnist --method dfg --method finetune"
    )
    assert found["difa"]["remedy"].endswith("--method difa --repeats 10")
    assert found["original"]["remedy"] == ""
    assert any(found["difa"]["remedy"] in note for note in shown.notes)


def test_a_method_without_any_runs_is_asked_for_in_the_recipes_row_alone(make_run: Any) -> None:
    runs = six(make_run) + six(make_run, steps=100)
    reasons = [(r["method"], r["reason"]) for r in table(runs).records if r["reason"]]
    assert reasons == [(m, "never planned") for m in ("finetune", "delta", "difa")]


def test_methods_that_are_equal_everywhere_have_a_p_of_1(make_run: Any) -> None:
    runs = [make_run(m, 0.8, combination=c) for m in ("original", "dfg") for c in COMBINATIONS]
    shown = table(runs)
    assert cells(shown, "Original")["p"] == "1.000 (Holm 1.000)"
    assert cells(shown, "Original")["Wins, ties, losses"] == "0/6/0"
    assert "Where all differences are 0, p is 1." in shown.notes


def test_a_difference_that_rounds_to_nothing_has_no_minus(make_run: Any) -> None:
    runs = [make_run("original", 0.80001), make_run("dfg", 0.8)]
    assert cells(table(runs), "Original")["Difference"] == "+0.00"


def test_a_p_that_is_not_exact_is_marked(make_run: Any) -> None:
    every = [(a, b) for a in range(10) for b in range(a)][:20]
    runs = [make_run("original", 0.5, combination=c) for c in every]
    runs += [make_run("dfg", 0.5 + (i % 3 - 0.5) / 100, combination=c) for i, c in enumerate(every)]
    shown = table(runs)
    assert cells(shown, "Original")["p"].startswith("≈")
    assert any(note.startswith("≈:") for note in shown.notes)
    assert r"$\approx$" in render(shown, "latex")
    assert records(runs)["original"]["p_exact"] is False


def test_another_metric_and_another_step(make_run: Any) -> None:
    runs = [
        *[make_run("original", 0.5, combination=c, metrics={"gmean": 0.5}) for c in COMBINATIONS],
        *[make_run("dfg", 0.5, combination=c, metrics={"gmean": 0.6}) for c in COMBINATIONS],
    ]
    assert records(runs)["original"]["difference"] == 0
    assert records(runs, metric=Metric.gmean)["original"]["difference"] == pytest.approx(0.1)
    assert "G-mean" in table(runs, metric=Metric.gmean).caption
    best = [
        make_run(m, 0.5, combination=c, metrics={"accuracy_best": a})
        for m, a in (("original", 0.6), ("dfg", 0.7))
        for c in COMBINATIONS
    ]
    assert records(best, select=Select.best)["original"]["difference"] == pytest.approx(0.1)
    with pytest.raises(InputError, match="--select best"):
        table(best, select=Select.best, metric=Metric.f1)


def test_a_value_that_is_no_number_is_left_out(make_run: Any) -> None:
    runs = [*six(make_run), make_run("dfg", float("nan"), combination=(3, 4))]
    runs.append(make_run("original", 0.8, combination=(3, 4)))
    assert records(runs)["original"]["units"] == 6


def test_without_anything_to_compare_there_is_no_table(make_run: Any) -> None:
    with pytest.raises(UnknownNameError, match="mine"):
        table(six(make_run), against="mine")
    free = {"source": None, "source_identity": None}
    with pytest.raises(NothingToShowError, match=r"is of dfg: .* --against. There is: original\."):
        table([make_run("original", 0.9, **free)])
    with pytest.raises(NothingToShowError, match="dfgctl run digits"):
        table([make_run("dfg", 0.9)])
    with pytest.raises(NothingToShowError, match="No run has finished"):
        table([make_run("dfg", None), make_run("original", None)])
    with pytest.raises(NothingToShowError, match="minority"):
        table([make_run(metrics={"minority_recall": None})], metric=Metric.minority)


@pytest.mark.parametrize("kind", ["md", "latex", "csv", "html"])
def test_it_can_be_written(make_run: Any, kind: str) -> None:
    text = render(table(six(make_run)), kind)
    assert ("0.035" if kind == "csv" else "+3.50") in text


def test_a_rival_from_the_sources_weights_can_be_the_reference(make_run: Any) -> None:
    free = {"source": None, "source_identity": None}
    starts = {"changed": {"balanced.init": "source"}}
    runs = []
    for combination, gain in zip(COMBINATIONS, GAINS, strict=True):
        runs.append(make_run("balanced", 0.8, combination=combination, **free))
        runs.append(make_run("balanced", 0.8 + gain, combination=combination, **starts))
    found = records(runs, against="balanced/source")
    assert found["balanced"]["difference"] == pytest.approx(0.035)
    assert records(runs, against="balanced")["balanced/source"]["difference"] < 0
    assert found["dfg"]["reason"] == "never planned"
    assert found["dfg"]["remedy"] == (
        "dfgctl run digits --method balanced --method dfg --set balanced.init=source"
    )


def test_what_is_to_be_trained_has_the_reference_in_it(make_run: Any) -> None:
    """Without a name ``dfgctl run`` trains the paper's methods, which no rival is among."""
    alone = make_run("balanced", changed={"balanced.init": "source", "balanced.lr": 0.5})
    said = "--method balanced --method original --set balanced.init=source"
    with pytest.raises(NothingToShowError, match=said):
        table([alone, make_run("dfg", steps=7)], against="balanced/source")
