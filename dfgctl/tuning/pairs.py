"""The (combination, seed) pairs that are set aside for tuning."""

import math
from collections.abc import Sequence

from dfgctl.data.imbalance import combination_at
from dfgctl.dispatch.request import Checked
from dfgctl.fragments import Pair

SEED = 900
"""The first seed set aside for tuning; results have the seeds from 0 on."""

COUNT = 3
"""Pairs of a recipe that names none."""


def tuning_pairs(checked: Checked, seed: int | None = None) -> tuple[Pair, ...]:
    """Return the pairs that a search trains on.

    They are those of the recipe's section ``tuning``. Where it has none of the wanted majority
    classes, they are the last three combinations of the fixed shuffled order with seed 900; where
    there are no majority classes, seeds 900 to 902.

    Args:
        checked: the request; its combinations come first.
        seed: the seed of all pairs, or of the first where there are no combinations.
    """
    first = SEED if seed is None else seed
    if checked.majority == 0:
        return tuple(((), first + i) for i in range(COUNT))
    if checked.combinations is not None:
        return tuple((combination, first) for combination in checked.combinations)
    if (named := _named(checked)) and seed is None:
        return named
    combinations: Sequence[tuple[int, ...]] = tuple(dict.fromkeys(c for c, _ in named))
    if combinations:
        return tuple((combination, first) for combination in combinations)
    count = math.comb(checked.info.class_count, checked.majority)
    return tuple(
        (combination_at(count - 1 - i % count, checked.info.class_count, checked.majority), s)
        for i, s in ((i, first + i // count) for i in range(COUNT))
    )


def _named(checked: Checked) -> tuple[Pair, ...]:
    """Return the recipe's own pairs, if they have as many majority classes as are wanted."""
    tuning = checked.recipe.tuning
    if tuning is None or any(len(c) != checked.majority for c in tuning.combinations):
        return ()
    return tuple((tuple(c), seed) for c in tuning.combinations for seed in tuning.seeds)
