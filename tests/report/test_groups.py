"""Rows never mix runs that differ in what matters, and a method without source joins them all."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from dfgctl import RESULTS_VERSION
from dfgctl import recipe as recipes
from dfgctl.contenders import METHODS
from dfgctl.records import Run
from dfgctl.report.groups import Row, each_row, row_of, rows

RECIPES = {name: recipes.load(name) for name in ("digits", "fmnist")}


@pytest.mark.parametrize("method", METHODS)
def test_the_recipes_own_runs_depart_in_nothing(make_run: Any, method: str) -> None:
    row = row_of(make_run(method), RECIPES["digits"])
    assert row.notes == ()
    assert row.is_recipe()


def test_combination_and_seed_share_a_row(make_run: Any) -> None:
    runs = [make_run(), make_run(combination=(1, 7)), make_run(seed=3), make_run("delta", seed=3)]
    found = rows(runs, RECIPES)
    assert list(found.values()) == [runs]


def test_a_row_is_made_once_for_runs_that_share_their_settings(make_run: Any) -> None:
    first = make_run()
    shared = [replace(first, spec=replace(first.spec, seed=seed)) for seed in range(5)]
    other = replace(first, spec=replace(first.spec, steps=20))
    equal = make_run(seed=9)  # its settings are equal, but another object
    made = []

    def make(run: Run) -> Row:
        made.append(run)
        return row_of(run, RECIPES["digits"])

    runs = [*shared, other, equal, *shared]
    found = list(each_row(runs, make))
    assert [run for run, _ in found] == runs
    assert [row for _, row in found] == [row_of(run, RECIPES["digits"]) for run in runs]
    assert made == [shared[0], other, equal]
    assert list(rows(runs, RECIPES).values()) == [[*shared, equal, *shared], [other]]


def test_sorting_runs_into_rows_changes_none_of_them(make_run: Any) -> None:
    runs = [make_run(), make_run("original"), make_run(changed={"dfg.rho": 0.5})]
    before = deepcopy(runs)
    rows(runs, RECIPES)
    assert runs == before


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"source": "mnist"}, None),
        ({"source_identity": "6" * 64}, None),
        ({"data_digest": "e" * 64}, None),
        ({"ratio": "40:1"}, None),
        ({"steps": 100}, "100 steps"),
        ({"steps": 20_000}, "20,000 steps"),
        ({"majority": 3, "combination": (0, 1, 2)}, "3 majority classes"),
        ({"majority_count": 40}, "40 images a majority class"),
        ({"eval_every": 10}, "10"),
        ({"validation": 0.25}, "0.25 held out"),
        ({"protocol": "released"}, "protocol released"),
        ({"numerics": "bf16"}, "precision bf16"),
        ({"results_version": RESULTS_VERSION + 1}, f"results version {RESULTS_VERSION + 1}"),
        ({"changed": {"dfg.rho": 0.5}}, "dfg.rho=0.5"),
        ({"changed": {"reg.alpha": 0.0}}, "reg.alpha=0"),
        ({"changed": {"dfg.rho": 0.7500001}}, "dfg.rho=0.7500001"),
        ({"backbone": "vgg16"}, "vgg16"),
    ],
)
def test_runs_that_differ_in_what_matters_never_share_a_row(
    make_run: Any, fields: dict[str, Any], note: str | None
) -> None:
    own, other = make_run(), make_run(**fields)
    found = rows([own, other], RECIPES)
    assert sorted(found.values(), key=lambda members: members != [own]) == [[own], [other]]
    row = next(row for row, members in found.items() if members == [other])
    assert row.is_recipe() == (note is None)
    if note is not None:
        assert note in " ".join(row.notes)


def test_two_swept_values_that_look_alike_never_share_a_row(make_run: Any) -> None:
    runs = [make_run(changed={"dfg.rho": rho}) for rho in (0.1234567, 0.1234568)]
    assert len(rows(runs, RECIPES)) == 2


def test_runs_on_other_data_sets_never_share_a_row(make_run: Any) -> None:
    assert len(rows([make_run(), make_run(dataset="fmnist")], RECIPES)) == 2


def test_original_joins_every_row_that_it_agrees_with(make_run: Any) -> None:
    original = make_run("original")
    one, two = make_run(source="glyphs"), make_run(source="mnist", source_identity="6" * 64)
    elsewhere = make_run(ratio="40:1")
    found = {
        row.source if row.ratio == "10:1" else row.ratio: members
        for row, members in rows([original, one, two, elsewhere], RECIPES).items()
    }
    assert found == {"glyphs": [one, original], "mnist": [two, original], "40:1": [elsewhere]}


@pytest.mark.parametrize(
    "fields",
    [{"ratio": "40:1"}, {"data_digest": "e" * 64}, {"validation": 0.1}, {"steps": 100}],
)
def test_original_joins_no_row_that_it_does_not_agree_with(
    make_run: Any, fields: dict[str, Any]
) -> None:
    original, other = make_run("original"), make_run("finetune", **fields)
    assert sorted(map(len, rows([original, other], RECIPES).values())) == [1, 1]


def test_original_alone_has_a_row_without_source(make_run: Any) -> None:
    runs = [make_run("original"), make_run("original", seed=1)]
    ((row, members),) = rows(runs, RECIPES).items()
    assert row.source is None
    assert members == runs


def test_rows_come_in_the_recipes_order_and_the_recipes_own_settings_first(make_run: Any) -> None:
    runs = [
        make_run(dataset="fmnist"),
        make_run(changed={"dfg.rho": 0.5}),
        make_run(source="mnist"),
        make_run(),
    ]
    for given in (runs, runs[::-1]):
        order = [(r.dataset, r.notes, r.source) for r in rows(given, RECIPES)]
        assert order == [
            ("digits", (), "glyphs"),
            ("digits", (), "mnist"),
            ("digits", ("dfg.rho=0.5",), "glyphs"),
            ("fmnist", (), RECIPES["fmnist"].sources[0]),
        ]


def test_ratios_come_in_the_order_of_numbers(make_run: Any) -> None:
    ratios = ["1:1", "2.5:1", "5:1", "10:1", "40:1", "100:1"]
    found = rows([make_run(ratio=ratio) for ratio in reversed(ratios)], RECIPES)
    assert [row.ratio for row in found] == ratios


def test_another_pretraining_is_a_departure_that_original_does_not_have(make_run: Any) -> None:
    source = RECIPES["digits"].source.values()
    plain = make_run(source_identity="1" * 64)
    settings = {**plain.spec.settings, "source": source}
    same = replace(plain, spec=replace(plain.spec, settings=settings))
    settings = {**plain.spec.settings, "source": {**source, "steps": 20}}
    other = replace(plain, spec=replace(plain.spec, settings=settings, source_identity="2" * 64))
    assert row_of(same, RECIPES["digits"]).notes == ()
    assert row_of(other, RECIPES["digits"]).notes == ("source.steps=20",)
    original = make_run("original")
    found = rows([same, other, original], RECIPES)
    assert [len(members) for members in found.values()] == [2, 2]


# Methods that the recipes do not know


def own(
    make_run: Any, steps: int = 500, lr: float = 0.1, sha256: str = "c" * 64, **fields: Any
) -> Any:
    run = make_run(steps=steps, **fields)
    code = {"title": "Mine", "sha256": sha256, "defaults": {"steps": 500, "lr": 0.1}}
    settings = {"mine": {"lr": lr}, "code": code}
    return replace(run, spec=replace(run.spec, method="mine", settings=settings))


def test_a_method_of_ones_own_shares_the_row_of_the_recipes_methods(make_run: Any) -> None:
    runs = [make_run(), own(make_run), own(make_run, seed=1)]
    assert list(rows(runs, RECIPES).values()) == [runs]


def test_its_settings_are_compared_with_its_defaults(make_run: Any) -> None:
    odd = [own(make_run, lr=0.2, seed=seed) for seed in (0, 1, 2)]
    longer = own(make_run, steps=900)
    found = rows([*odd, longer, own(make_run), make_run()], RECIPES)
    assert {row.notes: len(members) for row, members in found.items()} == {
        (): 2,
        ("mine.lr=0.2",): 3,
        ("900 steps",): 1,
    }


def test_its_trials_stand_beside_those_of_the_other_methods(make_run: Any) -> None:
    trials = [make_run(steps=20), *(own(make_run, steps=20, seed=seed) for seed in (0, 1, 2))]
    for runs in (trials, [*trials, own(make_run), make_run()]):
        found = {row.notes: members for row, members in rows(runs, RECIPES).items()}
        assert found[("20 steps",)] == trials
        assert len(found.get((), [])) == len(runs) - len(trials)


def test_runs_of_two_codes_of_one_method_never_share_a_row(make_run: Any) -> None:
    first, second = own(make_run), own(make_run, sha256="1234567" + "e" * 57)
    found = {row.notes: members for row, members in rows([first, second], RECIPES).items()}
    assert found == {("code 1234567",): [second], ("code ccccccc",): [first]}


@pytest.mark.parametrize(
    ("protocol", "reading", "notes"),
    [
        ("paper", "released", ("fidelity.F05=released",)),
        ("released", "paper", ("protocol released", "fidelity.F05=paper")),
    ],
)
def test_a_switch_that_is_not_read_as_the_protocol_says_is_a_departure(
    make_run: Any, protocol: str, reading: str, notes: tuple[str, ...]
) -> None:
    run = make_run(protocol=protocol)
    settings = {**run.spec.settings, "fidelity": {"F05": reading}}
    switched = replace(run, spec=replace(run.spec, settings=settings))
    assert row_of(switched, RECIPES["digits"]).notes == notes


def test_a_method_without_source_joins_the_rows_of_its_own_precision(make_run: Any) -> None:
    single = [make_run(), make_run("original")]
    rough = [make_run(numerics="bf16"), make_run("original", numerics="bf16")]
    tf32 = [make_run(numerics="tf32")]
    found = rows([*single, *rough, *tf32], RECIPES)
    assert {row.notes: members for row, members in found.items()} == {
        (): single,
        ("precision bf16",): rough,
        ("precision tf32",): tf32,
    }
