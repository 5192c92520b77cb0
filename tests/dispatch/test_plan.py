"""Plans: which runs, with which combinations, seeds and settings, and what cannot be planned."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dfgctl.contenders import METHODS
from dfgctl.data.imbalance import combination_at
from dfgctl.data.manifest import Manifest
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch.plan import Plan
from dfgctl.dispatch.request import Request, check
from dfgctl.errors import InputError, SettingError, UnknownNameError
from dfgctl.records import RunSpec

Make = Callable[..., Plan]
ORDER = [combination_at(i, 10, 2) for i in range(45)]


def pairs(plan: Plan, method: str = "original") -> list[tuple[tuple[int, ...], int]]:
    return [(r.spec.combination, r.spec.seed) for r in plan.runs if r.spec.method == method]


# Repeats


def test_repeat_i_has_combination_i_mod_c_and_seed_s_plus_i_div_c(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), repeats=100, seed=7)
    assert pairs(plan) == [(ORDER[i % 45], 7 + i // 45) for i in range(100)]


def test_45_repeats_of_2_majority_classes_of_10_cover_all_combinations(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), repeats=45)
    assert {c for c, _ in pairs(plan)} == set(combinations(range(10), 2))
    assert {s for _, s in pairs(plan)} == {0}


def test_each_combination_of_the_repeats_has_as_many_seeds_as_asked_for(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), repeats=3, seeds=2, seed=7)
    assert pairs(plan) == [(ORDER[i], 7) for i in range(3)] + [(ORDER[i], 8) for i in range(3)]


def test_repeats_beyond_all_combinations_take_other_seeds(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), combinations="0,4;1,7", repeats=3, seeds=2)
    first, second = (0, 4), (1, 7)
    found = [(first, 0), (second, 0), (first, 2), (first, 1), (second, 1), (first, 3)]
    assert pairs(plan) == found


def test_several_seeds_add_to_a_plan_with_one(make_plan: Make) -> None:
    one, two = (make_plan(methods=("dfg",), repeats=4, seeds=n) for n in (1, 2))
    assert [r.id for r in two.runs[:4]] == [r.id for r in one.runs]
    assert len({r.id for r in two.runs}) == 8


def test_drawn_majority_classes_stay_for_all_their_seeds(make_plan: Make) -> None:
    options = {"methods": ("original",), "settings": ("fidelity.F15=released",)}
    one = pairs(make_plan(**options, repeats=3, seed=5))
    two = pairs(make_plan(**options, repeats=3, seed=5, seeds=2))
    assert two[:3] == one
    assert two[3:] == [(combination, seed + 3) for combination, seed in one]


@pytest.mark.parametrize("imbalance", ["1:1", "as-is"])
def test_without_combinations_seeds_are_repeats(make_plan: Make, imbalance: str) -> None:
    with pytest.raises(InputError, match="--repeats"):
        make_plan(methods=("original",), imbalance=imbalance, seeds=2)


@pytest.mark.parametrize("majority", [1, 3, 9])
def test_the_number_of_majority_classes_is_that_asked_for(make_plan: Make, majority: int) -> None:
    plan = make_plan(methods=("original",), majority=majority, repeats=math.comb(10, majority))
    assert {c for c, _ in pairs(plan)} == set(combinations(range(10), majority))
    assert {r.spec.majority for r in plan.runs} == {majority}


def test_balanced_runs_have_no_combination_and_a_seed_each(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), imbalance="1:1", repeats=3, seed=4)
    assert pairs(plan) == [((), 4), ((), 5), ((), 6)]
    assert {r.spec.majority for r in plan.runs} == {0}
    assert all(count == 80 for r in plan.runs for count in r.class_counts)


def test_explicit_combinations_are_taken_in_their_order(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), combinations="7,1;0,4")
    assert pairs(plan) == [((1, 7), 0), ((0, 4), 0)]


def test_explicit_combinations_are_repeated_with_the_next_seed(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), combinations="1,7;0,4", repeats=3, seed=2)
    assert pairs(plan) == [((1, 7), 2), ((0, 4), 2), ((1, 7), 3)]


def test_without_a_word_the_recipe_s_repeats_are_planned_for_all_methods(make_plan: Make) -> None:
    plan = make_plan()
    assert len(plan.runs) == 10 * len(METHODS)
    assert len({r.id for r in plan.runs}) == len(plan.runs)


def test_all_methods_get_the_same_pairs(make_plan: Make) -> None:
    plan = make_plan(repeats=12)
    assert {tuple(pairs(plan, m)) for m in METHODS} == {tuple((ORDER[i], 0) for i in range(12))}


def test_the_methods_of_a_repeat_stand_together_in_the_paper_s_order(make_plan: Make) -> None:
    plan = make_plan(methods=("dfg", "original"), repeats=2)
    assert [r.spec.method for r in plan.runs] == ["original", "dfg"] * 2


def test_majority_classes_keep_the_count_and_minority_classes_its_share(make_plan: Make) -> None:
    (run,) = make_plan(methods=("original",), combinations="0,4", imbalance="20:1").runs
    assert run.class_counts == tuple(80 if c in (0, 4) else 4 for c in range(10))


# Sweeps


def test_swept_values_are_multiplied(make_plan: Make) -> None:
    settings = ("dfg.rho=0,0.5", "dfg.n_D=1,2,3")
    plan = make_plan(methods=("dfg",), repeats=1, settings=settings)
    points = [(r.spec.settings["dfg"]["rho"], r.spec.settings["dfg"]["n_D"]) for r in plan.runs]
    assert points == [(rho, n_D) for rho in (0, 0.5) for n_D in (1, 2, 3)]
    assert len({r.id for r in plan.runs}) == 6
    assert plan.runs[0].sweep == {"dfg.rho": 0.0, "dfg.n_D": 1}


def test_a_method_that_a_swept_value_does_not_touch_is_planned_once(make_plan: Make) -> None:
    plan = make_plan(repeats=2, settings=("dfg.rho=0,0.5,1",))
    counts = {m: sum(r.spec.method == m for r in plan.runs) for m in METHODS}
    assert counts == {"original": 2, "finetune": 2, "delta": 2, "difa": 2, "dfg": 6}


def test_a_swept_regulariser_touches_all_who_read_it(make_plan: Make) -> None:
    plan = make_plan(repeats=1, settings=("reg.alpha=0,0.1",))
    counts = {m: sum(r.spec.method == m for r in plan.runs) for m in METHODS}
    assert counts == {"original": 1, "finetune": 1, "delta": 2, "difa": 1, "dfg": 2}


def test_a_swept_source_makes_source_networks_of_its_own(make_plan: Make) -> None:
    plan = make_plan(repeats=1, settings=("source.steps=20,30",))
    assert [s.settings["steps"] for s in plan.sources] == [20, 30]
    tuned = [r.spec for r in plan.runs if r.spec.method == "finetune"]
    assert [s.source_identity for s in tuned] == [s.identity() for s in plan.sources]
    assert sum(r.spec.method == "original" for r in plan.runs) == 1


def test_a_value_set_to_the_recipe_s_own_changes_nothing(make_plan: Make) -> None:
    plain, spelled = make_plan(repeats=1), make_plan(repeats=1, settings=("dfg.rho=0.75",))
    assert [r.id for r in plain.runs] == [r.id for r in spelled.runs]


def test_steps_shorten_every_method_but_never_the_source(make_plan: Make) -> None:
    plan = make_plan(repeats=1, steps=3)
    assert {r.spec.steps for r in plan.runs} == {3}
    assert [s.settings["steps"] for s in plan.sources] == [600]


# Identity


def test_original_has_no_source_and_the_same_identity_for_any() -> None:
    target = Manifest("fmnist", "f" * 64, (6000,) * 10, (1000,) * 10)
    ids = set()
    for name in ("mnist", "emnist-letters"):
        source = Manifest(name, name[0] * 64, (6000,) * 10, (1000,) * 10)
        checked = check(Request("fmnist", source=name, methods=("original",), repeats=1))
        (run,) = plans.make(checked, target, source).runs
        assert (run.spec.source, run.spec.source_identity) == (None, None)
        ids.add(run.id)
    assert len(ids) == 1


def test_other_methods_have_an_identity_for_each_source() -> None:
    target = Manifest("fmnist", "f" * 64, (6000,) * 10, (1000,) * 10)
    ids = set()
    for name in ("mnist", "emnist-letters"):
        source = Manifest(name, name[0] * 64, (6000,) * 10, (1000,) * 10)
        checked = check(Request("fmnist", source=name, methods=("finetune",), repeats=1))
        ids |= {r.id for r in plans.make(checked, target, source).runs}
    assert len(ids) == 2


def test_the_plan_is_the_same_in_another_process(make_plan: Make) -> None:
    code = (
        "import json; from pathlib import Path\n"
        "from dfgctl.data.catalog import DATASETS\n"
        "from dfgctl.data.manifest import ChecksumCache, manifest\n"
        "from dfgctl.dispatch import plan, request\n"
        "m = lambda n: manifest(DATASETS[n], Path('data'), ChecksumCache(Path('none.json')))\n"
        "asked = request.Request('digits', repeats=2, settings=('dfg.rho=0,1',))\n"
        "checked = request.check(asked)\n"
        "print(json.dumps([r.id for r in plan.make(checked, m('digits'), m('glyphs')).runs]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [r.id for r in make_plan(repeats=2, settings=("dfg.rho=0,1",)).runs]
    assert json.loads(done.stdout) == here


CHANGES: dict[str, Any] = {
    "dataset": "fmnist",
    "source": "mnist",
    "source_identity": "0" * 64,
    "method": "delta",
    "backbone": "vgg16",
    "protocol": "released",
    "ratio": "20:1",
    "majority": 3,
    "majority_count": 79,
    "combination": (1, 7),
    "seed": 1,
    "steps": 1,
    "eval_every": 1,
    "validation": 0.5,
    "settings": {},
    "data_digest": "0" * 64,
    "results_version": 0,
}


def test_the_changes_below_name_every_field() -> None:
    assert set(CHANGES) == {f.name for f in fields(RunSpec)}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_is_part_of_the_identity(make_plan: Make, name: str) -> None:
    spec = make_plan(methods=("dfg",), repeats=1).runs[0].spec
    changed = replace(spec, **{name: CHANGES[name]})
    assert changed.identity() != spec.identity()
    assert (changed.group() == spec.group()) == (name in ("combination", "seed"))


@pytest.mark.parametrize(
    "option",
    [
        {"seed": 1},
        {"imbalance": "20:1"},
        {"majority": 3},
        {"combinations": "8,9"},
        {"settings": ("dfg.rho=0.5",)},
        {"settings": ("reg.beta=0.5",)},
        {"settings": ("source.steps=5",)},
        {"settings": ("imbalance.majority_count=70",)},
        {"steps": 5},
        {"eval_every": 5},
        {"validation": 0.2},
        {"precision": "bf16"},
        {"precision": "tf32"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_every_option_that_changes_the_training_changes_the_id(
    make_plan: Make, option: dict[str, Any]
) -> None:
    plain = {r.id for r in make_plan(methods=("dfg",), repeats=1).runs}
    assert plain.isdisjoint(r.id for r in make_plan(methods=("dfg",), repeats=1, **option).runs)


GLYPHS = "f9c95f75a24e2d70d42c9e976251c5f30fe25aa2fdb04480a83d77b13569d65d"
KEPT: list[tuple[dict[str, Any], dict[str, str]]] = [
    (
        {},
        {
            "original": "f5354721fa9c7b0c7d3ca5ef85e089fd5f8a029178547ee31529dd725f6d739b",
            "finetune": "a87363f861c698d2fca39c639a42788c89fc54a2fd256daf9355608858fad4c1",
            "delta": "d8d02242d7ce6a78cf9c25d115cad0b46f92070433c0164b8224af59ef1698a5",
            "dfg": "00da9c8d32295d4fdf5a67470c7c8a46cd7665ed4cf9330a50849fe06a2af71a",
        },
    ),
    (
        {"imbalance": "1:1"},
        {
            "original": "d3bb41163c1a270891b96acd8d1781b9980975cfa80207adf55f641642832673",
            "finetune": "0866cca936f2c0e1b3f08ec7215ff290fd0e01445a839333bf6afd69b981e540",
            "delta": "b2550ea1d44175d1c7baa4b4c5f6b97da9175d2f8b7d39c0887e160a9c304b78",
            "dfg": "1dab507bd3d83e92dcaedbb16bc69b08c9fb2d16493c5fa600c1b9a372798b3d",
        },
    ),
    (
        {"steps": 5, "validation": 0.25, "settings": ("dfg.rho=0.5",)},
        {
            "original": "9bb103435f416d6dbb1d46af198b63d3e017cab3c34451aa7b505a686212052c",
            "finetune": "6fa0d720c4f4834fa255b17695e67b8cf268f1ea686f301d95784ad95c530d06",
            "delta": "61bc32702b0a4e430331df24d70b19dfd2c1b3704f07139ffd1d9681924553f8",
            "dfg": "d41d10049762b07adb80364f8fbb9f3dd553e948170cb92a548ac087dfd36dea",
        },
    ),
]
"""Identities under which results are kept: a change of them makes all of these be trained anew."""


@pytest.mark.parametrize(("options", "ids"), KEPT, ids=["recipe", "balanced", "changed"])
def test_identities_under_which_results_are_kept_stay(
    options: dict[str, Any], ids: dict[str, str]
) -> None:
    target = Manifest("digits", "d" * 64, (88,) * 10, (90,) * 10)
    source = Manifest("glyphs", "9" * 64, (80,) * 10, (20,) * 10)
    checked = check(Request("digits", methods=tuple(ids), repeats=1, **options))
    runs = plans.make(checked, target, source).runs
    assert {run.spec.method: run.id for run in runs} == ids
    assert {run.spec.source_identity for run in runs} == {None, GLYPHS}


# Notes


def test_a_dfg_run_that_never_updates_its_filter_weights_is_noted(make_plan: Make) -> None:
    (note,) = make_plan(methods=("dfg",), repeats=1, steps=90).notes
    assert "step 100" in note
    assert "dfg.n_W" in note
    assert make_plan(methods=("dfg",), repeats=1).notes == ()
    assert make_plan(methods=("original",), repeats=1, steps=100).notes == ()


def test_a_setting_that_touches_no_chosen_method_is_noted(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), repeats=1, settings=("dfg.rho=0.5",))
    assert plan.notes == ("--set dfg.rho touches none of the chosen methods.",)
    assert make_plan(methods=("dfg",), repeats=1, settings=("dfg.rho=0.5",)).notes == ()


def test_classes_that_have_fewer_images_than_a_majority_class_keeps_are_noted() -> None:
    target = Manifest("digits", "d" * 64, (80,) * 9 + (79,), (80,) * 10)
    checked = check(Request("digits", methods=("original",), repeats=1))
    (note,) = plans.make(checked, target, None).notes
    assert note.startswith("Fewer than 80 images")
    assert "9 (79)" in note
    assert "8 (80)" not in note


# What cannot be planned


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"dataset": "digit"}, UnknownNameError, "did you mean 'digits'"),
        ({"methods": ("dgf",)}, UnknownNameError, "did you mean 'dfg'"),
        ({"source": "glyph"}, UnknownNameError, "did you mean 'glyphs'"),
        ({"source": "digits"}, UnknownNameError, "There is: glyphs"),
        ({"imbalance": "10"}, InputError, "R:1"),
        ({"imbalance": "0:1"}, InputError, "R:1"),
        ({"imbalance": "1:10"}, InputError, "R:1"),
        ({"imbalance": "abc"}, InputError, "R:1"),
        ({"imbalance": "-3:1"}, InputError, "R:1"),
        ({"imbalance": "nan:1"}, InputError, "R:1"),
        ({"imbalance": "inf:1"}, InputError, "R:1"),
        ({"majority": 0}, InputError, "--majority takes 1 to 9"),
        ({"majority": 10}, InputError, "--majority takes 1 to 9"),
        ({"majority": -1}, InputError, "--majority takes 1 to 9"),
        ({"combinations": "0,0"}, InputError, "twice"),
        ({"combinations": "0,10"}, InputError, "0 to 9"),
        ({"combinations": "0,-1"}, InputError, "0 to 9"),
        ({"combinations": "0,1,2"}, InputError, "--majority 3"),
        ({"combinations": "0,4;4,0"}, InputError, "named twice"),
        ({"combinations": "zero"}, InputError, "no combination"),
        ({"combinations": "0,1", "imbalance": "1:1"}, InputError, "leave --combinations out"),
        ({"settings": ("dfg.rho",)}, SettingError, "section.key=value"),
        ({"settings": ("dfg.roh=1",)}, SettingError, "did you mean 'dfg.rho'"),
        ({"settings": ("rho=1",)}, SettingError, "Unknown setting 'rho'"),
        ({"settings": ("dfg.rho=1.5",)}, SettingError, "cannot be '1.5'"),
        ({"settings": ("dfg.rho=nan",)}, SettingError, "nan"),
        ({"settings": ("dfg.rho=high",)}, SettingError, "cannot be 'high'"),
        ({"settings": ("dfg.rho=",)}, SettingError, "cannot be ''"),
        ({"settings": ("dfg.n_D=1.5",)}, SettingError, "cannot be '1.5'"),
        ({"settings": ("dfg.rho=0,0",)}, SettingError, "names a value twice"),
        ({"settings": ("dfg.rho=0", "dfg.rho=1")}, SettingError, "given twice"),
        ({"settings": ("dfg.alpha=0.9",)}, SettingError, "set all three together"),
        ({"settings": ("dfg.steps=5",)}, SettingError, "use --steps"),
        ({"settings": ("run.repeats=5",)}, SettingError, "use --repeats"),
        ({"settings": ("run.eval_every=5",)}, SettingError, "use --eval-every"),
        ({"settings": ("imbalance.ratio=5:1",)}, SettingError, "use --imbalance"),
        ({"settings": ("imbalance.majority=5",)}, SettingError, "use --majority"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_type(
    options: dict[str, Any], error: type[InputError], says: str
) -> None:
    with pytest.raises(error) as caught:
        check(Request(**{"dataset": "digits", **options}))
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_three_weights_of_eq_4_can_be_set_together(make_plan: Make) -> None:
    settings = ("dfg.alpha=0.5", "dfg.beta=0.25", "dfg.gamma=0.25")
    (run,) = make_plan(methods=("dfg",), repeats=1, settings=settings).runs
    assert [run.spec.settings["dfg"][k] for k in ("alpha", "beta", "gamma")] == [0.5, 0.25, 0.25]


def test_more_majority_images_than_there_are_is_refused_where_asked_for(make_plan: Make) -> None:
    with pytest.raises(InputError, match=r"can be at most \d+ here"):
        make_plan(repeats=1, settings=("imbalance.majority_count=500",))


def test_an_imbalance_that_leaves_no_minority_image_is_refused(make_plan: Make) -> None:
    with pytest.raises(InputError, match="at most 80:1"):
        make_plan(repeats=1, imbalance="81:1")
    assert min(make_plan(repeats=1, imbalance="80:1").runs[0].class_counts) == 1


def test_source_and_source_weights_exclude_each_other(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="not both"):
        check(Request("digits", source="glyphs", source_weights=tmp_path / "w.safetensors"))


def test_a_plan_shows_a_swept_value_only_where_it_matters(make_plan: Make) -> None:
    plan = make_plan(repeats=1, settings=("dfg.rho=0,1", "source.steps=20"))
    sweeps = [(run.spec.method, dict(run.sweep)) for run in plan.runs]
    assert ("original", {}) in sweeps
    assert ("delta", {"source.steps": 20}) in sweeps
    assert ("dfg", {"dfg.rho": 0.0, "source.steps": 20}) in sweeps


def test_a_count_is_refused_only_where_a_majority_class_lacks_it(make_plan: Make) -> None:
    asked = ("imbalance.majority_count=88",)
    plan = make_plan(methods=("original",), settings=asked, combinations="0,4")
    assert plan.runs[0].class_counts[0] == 88
    with pytest.raises(InputError, match="at most 87"):
        make_plan(methods=("original",), settings=asked, combinations="2,8")


def test_a_validation_share_out_of_range_or_without_images_is_refused(make_plan: Make) -> None:
    for share in (float("nan"), -0.1, 0.9):
        with pytest.raises(InputError, match="--validation takes"):
            make_plan(methods=("original",), repeats=1, validation=share)
    with pytest.raises(InputError, match="none can be held out"):
        make_plan(
            methods=("original",),
            repeats=1,
            imbalance="1:1",
            settings=("imbalance.majority_count=1",),
            validation=0.1,
        )


def test_weights_of_one_content_have_one_identity_whatever_their_files_name(
    make_plan: Make, tmp_path: Path
) -> None:
    plans = [
        make_plan(methods=("delta",), repeats=1, source_weights=tmp_path / name)
        for name in ("a.safetensors", "b.safetensors")
    ]
    assert [r.id for r in plans[0].runs] == [r.id for r in plans[1].runs]


def test_every_method_is_planned_in_a_precision_and_float32_goes_without_saying(
    make_plan: Make,
) -> None:
    plain, rough = make_plan(repeats=1), make_plan(repeats=1, precision="bf16")
    assert make_plan(repeats=1, precision="fp32").runs == plain.runs
    assert {r.spec.precision for r in plain.runs} == {"fp32"}
    assert not any("numerics" in r.spec.settings for r in plain.runs)
    for a, b in zip(plain.runs, rough.runs, strict=True):
        assert b.spec.settings == {**a.spec.settings, "numerics": {"precision": "bf16"}}
        assert a.spec.group() != b.spec.group()


def test_runs_of_every_precision_start_from_the_same_source_network(make_plan: Make) -> None:
    plain, rough = make_plan(repeats=1), make_plan(repeats=1, precision="bf16")
    assert rough.sources == plain.sources


def test_a_precision_that_there_is_not_is_refused(make_plan: Make) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bf16'"):
        make_plan(precision="fp16")
