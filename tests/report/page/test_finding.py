"""The main finding says what the runs say, and no more."""

from collections.abc import Sequence
from typing import Any

import pytest
from scipy import stats

from dfgctl import recipe as recipes
from dfgctl.records import Run
from dfgctl.report.page.finding import finding
from dfgctl.report.selection import Select
from dfgctl.report.view import View

DIGITS = {"digits": recipes.load("digits")}


def said(runs: Sequence[Run], against: str = "dfg") -> tuple[str, Sequence[str]]:
    first, singles = finding(View(runs=runs, recipes=DIGITS, against=against))
    return " ".join(first), singles


@pytest.fixture
def repeats(make_run: Any) -> Any:
    """Make runs of a method, one for each accuracy, on the combinations (0, 1), (0, 2), ..."""

    def make(method: str, *accuracies: float, **fields: Any) -> list[Run]:
        return [
            make_run(method, accuracy=a, combination=(0, i + 1), **fields)
            for i, a in enumerate(accuracies)
        ]

    return make


def test_the_best_of_a_row_is_named_with_the_paired_interval(repeats: Any) -> None:
    ours, theirs = (0.90, 0.92, 0.91), (0.80, 0.83, 0.84)
    text, singles = said(repeats("dfg", *ours) + repeats("delta", *theirs))
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert [line.partition(" points")[0] for line in singles[0].splitlines()] == [
        "Digits (10:1), source glyphs, test accuracy after the last step: DFG 91.00 ± 1.00 % "
        "(n = 3, 1.00 s a run) is the highest mean.",
        "Told from it:",
        "  DELTA: -8.67",
    ]
    assert "Digits (10:1), source glyphs: DFG 91.00 ± 1.00 % (n = 3)" in text
    assert "the highest mean of its row; the next is DELTA, 82.33 ± 2.08 % (n = 3)" in text
    assert f"+8.67 points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}" in text
    assert "which excludes 0" in text


def test_a_method_that_is_not_the_best_is_not_called_so(repeats: Any) -> None:
    text, _ = said(repeats("dfg", 0.8, 0.9) + repeats("delta", 0.81, 0.91) + repeats("difa", 0.5))
    assert "below the highest mean of its row, that of DELTA, 86.00" in text
    assert "On each of the 2 combinations that both have the difference is -1.00 points" in text
    assert "without any spread" in text
    assert "interval" not in text


def test_an_interval_that_holds_0_tells_nothing_apart(repeats: Any) -> None:
    text, _ = said(repeats("dfg", 0.8, 0.9) + repeats("delta", 0.85, 0.83))
    assert "the highest mean of its row" in text
    assert "which holds 0, so that these runs do not tell them apart" in text


def test_equal_means_are_called_equal(repeats: Any) -> None:
    text, _ = said(repeats("dfg", 0.8, 0.9) + repeats("delta", 0.9, 0.8))
    assert "is as high as DELTA, 85.00" in text
    assert "+0.00 points" in text


def test_one_pair_says_nothing_of_chance_and_none_pairs_nothing(repeats: Any) -> None:
    one, _ = said(repeats("dfg", 0.8) + repeats("delta", 0.7))
    assert "On the one combination that both have the difference is +10.00 points" in one
    none, _ = said(repeats("dfg", 0.8) + repeats("delta", 0.7, seed=3))
    assert "They have no repeat in common" in none


def test_seeds_are_averaged_within_a_combination_first(repeats: Any) -> None:
    runs = [
        *repeats("dfg", 0.80, 0.80),
        *repeats("dfg", 0.90, seed=1),
        *repeats("delta", 0.70, 0.60),
        *repeats("delta", 0.70, seed=1),
    ]
    # Differences of 10 and 20 points at (0, 1), their mean 15; of 20 at (0, 2): 17.5 in all.
    assert "On the 2 combinations that both have the mean difference is +17.50" in said(runs)[0]


