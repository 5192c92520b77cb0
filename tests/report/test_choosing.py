"""Which runs a figure of one row shows."""

from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report.choosing import choose

DIGITS = {"digits": recipes.load("digits")}


def test_the_recipes_row_comes_first_and_all_methods_share_it(make_run: Any) -> None:
    own = [make_run(method, seed=seed) for method in ("original", "dfg") for seed in (0, 1)]
    others = [make_run("dfg", changed={"dfg.rho": 0.0}, seed=seed) for seed in range(5)]
    queued = make_run("dfg", None, seed=9)
    found = choose([*others, *own, queued], DIGITS)
    assert {run.id for run in found.runs} == {run.id for run in own}
    assert [run.id for run in found.unfinished] == [queued.id]
    assert found.left_out == 5
    assert found.heading() == "Digits (10:1)\nsource glyphs"
    assert found.aside() == [
        "Left out: 5 finished runs with another source, imbalance or settings."
    ]


def test_the_heading_of_other_settings_says_them(make_run: Any) -> None:
    found = choose([make_run("dfg", steps=50)], DIGITS)
    assert found.heading() == "Digits (10:1)\nsource glyphs, 50 steps"
    assert found.aside() == []
    assert choose([make_run("original")], DIGITS).heading() == "Digits (10:1)"


def test_without_the_recipes_row_that_with_most_runs_is_shown(make_run: Any) -> None:
    few = [make_run("dfg", steps=50)]
    many = [make_run("dfg", steps=60, seed=seed) for seed in range(3)]
    assert choose(few + many, DIGITS).runs == many


def test_runs_are_chosen_by_method_imbalance_and_majority(make_run: Any) -> None:
    ours, plain = make_run("dfg"), make_run("original")
    balanced = make_run("dfg", ratio="1:1", majority=0, combination=())
    eight = make_run("dfg", majority=8, combination=tuple(range(8)))
    runs = [ours, plain, balanced, eight]
    assert choose(runs, DIGITS, ["original"]).runs == [plain]
    assert choose(runs, DIGITS, ratio=" 1.0:1").runs == [balanced]
    assert choose(runs, DIGITS, majority=8).runs == [eight]
    assert choose(runs, DIGITS, ["dfg"]).runs == [ours]


def test_a_group_stands_for_its_methods_from_any_start(make_run: Any) -> None:
    runs = [
        *(make_run("dfg"), make_run("original")),
        make_run("balanced", changed={"balanced.init": "source"}),
    ]
    assert runs[2].spec.contender == "balanced/source"
    assert choose(runs, DIGITS, ["paper"]).runs == runs[:2]
    assert choose(runs, DIGITS, ["rivals"]).runs == runs[2:]
    assert choose(runs, DIGITS, ["rivals", "dfg"]).runs == [runs[0], runs[2]]
    assert choose(runs, DIGITS, ["all"]).runs == runs


def test_a_row_without_finished_runs_is_never_shown(make_run: Any) -> None:
    waiting = [make_run("dfg", None, seed=seed) for seed in range(3)]
    done = make_run("dfg", steps=50)
    assert choose([*waiting, done], DIGITS).runs == [done]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "on digits: train some with dfgctl run digits"),
        ({"methods": ["delta"]}, "of delta on digits: .*run digits --method delta"),
        ({"ratio": "40:1"}, "with the imbalance 40:1: .*run digits --imbalance 40:1"),
        ({"majority": 3}, "with 3 majority classes: .*run digits --majority 3$"),
        ({"majority": 0}, "with no majority classes: .*run digits --imbalance 1:1$"),
        (
            {"majority": 1, "protocol": "released"},
            "with 1 majority class and the protocol released: .*--majority 1 --protocol released$",
        ),
    ],
)
def test_without_runs_it_is_said_what_to_run(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(NothingToShowError, match=words):
        choose([], DIGITS, **asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"majority": 99}, "99 majority classes of 10 leave no imbalance: --majority takes 1 to 9"),
        ({"majority": 0, "ratio": "10:1"}, "At 10:1 there are majority classes: leave --majority"),
        ({"majority": 2, "ratio": "1:1"}, "At 1:1 there are no majority classes"),
        ({"protocol": "releasd"}, "did you mean 'released'"),
    ],
)
def test_what_no_run_can_have_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        choose([], DIGITS, **asked)
    assert "dfgctl run" not in str(caught.value)


def test_waiting_runs_are_told(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match=r"digits \(2 wait or are under way\)"):
        choose([make_run("dfg", None, seed=seed) for seed in (0, 1)], DIGITS)


def test_several_data_sets_are_to_be_chosen_from(make_run: Any) -> None:
    both = {**DIGITS, "fmnist": recipes.load("fmnist")}
    runs = [make_run("dfg"), make_run("dfg", dataset="fmnist")]
    with pytest.raises(InputError, match=r"digits and fmnist: choose one with --dataset"):
        choose(runs, both)
    assert choose([*runs[:1], make_run("dfg", None, dataset="fmnist")], both).runs == runs[:1]


def test_a_bad_imbalance_is_refused(make_run: Any) -> None:
    with pytest.raises(InputError, match="is no imbalance"):
        choose([make_run("dfg")], DIGITS, ratio="ten")
