"""Which runs a figure of networks shows: the newest by the recipe, and pairs."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.recipe import PicturesSettings
from dfgctl.report.chosen import newest, pairs, same_kind
from dfgctl.report.commands import data_of

DIGITS = {"digits": recipes.load("digits")}
BOTH = {**DIGITS, "svhn": recipes.load("svhn")}


def at(run: Any, day: int) -> Any:
    return replace(run, created_at=datetime(2025, 1, day, tzinfo=UTC))


def kept(run: Any) -> bool:
    return True


def is_of(method: str, run: Any) -> bool:
    return bool(run.spec.method == method)


def has(rho: float, run: Any) -> bool:
    return run.spec.method == "dfg" and run.spec.settings["dfg"]["rho"] == rho


METHODS = {name: partial(is_of, name) for name in ("original", "delta", "dfg")}
RHOS = {f"dfg.rho={rho:g}": partial(has, rho) for rho in (0.75, 0.0)}


# One run


def test_the_newest_by_the_recipe_comes_first(make_run: Any) -> None:
    older, newer = at(make_run(seed=0), 1), at(make_run(seed=1), 2)
    other = at(make_run(changed={"dfg.rho": 0.5}), 5)
    balanced = at(make_run(ratio="1:1", combination=()), 6)
    elsewhere = at(make_run(source="mnist"), 7)
    runs = [other, older, balanced, newer, elsewhere, make_run("delta"), make_run("dfg", None)]
    assert newest(runs, DIGITS, "dfg", kept) == newer
    assert newest([older, other], DIGITS, "dfg", kept) == older
    assert newest([other], DIGITS, "dfg", kept) == other


def test_runs_whose_weights_are_there_come_before_all(make_run: Any) -> None:
    older, newer = at(make_run(seed=0), 1), at(make_run(seed=1), 2)
    assert newest([older, newer], DIGITS, "dfg", lambda run: run == older) == older
    assert newest([older, newer], DIGITS, "dfg", lambda run: False) == newer


def test_without_a_run_it_says_what_to_type(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match=r"of dfg on svhn: .* run svhn --method dfg$"):
        newest([make_run()], {"svhn": BOTH["svhn"]}, "dfg", kept)


def test_data_sets_are_not_chosen_among(make_run: Any) -> None:
    with pytest.raises(InputError, match="runs of digits and svhn: choose one with --dataset"):
        newest([make_run(dataset="svhn"), make_run()], BOTH, "dfg", kept)


# Pairs


def test_a_pair_has_one_combination_and_seed(make_run: Any) -> None:
    mixed = [make_run("original", seed=1), make_run("delta", seed=2), make_run("dfg", seed=3)]
    whole = [make_run(method, combination=(3, 5), seed=4) for method in METHODS]
    (found,) = pairs([*mixed, *whole, make_run("dfg", None, seed=4)], DIGITS, METHODS, kept)
    assert list(found.values()) == whole


def test_a_pair_has_one_source_which_original_has_not(make_run: Any) -> None:
    original = make_run("original")
    first, second = (
        [make_run(m, source=s, source_identity=i * 64) for m in ("delta", "dfg")]
        for s, i in (("glyphs", "a"), ("mnist", "b"))
    )
    found = pairs([original, *second, *first], DIGITS, METHODS, kept)
    assert [list(pair.values()) for pair in found] == [[original, *first], [original, *second]]
    found = pairs([original, *second, *first], DIGITS, METHODS, kept, like=second[0])
    assert [list(pair.values()) for pair in found] == [[original, *second]]


def test_the_newest_pair_with_weights_comes_first(make_run: Any) -> None:
    early, late = ([at(make_run(m, seed=s), s + 1) for m in METHODS] for s in (0, 1))
    found = pairs([*late, *early], DIGITS, METHODS, kept)
    assert [list(pair.values()) for pair in found] == [late, early]
    found = pairs([*late, *early], DIGITS, METHODS, lambda run: run != late[2])
    assert list(found[0].values()) == early


def test_a_named_run_chooses_its_pair_and_stands_in_it(make_run: Any) -> None:
    early, late = ([at(make_run(m, seed=s), s + 1) for m in METHODS] for s in (0, 1))
    named = make_run("dfg", seed=0, changed={"dfg.delta": 0.5})
    (found,) = pairs([*late, *early, named], DIGITS, METHODS, kept, like=named)
    assert list(found.values()) == [*early[:2], named]
    (found,) = pairs([*late, *early, named], DIGITS, METHODS, kept, like=early[0])
    assert list(found.values()) == early  # the recipe's own


def test_values_of_a_setting_agree_in_all_others(make_run: Any) -> None:
    plain = make_run()
    other = make_run(changed={"dfg.rho": 0.0, "dfg.delta": 0.5})
    with pytest.raises(NothingToShowError, match=r"there is none of dfg\.rho=0\."):
        pairs([plain, other], DIGITS, RHOS, kept, without="dfg.rho")
    none = make_run(changed={"dfg.rho": 0.0})
    (found,) = pairs([plain, other, none], DIGITS, RHOS, kept, without="dfg.rho")
    assert list(found.values()) == [plain, none]


def test_pairs_of_one_kind_differ_in_combination_and_seed_alone(make_run: Any) -> None:
    def pair(**fields: Any) -> Any:
        return {
            name: make_run(changed={"dfg.rho": rho}, **fields)
            for name, rho in zip(RHOS, (0.75, 0.0), strict=True)
        }

    assert same_kind(pair(), pair(combination=(1, 2), seed=7))
    assert not same_kind(pair(), pair(steps=10))
    assert not same_kind(pair(), {"dfg.rho=0.75": make_run()})


def test_what_is_missing_is_said_with_the_command(make_run: Any) -> None:
    runs = [make_run("original"), make_run("dfg"), make_run("delta", seed=9)]
    with pytest.raises(NothingToShowError) as caught:
        pairs(runs, DIGITS, METHODS, kept)
    assert str(caught.value).endswith(
        "with combination {0,4} and seed 0 on digits there is none of delta. Train with dfgctl run "
        'digits --combinations "0,4" --seed 0 --repeats 1 --method delta'
    )
    with pytest.raises(NothingToShowError) as caught:
        pairs([make_run()], DIGITS, RHOS, kept, without="dfg.rho")
    assert str(caught.value).endswith("--method dfg --set dfg.rho=0")
    balanced = make_run("dfg", ratio="1:1", combination=(), seed=3)
    with pytest.raises(NothingToShowError, match=r"seed 3 on digits .* --imbalance 1:1 --seed 3 "):
        pairs([balanced], DIGITS, METHODS, kept)


def test_the_command_for_a_missing_run_has_the_settings_of_its_pair(make_run: Any) -> None:
    how: dict[str, Any] = {"steps": 50, "eval_every": 25, "validation": 0.1, "source": "mnist"}
    eight = {"majority": 8, "combination": tuple(range(8))}
    changed = {"dfg.rho": 0.0, "dfg.delta": 0.5}
    run = make_run(changed=changed, protocol="released", numerics="bf16", **how, **eight)
    with pytest.raises(NothingToShowError) as caught:
        pairs([run], DIGITS, RHOS, kept, without="dfg.rho")
    assert str(caught.value).endswith(
        "dfgctl run digits --majority 8 --source mnist --protocol released --precision bf16 "
        "--steps 50 --eval-every 25 --validation 0.1 --set dfg.delta=0.5 "
        '--combinations "0,1,2,3,4,5,6,7" --seed 0 --repeats 1 --method dfg --set dfg.rho=0.75'
    )


def test_the_command_names_a_source_though_original_has_none(make_run: Any) -> None:
    runs = [make_run("original"), make_run("dfg", source="mnist")]
    with pytest.raises(NothingToShowError, match=r"digits --source mnist .* --method delta$"):
        pairs(runs, DIGITS, METHODS, kept)


def test_without_any_run_all_are_trained() -> None:
    with pytest.raises(
        NothingToShowError,
        match=r"digits --method original --method delta --method dfg --repeats 1$",
    ):
        pairs([], BOTH, METHODS, kept)
    with pytest.raises(NothingToShowError, match=r"svhn --method dfg --set dfg\.rho=0\.75,0 "):
        pairs([], {"svhn": BOTH["svhn"]}, RHOS, kept)


def test_pairs_of_several_data_sets_are_not_chosen_among(make_run: Any) -> None:
    runs = [make_run(m, dataset=d) for m in METHODS for d in BOTH]
    with pytest.raises(InputError, match="digits and svhn: choose one with --dataset"):
        pairs(runs, BOTH, METHODS, kept)
    assert len(pairs(runs, {"svhn": BOTH["svhn"]}, METHODS, kept)) == 1


def test_the_command_of_pictures_of_ones_own_names_their_folder() -> None:
    pictures = PicturesSettings(folder="/my pictures", test_fraction=0.2)
    mine = DIGITS["digits"].model_copy(update={"name": "mine", "pictures": pictures})
    assert data_of(mine) == "'/my pictures' --backbone lenet5 --test-fraction 0.2"
    assert data_of(DIGITS["digits"]) == "digits"