def test_at_1_to_1_the_seeds_are_the_pairs(make_run: Any) -> None:
    runs = [
        make_run(method, accuracy=a, seed=seed, ratio="1:1", majority=0, combination=())
        for method, pair in (("dfg", (0.8, 0.9)), ("delta", (0.7, 0.75)))
        for seed, a in enumerate(pair)
    ]
    text, _ = said(runs)
    assert "On the 2 seeds that both have the mean difference is +12.50" in text
    assert "share classes" not in text


def test_what_makes_an_interval_unsure_is_said(repeats: Any) -> None:
    runs = repeats("dfg", 0.8, 0.9) + repeats("delta", 0.85, 0.83)
    assert "Mind that combinations share classes" in said(runs)[0]
    more = [*runs, *repeats("difa", 0.1, 0.2)]
    assert "chosen by these very runs, which flatters it, and that combinations" in said(more)[0]


def test_several_rows_are_counted_and_told_one_by_one(repeats: Any, make_run: Any) -> None:
    balanced = [
        make_run(method, accuracy=a, seed=seed, ratio="1:1", majority=0, combination=())
        for method, pair in (("dfg", (0.70, 0.71, 0.72)), ("delta", (0.80, 0.82, 0.81)))
        for seed, a in enumerate(pair)
    ]
    runs = balanced + repeats("dfg", 0.90, 0.92, 0.91) + repeats("delta", 0.80, 0.83, 0.84)
    text, singles = said(runs)
    assert "highest mean of its row in 1 (Digits (10:1)) of the 2 rows" in text
    assert "lies above 0 in 1 (Digits (10:1)), below 0 in 1 (Digits (1:1))" in text
    assert "and does neither in none." in text
    other = repeats("dfg", 0.5, steps=7) + repeats("delta", 0.7, steps=7)
    assert "of the 2 rows that have it" in text
    assert "of the 2 rows of the recipes' own settings that have it" in said(runs + other)[0]
    assert [line.partition(",")[0] for line in singles] == [
        *("Digits (10:1)", "Digits (1:1)"),  # what to use, the recipe's own imbalance first
        *("Digits (1:1)", "Digits (10:1)"),
    ]


def test_rows_of_other_settings_do_not_count_beside_the_recipes(repeats: Any) -> None:
    usual = repeats("dfg", 0.8, 0.9) + repeats("delta", 0.7, 0.7)
    short = repeats("dfg", 0.1, 0.1, steps=7) + repeats("delta", 0.7, 0.7, steps=7)
    assert said(usual + short)[0] == said(usual)[0]
    assert "7 steps" in said(short)[0]


def test_nothing_to_compare_says_what_to_run(repeats: Any, make_run: Any) -> None:
    for runs in (repeats("dfg", 0.8), repeats("delta", 0.8), [make_run(accuracy=None)]):
        text, singles = said(runs)
        assert "No row has finished runs of DFG beside another method yet" in text
        assert "dfgctl run" in text
        assert singles == ()


def test_another_method_can_be_asked_for(repeats: Any) -> None:
    text, _ = said(repeats("dfg", 0.8) + repeats("delta", 0.9), against="delta")
    assert "DELTA 90.00 % (n = 1), test accuracy, last step, is the highest mean" in text


def test_what_is_no_number_is_left_out(repeats: Any) -> None:
    runs = repeats("dfg", 0.9, 0.8) + repeats("delta", 0.7, 0.7)
    broken = [*runs, *repeats("dfg", float("nan"), seed=1), *repeats("difa", float("nan"))]
    assert said(broken) == said(runs)


def test_an_accuracy_that_no_run_has_is_not_called_a_lack_of_runs(repeats: Any) -> None:
    runs = repeats("dfg", 0.9, 0.8) + repeats("delta", 0.7, 0.7)
    first, singles = finding(View(runs=runs, recipes=DIGITS, select=Select.val))
    assert "No finished run has a validation share" in first[0]
    assert (len(first), singles) == (1, ())
