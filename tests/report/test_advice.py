"""What to use: those not told from the best, and the cheapest of them, by scipy's own tests."""

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from dfgctl import recipe as recipes
from dfgctl.records import Run
from dfgctl.report.advice import Advice, advice
from dfgctl.report.page.finding import finding
from dfgctl.report.pairing import holm
from dfgctl.report.selection import Metric, Select
from dfgctl.report.view import View

RECIPES = {"digits": recipes.load("digits")}
BEST = (0.90, 0.92, 0.91, 0.93, 0.89, 0.92)
NEAR = (0.905, 0.91, 0.90, 0.935, 0.88, 0.92)
FAR = (0.80, 0.83, 0.84, 0.82, 0.79, 0.83)


@pytest.fixture
def repeats(make_run: Any) -> Any:
    """Make runs of a method, one for each accuracy, that take so many seconds."""

    def make(method: str, *accuracies: float, seconds: float = 1.0, **fields: Any) -> list[Run]:
        return [
            make_run(
                method,
                accuracy=a,
                combination=(0, i + 1),
                metrics={"train_seconds": seconds},
                **fields,
            )
            for i, a in enumerate(accuracies)
        ]

    return make


@pytest.fixture
def three(repeats: Any) -> list[Run]:
    """Runs of which difa is the best, delta near and cheaper, and original far."""
    return [
        *repeats("difa", *BEST, seconds=9),
        *repeats("delta", *NEAR, seconds=4),
        *repeats("original", *FAR, seconds=2),
    ]


def of(runs: list[Run], **how: Any) -> Advice:
    return advice(View(runs, RECIPES, **how))


def test_the_cheapest_of_those_near_the_best_is_named(three: list[Run]) -> None:
    (choice,) = of(three).choices
    assert (choice.best, choice.cheapest()) == ("DIFA + cMWGAN", "DELTA")
    assert choice.answer() == (
        "Digits (10:1), source glyphs: DIFA + cMWGAN is the best; not told from it at 95 %: DELTA; "
        "the cheapest of them is DELTA, 4.00 s a run on CPU, with 90.83 ± 1.86 % (n = 6). To tell "
        "more: --repeats 10."
    )


def test_p_is_that_of_paired_t_tests_after_holm(three: list[Run]) -> None:
    (choice,) = of(three).choices
    plain = [stats.ttest_rel(own, BEST).pvalue for own in (NEAR, FAR)]
    assert [rival.p for rival in choice.rivals] == pytest.approx(holm(plain))
    assert [rival.apart for rival in choice.rivals] == [False, True]
    low, high = stats.ttest_rel(FAR, BEST).confidence_interval(0.95)
    assert choice.details()[-2:] == [
        "Told from it:",
        f"  Original: -9.33 points [{100 * low:+.2f}, {100 * high:+.2f}], p < 0.001, "
        "n = 6, 2.00 s a run",
    ]


def test_many_comparisons_tell_less_apart(repeats: Any) -> None:
    lower = tuple(a - d for a, d in zip(BEST, (0.012, 0, 0.01, 0.001, 0.012, 0.008), strict=True))
    p = stats.ttest_rel(lower, BEST).pvalue
    assert 0.05 / 4 < p < 0.05
    alone = repeats("difa", *BEST) + repeats("delta", *lower)
    assert of(alone).choices[0].near == []
    others = ("original", "finetune", "dfg")
    more = [run for method in others for run in repeats(method, *lower)]
    assert len(of(alone + more).choices[0].near) == 4


def test_a_best_that_is_told_from_all_is_what_to_use(repeats: Any) -> None:
    runs = repeats("difa", *BEST, seconds=9) + repeats("original", *FAR)
    assert of(runs).answers() == [
        "Digits (10:1), source glyphs: use DIFA + cMWGAN, which these runs tell from the other "
        "method at 95 % (test accuracy after the last step 91.17 ± 1.47 %, n = 6)."
    ]


def test_few_repeats_tell_nothing_apart_and_say_so(repeats: Any) -> None:
    for count, start in ((1, "1 repeat tells"), (2, "2 repeats tell")):
        runs = repeats("difa", *BEST[:count], seconds=9) + repeats("delta", *NEAR[:count])
        (text,) = of(runs).answers()
        assert f"{start} nothing apart among 2 methods; the cheapest of them is DELTA" in text
        assert text.endswith("To tell more: --repeats 10.")


def test_those_with_the_fewest_repeats_decide_whether_more_are_asked_for(repeats: Any) -> None:
    ten = tuple(0.90 + i / 1000 for i in range(10))
    wide = tuple(a + (0.03 if i % 2 else -0.04) for i, a in enumerate(ten))
    runs = repeats("difa", *ten) + repeats("delta", *wide)
    assert "To tell more" not in of(runs).answers()[0]
    (text,) = of([*runs, *repeats("dfg", *wide[:3])]).answers()
    assert "3 to 10 repeats tell nothing apart among 3 methods" in text
    assert text.endswith("To tell more: --repeats 10.")


