"""Verdicts: SciPy's own tests of the same hypotheses decide alike, and what is not judged."""

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from dfgctl import recipe as recipes
from dfgctl.report import published
from dfgctl.report.selection import Select
from dfgctl.report.statistics import Summary
from dfgctl.report.verdicts import (
    Judgement,
    Verdict,
    Word,
    assumed,
    judge,
    judgement_record,
    objections,
)

DIGITS = recipes.load("digits")
PAPER = Summary(0.8081, 0.0025, 45)


def _shifted(ours: Summary, shift: float, alternative: str) -> float:
    """Return the p value of SciPy's Welch test that ours less the paper's is beyond a shift."""
    found = stats.ttest_ind_from_stats(
        *(ours.mean, ours.std, ours.n),
        *(PAPER.mean + shift, PAPER.std, PAPER.n),
        equal_var=False,
        alternative=alternative,
    )
    return float(found.pvalue)


@pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("std", [0.001, 0.01, 0.03])
@pytest.mark.parametrize("points", [-4.0, -1.2, -0.9, 0.0, 0.4, 0.95, 1.05, 2.5])
def test_verdicts_are_those_of_scipys_tests(points: float, std: float, margin: float) -> None:
    ours, m = Summary(PAPER.mean + points / 100, std, 10), margin / 100
    equal = max(_shifted(ours, -m, "greater"), _shifted(ours, m, "less")) <= 0.05
    apart = min(_shifted(ours, m, "greater"), _shifted(ours, -m, "less")) < 0.025
    expected = Word.reproduced if equal else Word.differs if apart else Word.unclear
    found = judge(ours, PAPER, margin)
    assert found.word is expected
    assert found.difference == pytest.approx(points / 100)


def test_all_three_words_are_reached() -> None:
    # The standard errors are 0.0025 / sqrt(45) = 0.0004 and std / sqrt(10), so 0.3 points or 3.
    words = [judge(Summary(m, s, 10), PAPER, 1.0).word for m, s in CASES]
    assert words == [Word.reproduced, Word.differs, Word.unclear]


CASES = [(0.81, 0.01), (0.84, 0.01), (0.81, 0.1)]


@pytest.mark.parametrize(("n", "word"), [(1, Word.too_few), (4, Word.too_few), (5, "reproduced")])
def test_below_five_runs_there_is_no_verdict(n: int, word: str) -> None:
    found = judge(Summary(0.8081, 0.001 if n > 1 else None, n), PAPER, 1.0)
    assert found.word == word
    assert (found.within is None) == (n == 1)


def test_runs_that_are_all_equal_are_judged_by_the_papers_spread() -> None:
    found = judge(Summary(0.8101, 0.0, 5), PAPER, 1.0)
    t = stats.t.ppf(0.95, 44) * 0.0025 / 45**0.5
    assert found.within == pytest.approx((0.002 - t, 0.002 + t))
    assert found.word is Word.reproduced


def test_without_any_spread_the_difference_alone_decides() -> None:
    paper = Summary(0.8, 0.0, 45)
    words = [judge(Summary(m, 0.0, 5), paper, 1.0).word for m in (0.805, 0.83)]
    assert words == [Word.reproduced, Word.differs]


def test_a_wider_margin_reproduces_what_a_narrow_one_does_not() -> None:
    ours = Summary(0.8281, 0.005, 10)
    assert [judge(ours, PAPER, m).word for m in (1.0, 3.0)] == [Word.differs, Word.reproduced]


# What is not judged


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, ()),
        ({"protocol": "released"}, ()),
        ({"source": "mnist"}, ("source mnist",)),
        ({"steps": 100}, ("100 steps",)),
        ({"numerics": "bf16"}, ("precision bf16",)),
        ({"changed": {"dfg.rho": 0.5}}, ("dfg.rho=0.5",)),
        ({"majority": 8, "combination": tuple(range(8))}, ("8 majority classes",)),
        ({"results_version": 0}, ("results version 0",)),
        ({"validation": 0.1, "source": "mnist"}, ("source mnist", "0.1 held out")),
    ],
)
def test_objections_name_what_is_not_the_papers(
    make_run: Any, fields: dict[str, Any], says: tuple[str, ...]
) -> None:
    assert objections([make_run(**fields)], DIGITS) == says


def test_a_dirty_tree_is_objected_to_and_an_unknown_one_is_not(make_run: Any) -> None:
    clean, other, third = (make_run(seed=i) for i in range(3))
    runs = [clean, replace(other, dirty=True), replace(third, dirty=None)]
    assert objections(runs, DIGITS) == ("1 of 3 runs from a dirty tree",)
    assert objections([clean, third], DIGITS) == ()


def test_a_method_without_a_source_has_none_to_object_to(make_run: Any) -> None:
    assert objections([make_run("original")], DIGITS) == ()


# As it is read


def judgement(verdicts: dict[Select, Verdict], *why: str) -> Judgement:
    number = published.accuracy("svhn", "dfg", "10:1")
    assert number is not None
    return Judgement(number, 45, verdicts, why)


NEAR = judge(Summary(0.8101, 0.004, 10), PAPER, 1.0)
FAR = judge(Summary(0.8401, 0.004, 10), PAPER, 1.0)
FEW = judge(Summary(0.8101, 0.004, 3), PAPER, 1.0)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (judgement({Select.last: NEAR}), ["+0.20 reproduced"]),
        (
            judgement({Select.last: NEAR, Select.best: FAR}),
            ["last: +0.20 reproduced", "best: +3.20 differs"],
        ),
        (
            judgement({Select.last: NEAR, Select.best: NEAR}),
            ["last: +0.20 reproduced", "best: +0.20 reproduced"],
        ),
        (judgement({Select.last: FEW, Select.best: FEW}), ["too few runs"]),
        (judgement({}, "source mnist", "100 steps"), ["no verdict: source mnist, 100 steps"]),
        (judgement({Select.best: NEAR}, "100 steps"), ["+0.20 reproduced", "despite: 100 steps"]),
        (judgement({}), []),
    ],
)
def test_a_judgement_is_read_as_lines(found: Judgement, lines: list[str]) -> None:
    assert found.lines() == ["paper 80.81 ± 0.25", *lines]


def test_records_have_the_same_keys_whatever_was_judged() -> None:
    selects = (Select.last, Select.best)
    full, none = (
        judgement_record(found, selects)
        for found in (judgement({Select.last: NEAR, Select.best: FEW}), None)
    )
    assert list(full) == list(none)
    assert full["paper_mean"] == pytest.approx(0.8081)
    assert (full["paper_n"], full["paper_place"]) == (45, "Table 2")
    assert (full["verdict_last"], full["verdict_best"]) == ("reproduced", "too few runs")
    assert NEAR.within is not None
    assert (full["low_90_last"], full["high_90_last"]) == NEAR.within
    assert full["difference_best"] == pytest.approx(0.002)
    assert {v for v in none.values() if v != []} == {None}


def test_the_caption_says_what_is_assumed() -> None:
    text = assumed(["Table 2"], [10, 45, 45], 1.5)
    for part in ("Table 2", "±1.5", "90 %", "95 %", "over 45 or 10 runs", "share classes", "F14"):
        assert part in text
