"""Readings of the ledger are compared on the pairs that both have: numbers worked out by hand."""

from dataclasses import replace
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.report import tables
from dfgctl.report.readings import comparisons
from dfgctl.report.remake import command
from dfgctl.report.selection import Select
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in ("digits", "svhn")}


def table(runs: list[Any], **how: Any) -> Table:
    return tables.make("ledger", View(runs, RECIPES, **how))


def cells(made: Table, i: int) -> dict[str, list[str]]:
    return {c.title: list(x.lines) for c, x in zip(made.columns, made.rows[i], strict=True)}


def switched(run: Any, *switches: str, reading: str = "released") -> Any:
    """Let single switches of a run be read otherwise."""
    settings = {**run.spec.settings, "fidelity": dict.fromkeys(switches, reading)}
    spec = replace(run.spec, settings=settings)
    return replace(run, id=spec.identity(), spec=spec)


def both(make_run: Any, method: str = "dfg", **fields: Any) -> list[Any]:
    """Three pairs of both protocols: the last differ by 10, 20 and 30 points."""
    made = []
    for i in range(3):
        own = {"combination": (i, 4), "seed": i, **fields}
        made.append(make_run(method, 0.5, **own))
        last = 0.5 + 0.1 * (i + 1)
        best = {"accuracy_best": last + 0.05}
        other = {"protocol": "released", "metrics": best, "source_identity": "9" * 64}
        made.append(make_run(method, last, **{**own, **other}))
    return made


def test_differences_are_paired_and_have_a_t_interval(make_run: Any) -> None:
    own, last = comparisons(both(make_run), RECIPES)
    # 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, so 0.1/sqrt(3) times t(0.975; 2) = 4.302653 each way.
    assert (own.selects, last.selects) == (
        (Select.last, Select.best),
        (Select.last, Select.last),
    )
    assert last.difference is not None
    assert last.difference.n == 3
    assert last.difference.mean == pytest.approx(0.2)
    assert last.difference.interval() == (
        pytest.approx(0.2 - 0.2484138, abs=1e-6),
        pytest.approx(0.2 + 0.2484138, abs=1e-6),
    )
    assert own.difference is not None
    assert own.difference.mean == pytest.approx(0.25)


def test_each_reading_is_shown_at_its_own_selection_and_at_the_last(make_run: Any) -> None:
    made = table(both(make_run))
    assert len(made.rows) == 2
    assert cells(made, 0)["Other"] == ["75.00 ± 10.00", "best", "n = 3"]
    assert cells(made, 1) == {
        "Data set": ["Digits (10:1)"],
        "Compared": ["DFG", "protocol released", "source glyphs"],
        "Paper": ["50.00 ± 0.00", "last", "n = 3"],
        "Other": ["70.00 ± 10.00", "last", "n = 3"],
        "Difference": ["+20.00", "-4.84 to +44.84", "n = 3"],
    }
    assert [r["difference"] for r in made.records] == [pytest.approx(0.25), pytest.approx(0.2)]
    (note,) = [n for n in made.notes if n.startswith("What protocol released")]
    assert "DFG on LeNet-5: F01, F03" in note
    assert "F02" not in note  # no switch
    assert "F27" not in note  # VGG-16's


def test_what_is_asked_for_is_compared_once(make_run: Any) -> None:
    (made,) = comparisons(both(make_run), RECIPES, Select.best)
    assert made.selects == (Select.best, Select.best)
    with pytest.raises(NothingToShowError, match="--validation"):
        table(both(make_run), select=Select.val)


def test_only_common_pairs_are_subtracted(make_run: Any) -> None:
    runs = [*both(make_run), make_run(accuracy=0.9, seed=7), make_run(accuracy=0.9, seed=8)]
    _, last = comparisons(runs, RECIPES)
    assert last.difference is not None
    assert (last.difference.n, last.difference.mean) == (3, pytest.approx(0.2))
    assert last.means[0] is not None
    assert last.means[0].n == 5


