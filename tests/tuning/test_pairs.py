"""Pairs that are set aside: the recipe's, or the last ones of the fixed order."""

import math

from dfgctl.data.imbalance import combination_at
from dfgctl.dispatch.request import Checked, Request, check
from dfgctl.tuning.pairs import tuning_pairs


def checked(dataset: str = "digits", **options: object) -> Checked:
    return check(Request(dataset, methods=("original",), **options))  # type: ignore[arg-type]


def test_the_recipes_own_pairs_are_taken() -> None:
    assert tuning_pairs(checked()) == (
        *(((2, 5), 900), ((3, 8), 900)),
        *(((6, 7), 900), ((1, 9), 900)),
    )
    assert tuning_pairs(checked(), seed=7)[0] == ((2, 5), 7)


def test_without_any_the_last_three_combinations_of_the_order_are_taken() -> None:
    for made, majority in ((checked("svhn"), 2), (checked(majority=8), 8)):
        last = math.comb(10, majority) - 1
        expected = tuple((combination_at(last - i, 10, majority), 900) for i in range(3))
        assert tuning_pairs(made) == expected


def test_named_combinations_and_balanced_data() -> None:
    assert tuning_pairs(checked(combinations="4,0")) == (((0, 4), 900),)
    assert tuning_pairs(checked(imbalance="1:1")) == (((), 900), ((), 901), ((), 902))
