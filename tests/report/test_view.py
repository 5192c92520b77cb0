"""Which runs are looked at: filters, and what they say where none passes."""

from typing import Any

import pytest

from dfgctl.errors import InputError, NothingToShowError, UnknownNameError
from dfgctl.report.selection import Settings
from dfgctl.report.view import Filters


@pytest.mark.parametrize(
    ("filters", "says", "command"),
    [
        (Filters(), "There are no runs yet", "dfgctl run digits"),
        (Filters(("svhn",)), "no runs of svhn yet", "dfgctl run svhn"),
        (Filters(majority=8), "with 8 majority classes", "digits --majority 8"),
        (Filters(majority=1), "with 1 majority class yet", "digits --majority 1"),
        (Filters(("fmnist",), 8), "of fmnist", "fmnist --majority 8"),
        (Filters(("stl10",), 8), "of stl10", "stl10 --imbalance 10:1 --majority 8"),
        (Filters(majority=0), "with no majority classes", "digits --imbalance 1:1"),
        (Filters(protocol="released"), "with the protocol released", "--protocol released"),
        (Filters(("svhn",), source="mnist"), "with the source mnist", "svhn --source mnist"),
        (Filters(settings=Settings.recipe), "with the recipe's settings", "dfgctl run digits"),
        (Filters(settings=Settings.tuned), "with tuned settings", "dfgctl run digits --tuned"),
    ],
)
def test_the_command_trains_what_is_missing(filters: Filters, says: str, command: str) -> None:
    with pytest.raises(NothingToShowError) as caught:
        filters.passed([])
    assert says in str(caught.value)
    assert str(caught.value).endswith(command)


def test_what_no_run_can_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"99 majority classes of 10 .*: --majority takes 1 to 9"):
        Filters(majority=99).passed([])


@pytest.mark.parametrize("filters", [Filters(protocol="releasd"), Filters(source="glyfs")])
def test_a_name_that_no_run_can_have_is_refused(make_run: Any, filters: Filters) -> None:
    runs = [make_run(), make_run("original")]
    with pytest.raises(UnknownNameError, match="did you mean"):
        filters.passed(runs)


def test_runs_without_a_source_alone_are_not_what_was_asked_for(make_run: Any) -> None:
    runs = [make_run(), make_run("original"), make_run("original", dataset="svhn")]
    assert Filters(source="glyphs").passed(runs) == runs
    with pytest.raises(InputError, match="no runs of svhn with the source glyphs"):
        Filters(("svhn",), source="glyphs").passed(runs)


def test_runs_whose_settings_were_set_by_hand_are_neither_the_recipes_nor_tuned(
    make_run: Any,
) -> None:
    own = [make_run(), make_run("original"), make_run(majority=8), make_run(protocol="released")]
    by_hand = [make_run(changed={"dfg.rho": 0.5}), make_run(steps=7), make_run(validation=0.2)]
    assert Filters(settings=Settings.recipe).passed([*by_hand, *own]) == own
    assert Filters(settings=Settings.tuned).passed([*by_hand, *own], required=False) == []