def test_what_is_above_the_best_on_their_pairs_is_not_told_from_it(repeats: Any) -> None:
    """The best has the highest mean, but not on the repeats that another one has as well."""
    best = repeats("difa", 0.80, 0.81, 0.79, 0.99, 0.99, 0.99)
    (choice,) = of([*best, *repeats("delta", 0.85, 0.861, 0.841)]).choices
    assert (choice.best, choice.rivals[0].apart) == ("DIFA + cMWGAN", False)
    p = choice.rivals[0].p
    assert p is not None
    assert p < 0.05
    assert "use DIFA" not in choice.answer()


def test_what_has_no_repeat_in_common_is_not_told_apart(repeats: Any) -> None:
    runs = repeats("difa", *BEST) + repeats("delta", *FAR, seed=3)
    (choice,) = of(runs).choices
    assert [rival.p for rival in choice.rivals] == [None]
    assert "  DELTA: 81.83 ± 1.94 %, no repeat in common" in choice.details()


def test_equal_differences_tell_nothing_apart(repeats: Any) -> None:
    (choice,) = of(repeats("difa", 0.9, 0.9) + repeats("delta", 0.8, 0.8)).choices
    assert len(choice.near) == 1
    assert choice.details()[-1] == "  DELTA: -10.00 points, n = 2, 1.00 s a run"


def test_seconds_of_different_devices_are_not_compared(three: list[Run]) -> None:
    gpu = [replace(r, result_device="GPU") if r.spec.method == "delta" else r for r in three]
    (choice,) = of(gpu).choices
    assert choice.cheapest() == ""
    assert "not known, as no device has trained all of them" in choice.answer()
    both = [*three, *(replace(r, id=f"{r.id}g", result_device="GPU") for r in three[:6])]
    assert of(both).choices[0].device == "CPU"


def test_seconds_of_different_packs_are_not_compared_where_one_size_has_all(
    three: list[Run],
) -> None:
    """A run in a large pack takes less time, which is none of the method's doing."""
    best, near = three[:6], three[6:12]
    large = [
        replace(r, id=f"{r.id}p", pack_size=6, metrics=replace(r.metrics, train_seconds=0.5))
        for r in best
        if r.metrics is not None
    ]
    (choice,) = of([*best, *near, *large]).choices
    assert (choice.cheapest(), choice.seconds["DIFA + cMWGAN"].mean) == ("DELTA", 9)
    (choice,) = of([*near, *large]).choices
    assert "0.50 s a run on CPU (packs of several sizes)" in choice.answer()


def test_rows_are_the_recipes_own_and_tuned_ones_with_its_imbalance_first(
    repeats: Any, three: list[Run]
) -> None:
    balanced = {"ratio": "1:1", "majority": 0}
    even = repeats("dfg", *BEST, **balanced) + repeats("delta", *FAR, **balanced)
    short = repeats("dfg", *BEST, steps=7) + repeats("delta", *FAR, steps=7)
    names = [choice.name for choice in of([*even, *short, *three]).choices]
    assert names == ["Digits (10:1), source glyphs", "Digits (1:1), source glyphs"]
    assert [choice.name for choice in of(short).choices] == [
        "Digits (10:1), source glyphs, 7 steps"
    ]
    assert of(repeats("dfg", *BEST)).sentences() == []


def test_metric_and_accuracy_are_those_asked_for(three: list[Run]) -> None:
    (choice,) = of(three, metric=Metric.gmean).choices
    assert choice.what == "G-mean"
    assert "looks at the test set" in of(three, select=Select.best).choices[0].what
    assert of(three, select=Select.val).choices == []


def test_the_page_begins_with_it(three: list[Run], repeats: Any) -> None:
    runs = [*three, *repeats("dfg", *NEAR, seconds=20)]
    first, singles = finding(View(runs, RECIPES))
    found = of(runs)
    assert list(first[:2]) == [*found.answers(), *found.mind()]
    assert "chosen by these very runs, which flatters it" in first[1]
    assert first[2].startswith("Digits (10:1), source glyphs: DFG")
    assert singles[0].splitlines() == found.details()
    even = [replace(r, spec=replace(r.spec, ratio="1:1", majority=0)) for r in runs]
    first, singles = finding(View([*runs, *even], RECIPES))
    assert [line.partition(":1)")[0] for line in first[:2]] == ["Digits (10", "Digits (1"]
    assert singles[0].splitlines() == found.choices[0].details()
