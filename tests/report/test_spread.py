"""The table of spread: what it shows, and what it says where it cannot tell."""

from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.records import Run
from dfgctl.report.rendering import render
from dfgctl.report.spread import make
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {"digits": recipes.load("digits")}


def table(runs: list[Run]) -> Table:
    return make(View(runs=runs, recipes=RECIPES))


def runs_of(make_run: Any, values: dict[Any, list[float]], method: str = "dfg") -> list[Run]:
    return [
        make_run(method, value, combination=combination, seed=seed)
        for combination, several in values.items()
        for seed, value in enumerate(several)
    ]


def texts(shown: Table) -> list[list[str]]:
    return [[cell.text() for cell in row[2:]] for row in shown.rows]


def test_both_standard_deviations_in_points_and_the_share(make_run: Any) -> None:
    # As in test_variance: variances 0.07 and 0.02, a share of 7/9.
    shown = table(runs_of(make_run, {(0, 4): [0.1, 0.3], (1, 7): [0.5, 0.7]}))
    assert texts(shown) == [["26.46", "14.14", "78", "[0, 100]", "4 (2×2)"]]
    (record,) = shown.records
    assert record["std_combination"] == pytest.approx(0.07**0.5)
    assert record["std_seed"] == pytest.approx(0.02**0.5)
    assert record["share"] == pytest.approx(7 / 9)
    assert (record["combinations"], record["n"], record["balanced"]) == (2, 4, True)
    assert any("as few as 2" in note for note in shown.notes)


def test_with_one_seed_it_cannot_tell_and_says_what_to_run(make_run: Any) -> None:
    values = {(0, 4): [0.1], (1, 7): [0.5]}
    shown = table(runs_of(make_run, values) + runs_of(make_run, values, "delta"))
    assert [row[0] for row in texts(shown)] == ["cannot tell: one seed"] * 2
    said = 'dfgctl run digits --method delta --method dfg --combinations "0,4;1,7" --seeds 2'
    assert any(said in note for note in shown.notes)
    assert shown.records[1]["remedy"] == said.replace(" --method delta", "")
    assert shown.records[1]["std_combination"] is None


def test_one_combination_asks_for_more(make_run: Any) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.1, 0.3]}))
    assert texts(shown)[0][:2] == ["one combination", "14.14"]
    assert shown.records[0]["remedy"] == "dfgctl run digits --method dfg --repeats 2 --seeds 2"


def test_a_negative_estimate_is_0_and_said(make_run: Any) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.1, 0.5], (1, 7): [0.2, 0.4]}))
    assert texts(shown)[0][0] == "0.00 (<0)"
    assert any(note.startswith("<0:") for note in shown.notes)
    assert shown.records[0]["variance_combination"] == pytest.approx(-0.025)


def test_unequal_numbers_of_seeds_are_said(make_run: Any) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.1, 0.2, 0.3], (1, 7): [0.45, 0.65]}))
    assert texts(shown)[0][-1] == "5 (2×2–3)"
    assert any("approximate" in note for note in shown.notes)


def test_values_that_are_all_equal_have_no_share(make_run: Any) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.5, 0.5], (1, 7): [0.5, 0.5]}))
    assert texts(shown)[0] == ["nothing varies", "0.00", "", "", "4 (2×2)"]


def test_seeds_without_effect_leave_no_interval(make_run: Any) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.5, 0.5], (1, 7): [0.7, 0.7]}))
    assert texts(shown)[0][1:4] == ["0.00", "100", "–"]
    assert any("No interval" in note for note in shown.notes)


def test_without_majority_classes_all_is_the_seeds(make_run: Any) -> None:
    even = {"ratio": "1:1", "majority": 0, "combination": ()}
    shown = table([make_run(accuracy=a, seed=s, **even) for s, a in enumerate([0.1, 0.3])])
    assert texts(shown)[0] == ["no combinations", "14.14", "", "", "2"]
    assert shown.records[0]["remedy"] == ""
    assert any("all of it is the seed's" in note for note in shown.notes)


def test_no_more_than_three_commands_stand_below(make_run: Any) -> None:
    rhos = [0.1, 0.2, 0.3, 0.4, 0.5]
    shown = table([make_run(changed={"dfg.rho": rho}) for rho in rhos])
    assert sum("To tell: dfgctl run" in note for note in shown.notes) == 3
    assert any(note.startswith("2 more rows") for note in shown.notes)
    assert all(
        f"dfg.rho={rho}" in str(r["remedy"]) for rho, r in zip(rhos, shown.records, strict=True)
    )


def test_without_finished_runs_there_is_no_table(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match="No run has finished"):
        table([make_run(accuracy=None)])


@pytest.mark.parametrize("kind", ["md", "latex", "csv", "json", "html"])
def test_it_can_be_written(make_run: Any, kind: str) -> None:
    shown = table(runs_of(make_run, {(0, 4): [0.1, 0.3], (1, 7): [0.5, 0.7]}))
    assert "DFG" in render(shown, kind) or "dfg" in render(shown, kind)


def test_a_rival_from_the_sources_weights_is_trained_from_them(make_run: Any) -> None:
    runs = [
        make_run("balanced", combination=(0, c), changed={"balanced.init": "source"})
        for c in (1, 2)
    ]
    (note,) = [note for note in table(runs).notes if "--seeds 2" in note]
    assert "dfgctl run digits --method balanced --set balanced.init=source --combinations" in note