def test_single_switches_are_rows_of_their_own_with_what_they_are(make_run: Any) -> None:
    runs = [make_run(accuracy=a, seed=i) for i, a in enumerate((0.5, 0.6))]
    runs += [switched(make_run(accuracy=0.7, seed=i), "F05") for i in range(2)]
    runs += [switched(make_run(accuracy=0.4, seed=0), "F04", "F05")]
    made = table(runs)
    assert [cells(made, i)["Compared"] for i in range(2)] == [
        ["DFG", "F04=released, F05=released", "source glyphs"],
        ["DFG", "F05=released", "Where the weight enters (Eq. 9)", "source glyphs"],
    ]
    assert cells(made, 0)["Difference"] == ["-10.00", "no interval", "n = 1"]
    assert any(n.startswith("F05, Where the weight enters") for n in made.notes)
    assert any("Released: after the last batch norm." in n for n in made.notes)


def test_rows_are_in_the_order_of_ratio_method_and_reading(make_run: Any) -> None:
    balanced = {"ratio": "1:1", "majority": 0, "combination": ()}
    runs = [
        *both(make_run),
        switched(make_run(), "F05"),
        *both(make_run, "original"),
        *both(make_run, **balanced),
    ]
    found = comparisons(runs, RECIPES, Select.last)
    assert [(c.row.ratio, c.paper[0].spec.method, c.reading.text()) for c in found] == [
        ("1:1", "dfg", "protocol released"),
        ("10:1", "original", "protocol released"),
        ("10:1", "dfg", "protocol released"),
        ("10:1", "dfg", "F05=released"),
    ]


def test_a_switch_of_protocol_released_read_as_the_paper_is_told(make_run: Any) -> None:
    other = switched(make_run(protocol="released"), "F08", reading="paper")
    made = comparisons([make_run(), other], RECIPES)
    assert {c.reading.text() for c in made} == {"protocol released, F08=paper"}


def test_differences_that_are_all_the_same_have_no_interval(make_run: Any) -> None:
    runs = [make_run(accuracy=0.1 * i, combination=(0, i)) for i in (1, 2, 3)]
    others = [(0.1 * i + 0.1, (0, i)) for i in (1, 2, 3)]
    runs += [switched(make_run(accuracy=a, combination=c), "F14") for a, c in others]
    made = table(runs)
    assert cells(made, 1)["Difference"] == ["+10.00", "all the same", "n = 3"]


def test_seeds_are_averaged_within_a_combination(make_run: Any) -> None:
    gains = {((0, 4), 0): 0.1, ((0, 4), 1): 0.3, ((1, 7), 0): 0.3, ((1, 7), 1): 0.5}
    runs = [make_run(combination=c, seed=s) for c, s in gains]
    runs += [
        switched(make_run(accuracy=0.5 + gain, combination=c, seed=s), "F05")
        for (c, s), gain in gains.items()
    ]
    made = table(runs)
    # 0.2 and 0.4: mean 0.3, deviation 0.1414, so 0.1 times t(0.975; 1) = 12.7062 each way.
    assert cells(made, 0)["Difference"] == ["+30.00", "-97.06 to +157.06", "n = 2", "4 pairs"]
    (record,) = made.records
    assert (record["units"], record["unit"], record["pairs"]) == (2, "combination", 4)
    assert "Seeds are averaged within a combination first" in made.caption


def test_without_majority_classes_each_seed_counts(make_run: Any) -> None:
    balanced = {"ratio": "1:1", "majority": 0, "combination": ()}
    runs = [make_run(accuracy=0.5, seed=i, **balanced) for i in range(3)]
    runs += [switched(make_run(accuracy=0.6, seed=i, **balanced), "F05") for i in range(3)]
    (record,) = table(runs).records
    assert (record["units"], record["unit"], record["pairs"]) == (3, "seed", 3)


