"""The Pareto front, and the table and the figure of it, on numbers worked out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from crowding import crowded
from scipy import stats

from dfgctl import recipe as recipes
from dfgctl.contenders import CONTENDERS
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run
from dfgctl.report import tables
from dfgctl.report.choosing import choose
from dfgctl.report.figures import Drawn
from dfgctl.report.frontier_figure import draw
from dfgctl.report.fronts import Cost, panels
from dfgctl.report.keys import MOST_NAMED
from dfgctl.report.names import flop_text
from dfgctl.report.selection import Metric, Select
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {"digits": recipes.load("digits")}


@pytest.fixture
def contender(make_run: Any) -> Any:
    """Make runs of a contender that take so many seconds and reach these accuracies."""

    def make(
        name: str,
        seconds: float,
        *accuracies: float,
        metrics: dict[str, float] | None = None,
        **fields: Any,
    ) -> list[Run]:
        method, _, init = name.partition("/")
        if init:
            fields = {"changed": {f"{method}.init": init}, **fields}
        free = {"source": None, "source_identity": None} if not init else {}
        free = free if name in CONTENDERS and method not in ("dfg", "delta", "difa") else {}
        return [
            make_run(
                method,
                accuracy=a,
                combination=(0, i + 1),
                metrics={
                    "train_seconds": seconds + i - (len(accuracies) - 1) / 2,
                    **(metrics or {}),
                },
                **{**free, **fields},
            )
            for i, a in enumerate(accuracies)
        ]

    return make


@pytest.fixture
def four(contender: Any) -> list[Run]:
    """Runs of which original and delta are on the front."""
    return [
        *contender("dfg", 30, 0.8, 0.8),
        *contender("delta", 20, 0.85, 0.83),
        *contender("original", 10, 0.7, 0.72),
        *contender("balanced", 15, 0.7, 0.7),
    ]


def table(runs: Sequence[Run], **how: Any) -> Table:
    return tables.make("frontier", View(runs, RECIPES, **how))


def drawn(runs: Sequence[Run], cost: Cost = Cost.seconds, **how: Any) -> Drawn:
    return draw(choose(runs, RECIPES), View(runs, RECIPES, **how), cost)


def fronts(runs: Sequence[Run], cost: Cost = Cost.seconds, **how: Any) -> list[list[str]]:
    found = panels(View(runs, RECIPES, **how), cost).values()
    return [[point.contender for point in own if point.front] for own in found]


def test_the_front_has_those_that_no_other_one_dominates(four: list[Run]) -> None:
    assert fronts(four) == [["original", "delta"]]


def test_as_good_at_the_same_cost_dominates_nothing(contender: Any) -> None:
    same = contender("delta", 10, 0.7, 0.7) + contender("dfg", 10, 0.7, 0.7)
    assert fronts(same) == [["delta", "dfg"]]
    better = contender("delta", 10, 0.7, 0.7) + contender("dfg", 10, 0.7, 0.8)
    assert fronts(better) == [["dfg"]]
    faster = contender("delta", 9, 0.7, 0.7) + contender("dfg", 10, 0.7, 0.7)
    assert fronts(faster) == [["delta"]]


def test_the_front_is_drawn_by_the_metric_and_the_cost_that_are_asked_for(contender: Any) -> None:
    quick = contender("original", 10, 0.7, metrics={"minority_recall": 0.9})
    slow = contender("dfg", 30, 0.8, metrics={"minority_recall": 0.5})
    runs = [*quick, *slow]
    assert fronts(runs) == [["original", "dfg"]]
    assert fronts(runs, metric=Metric.minority) == [["original"]]
    flop = {slow[0].spec.group(): 1e9, quick[0].spec.group(): 2e9}
    assert fronts(runs, Cost.flop, flop=flop) == [["dfg"]]
    assert fronts(runs, Cost.flop, flop={quick[0].spec.group(): 2e9}) == [["original"]]


def test_devices_have_fronts_of_their_own_and_packs_rows(four: list[Run]) -> None:
    elsewhere = [replace(r, id=f"{r.id}g", result_device="NVIDIA H100") for r in four[:2]]
    packed = [replace(r, id=f"{r.id}p", pack_size=2) for r in four[:2]]
    assert fronts([*four, *elsewhere]) == [["original", "delta"], ["dfg"]]
    made = table([*four, *elsewhere, *packed])
    assert [row[0].lines[0] for row in made.rows] == [
        *("Original", "Balanced batches", "DELTA", "DFG", "DFG", "DFG")
    ]
    assert made.rows[3][1].lines[-2:] == ["CPU", "pack of 1"]
    notes = " ".join(made.notes)
    assert "Times on different devices say nothing" in notes
    assert "In a larger pack a run takes less time" in notes


def test_a_line_has_times_flop_and_metrics_and_says_if_it_is_on_the_front(four: list[Run]) -> None:
    flop = {run.spec.group(): 43.5e9 for run in four if run.spec.method == "original"}
    made = table(four, flop=flop)
    titles = [column.title for column in made.columns]
    first, second = (
        {t: list(c.lines) for t, c in zip(titles, row, strict=True)} for row in made.rows[:2]
    )
    assert first == {
        "Method": ["Original"],
        "Trained on": ["Digits (10:1)", "source glyphs"],
        "Training": ["10.0 ± 0.7 s"],
        "FLOP": ["43.5 GFLOP"],
        "Accuracy": ["71.00 ± 1.41", "n = 2"],
        "Balanced accuracy": ["71.00 ± 1.41", "n = 2"],
        "Minority recall": ["71.00 ± 1.41", "n = 2"],
        "Pareto": ["front"],
    }
    assert (second["FLOP"], second["Pareto"]) == (["not counted"], [])
    assert [c.best for c in made.rows[2]] == [False] * 4 + [True] + [False] * 3
    assert "All on CPU and in packs of 1." in made.caption
    assert any("dfgctl table frontier counts them" in note for note in made.notes)
    assert [r["front"] for r in made.records] == [True, False, True, False]
    assert made.records[0]["flop"] == 43.5e9
    more = table(four, metric=Metric.gmean)
    assert [column.title for column in more.columns][-2:] == ["G-mean", "Pareto"]


def test_starts_of_a_rival_are_two_contenders_of_one_row(contender: Any) -> None:
    runs = contender("balanced", 10, 0.7, 0.7) + contender("balanced/source", 11, 0.8, 0.8)
    assert fronts(runs) == [["balanced", "balanced/source"]]


def test_nothing_to_show_says_what_to_do(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match="dfgctl worker"):
        table([make_run(accuracy=None)])
    with pytest.raises(NothingToShowError, match="--metric"):
        table([make_run(accuracy=float("nan"))], metric=Metric.f1)
    with pytest.raises(InputError, match="--select"):
        table([make_run()], metric=Metric.f1, select=Select.best)
    with pytest.raises(NothingToShowError, match="leave --cost flop out"):
        drawn([make_run()], Cost.flop)


def test_no_value_is_no_point_and_no_place_on_the_front(four: list[Run], make_run: Any) -> None:
    broken = make_run("difa", accuracy=float("nan"), combination=(0, 1))
    assert fronts([*four, broken]) == [["original", "delta"]]
    (line,) = [row for row in table([*four, broken]).rows if row[0].lines[0].startswith("DIFA")]
    assert line[4].lines == ["1 not a number"]
    assert list(drawn([*four, broken]).data.method) == [
        *("difa", "original", "balanced", "delta", "dfg")
    ]


def test_the_figure_has_t_intervals_and_the_front_as_steps(four: list[Run]) -> None:
    made = drawn(four)
    row = made.data.set_index("method").loc["delta"]
    low, high = stats.ttest_1samp([0.85, 0.83], 0).confidence_interval(0.95)
    assert (row.low, row.high) == (pytest.approx(low), pytest.approx(high))
    assert made.said[0] == (
        "On the Pareto front, the line: Original 71.00 %, 10.0 s; DELTA 84.00 %, 20.0 s."
    )
    assert set(made.runs) == {run.id for run in four}
    (axes,) = made.figure.axes
    assert axes.get_xscale() == "log"
    (steps,) = [line for line in axes.lines if len(line.get_xdata()) == 5]
    assert list(steps.get_xdata())[:4] == pytest.approx([10, 20, 20, axes.get_xlim()[1]])
    assert list(steps.get_ydata()) == pytest.approx([71, 71, 84, 84, 84])


def test_a_figure_of_one_run_and_of_flop(contender: Any) -> None:
    runs = contender("dfg", 10, 0.7)
    made = drawn(runs, Cost.flop, flop={runs[0].spec.group(): 2e12})
    assert "DFG 70.00 %, 2.00 TFLOP." in made.said[0]
    assert "a single run has none" in made.said[1]
    assert made.name == "frontier-digits-flop"
    assert crowded(made.figure) == []


def test_all_contenders_are_listed_in_a_key_the_best_first(contender: Any) -> None:
    runs = []
    for i, name in enumerate(CONTENDERS):
        base, seconds = 0.8 + 0.004 * (i * 7 % 17), (4.0, 4.05, 5.0, 9.0)[i % 4]
        runs += contender(name, seconds, base, base + 0.01)
    elsewhere = [replace(r, id=f"{r.id}g", result_device="NVIDIA H100") for r in runs[:8]]
    made = drawn([*runs, *elsewhere])
    assert crowded(made.figure) == []
    both, few = made.figure.axes
    assert [axes.get_title("left") for axes in (both, few)] == ["CPU", "NVIDIA H100"]
    key = both.get_legend()
    listed = [text.get_text() for text in key.get_texts()]
    best = next(name for i, name in enumerate(CONTENDERS) if i * 7 % 17 == 16)
    assert listed[0].startswith(f"{CONTENDERS[best]}: 86.90 %, ")
    assert {text.partition(":")[0] for text in listed} == set(CONTENDERS.values())
    drawn_as = {handle.get_marker() + str(handle.get_color()) for handle in key.legend_handles}
    assert len(drawn_as) == len(CONTENDERS)
    assert few.get_legend() is None
    assert any(line.endswith("side by side: the key has their costs.") for line in made.said)


def test_as_many_as_can_be_are_named_where_they_lie_without_a_word_on_another(
    contender: Any,
) -> None:
    names = list(CONTENDERS)[-MOST_NAMED:]
    runs = []
    for i, name in enumerate(names):
        base, seconds = 0.8 + 0.004 * (i * 3 % 8), (4.0, 4.05, 5.0, 9.0)[i % 4]
        runs += contender(name, seconds, base, base + 0.01)
    made = drawn(runs)
    assert crowded(made.figure) == []
    (axes,) = made.figure.axes
    assert axes.get_legend() is None
    assert {CONTENDERS[name] for name in names} <= {text.get_text() for text in axes.texts}
    assert any(line.endswith("side by side.") for line in made.said)


def test_flop_are_written_with_three_figures() -> None:
    written = [flop_text(f) for f in (12.0, 43.54e9, 999.96e9, 1.866e16, 2.5e18)]
    assert written == ["12 FLOP", "43.5 GFLOP", "1.00 TFLOP", "18.7 PFLOP", "2.50 EFLOP"]