def test_runs_that_differ_in_more_are_not_compared(make_run: Any) -> None:
    for changed in (
        {"changed": {"dfg.rho": 0.0}},
        {"steps": 50},
        {"source": "mnist"},
        {"ratio": "40:1"},
        {"validation": 0.1},
        {"data_digest": "e" * 64},
        {"numerics": "bf16"},
    ):
        assert comparisons([make_run(), make_run(protocol="released", **changed)], RECIPES) == []


def test_the_papers_number_stands_beside_the_recipes_own_runs(make_run: Any) -> None:
    made = table([*both(make_run), *both(make_run, dataset="svhn")])
    assert [cells(made, i)["Printed"] for i in range(4)] == [[], [], *[["80.81 ± 0.25"]] * 2]
    assert any("73,237" in note for note in made.notes)
    shortened = table(both(make_run, dataset="svhn", steps=50))
    assert "Printed" not in cells(shortened, 0)
    assert cells(shortened, 0)["Data set"] == ["SVHN (10:1) †"]


def test_without_common_pairs_it_says_how_to_get_them(make_run: Any) -> None:
    pairs = [((0, 4), 0), ((1, 7), 0), ((0, 4), 1), ((1, 7), 1)]
    runs = [make_run(combination=c, seed=s) for c, s in pairs]
    runs += [make_run(protocol="released", combination=(2, 3), seed=5)]
    made = table(runs)
    assert cells(made, 0)["Difference"] == ["no common pairs"]
    (note,) = [n for n in made.notes if n.startswith("Without common pairs")]
    assert note.endswith(
        "dfgctl run digits --method dfg --imbalance 10:1 --majority 2 --combinations '0,4;1,7' "
        "--repeats 4 --seed 0 --source glyphs --protocol released"
    )
    assert note.count("dfgctl run") == 1  # both rows need the same


def test_what_is_no_number_is_left_out(make_run: Any) -> None:
    runs = [r for r in both(make_run) if not (r.spec.seed == 2 and r.spec.protocol == "paper")]
    runs.append(make_run(accuracy=float("nan"), seed=2))
    made = table(runs, select=Select.last)
    assert cells(made, 0)["Paper"] == ["50.00 ± 0.00", "last", "n = 2"]
    assert cells(made, 0)["Difference"][2] == "n = 2"


def test_where_there_is_nothing_to_compare_it_says_what_to_run(make_run: Any) -> None:
    papers = [make_run("original"), make_run(), make_run(combination=(1, 7))]
    with pytest.raises(NothingToShowError, match=r"--method dfg .*'0,4;1,7'.* released$"):
        table(papers)
    released = make_run(protocol="released")
    with pytest.raises(NothingToShowError, match="leave --protocol out") as caught:
        table([released])
    assert "--protocol released" not in str(caught.value)
    with pytest.raises(NothingToShowError, match=r"dfgctl run digits --method dfg$"):
        table([make_run(accuracy=None)])
    queued = make_run(accuracy=None, protocol="released", status="queued")
    with pytest.raises(NothingToShowError, match="both of the paper's reading and of another"):
        table([*papers, queued])


def test_a_command_names_the_pairs_that_it_can(make_run: Any) -> None:
    run = make_run("original", combination=(0, 4))
    uneven = [((0, 4), 3), ((1, 7), 3), ((0, 4), 4)]
    assert "--combinations '0,4;1,7' --repeats 2 --seed 3" in command(run, uneven)
    balanced = make_run("original", ratio="1:1", combination=(), majority=0)
    assert "--imbalance 1:1 --repeats 3 --seed 2" in command(
        balanced, [((), 2), ((), 3), ((), 4), ((), 9)]
    )
    assert "--combinations 0,4 --repeats 1 --seed 0" in command(run)
    assert "--set fidelity.F14=released" in command(switched(run, "F14"))
    assert "fidelity" not in command(switched(run, "F14"), protocol="released")
