"""Step imbalance (section 4.1): combinations of majority classes, counts, and subsets."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dfgctl import seeding
from dfgctl.errors import InputError
from dfgctl.records import AS_IS, RunSpec

_RATIO = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*:\s*1")


@dataclass(frozen=True)
class Ratio:
    """An imbalance of ``value`` to 1, at least 1, written as a decimal of up to 9 places.

    A ``value`` of 0 stands for ``as-is``: every class keeps all it has.
    """

    value: Fraction

    @property
    def as_is(self) -> bool:
        """Whether the data set is taken as it is."""
        return self.value == 0

    @classmethod
    def parse(cls, text: str) -> "Ratio":
        """Read ``10:1`` or ``as-is``.

        Raises:
            InputError: it is something else.
        """
        if text.strip() == AS_IS:
            return cls(Fraction(0))
        match = _RATIO.fullmatch(text.strip())
        value = Fraction(match[1]) if match else Fraction(0)
        if value < 1:
            raise InputError(
                f"'{text}' is no imbalance: write majority to minority as R:1 with R at least 1, "
                "e.g. --imbalance 10:1, or as-is."
            )
        return cls(value)

    def __str__(self) -> str:
        if self.as_is:
            return AS_IS
        decimal = Decimal(self.value.numerator) / Decimal(self.value.denominator)
        return f"{decimal.normalize():f}:1"

    def minority_count(self, majority_count: int) -> int:
        """Images of a minority class: floor(majority count / R)."""
        return math.floor(majority_count / self.value)


def parse_combinations(
    text: str, classes: int, majority: int
) -> tuple[tuple[int, ...], ...] | None:
    """Read ``all`` (None) or ``0,4;1,7``: sets of majority classes.

    Raises:
        InputError: a class is out of range or named twice, or their number is not ``majority``.
    """
    if text.strip() == "all":
        return None
    combinations = []
    for part in text.split(";"):
        try:
            members = [int(c) for c in part.split(",")]
        except ValueError:
            raise InputError(
                f"'{part}' is no combination: write class numbers with commas, and semicolons "
                'between combinations, e.g. --combinations "0,4;1,7".'
            ) from None
        if len(set(members)) != len(members):
            raise InputError(f"Combination '{part}' names a class twice: name each once.")
        if min(members) < 0 or max(members) >= classes:
            raise InputError(
                f"Combination '{part}' names a class that is not there: classes are 0 to "
                f"{classes - 1}."
            )
        if len(members) != majority:
            raise InputError(
                f"Combination '{part}' has {len(members)} classes, but there are {majority} "
                f"majority classes: add --majority {len(members)} or name {majority}."
            )
        combinations.append(tuple(sorted(members)))
    if len(set(combinations)) != len(combinations):
        raise InputError("A combination is named twice: name each once (--repeats repeats them).")
    return tuple(combinations)


def random_combination(key: int, classes: int, majority: int) -> tuple[int, ...]:
    """Draw a set of majority classes, any with the same chance (F15)."""
    total = math.comb(classes, majority)
    # 64 bits more than needed, so that no combination is favoured.
    words = seeding.words(key, 0, total.bit_length() // 64 + 2)
    return _unrank(int.from_bytes(words.tobytes(), "little") % total, classes, majority)


def first_counts(available: Sequence[int], spec: RunSpec, run_key: int) -> tuple[int, ...]:
    """Return the images of each class behind a run's first filter weights, drawn anew (F15)."""
    other = random_combination(
        seeding.substream(run_key, "first majority classes"), len(available), spec.majority
    )
    return class_counts(available, other, Ratio.parse(spec.ratio), spec.majority_count)


def combination_at(position: int, classes: int, majority: int) -> tuple[int, ...]:
    """Return the combination at a position of the one shuffled order of all C(K, m).

    The order is never enumerated: a Feistel network permutes the positions, and the result is
    unranked, so that C may be astronomically large.

    Args:
        position: 0 to C(K, m) - 1.
        classes: K.
        majority: m.
    """
    total = math.comb(classes, majority)
    if not 0 <= position < total:
        raise ValueError(f"position {position} is not in 0 to {total - 1}")
    half = max(1, ((total - 1).bit_length() + 1) // 2)
    rank = _feistel(position, half, classes, majority)
    while rank >= total:  # walk the cycle back into the range
        rank = _feistel(rank, half, classes, majority)
    return _unrank(rank, classes, majority)


def _feistel(value: int, half: int, classes: int, majority: int) -> int:
    """Permute the integers of ``2 * half`` bits."""
    left, right = value >> half, value & ((1 << half) - 1)
    for turn in range(6):
        mask, word = 0, 0
        while mask < half:
            word |= seeding.key("combinations", classes, majority, turn, right, mask) << mask
            mask += 64
        left, right = right, left ^ (word & ((1 << half) - 1))
    return (left << half) | right


def _unrank(rank: int, classes: int, majority: int) -> tuple[int, ...]:
    """Return the combination at a rank in lexicographic order."""
    members: list[int] = []
    first = 0
    for remaining in range(majority, 0, -1):
        while rank >= (block := math.comb(classes - first - 1, remaining - 1)):
            rank -= block
            first += 1
        members.append(first)
        first += 1
    return tuple(members)


def class_counts(
    available: Sequence[int], combination: Sequence[int], ratio: Ratio, majority_count: int
) -> tuple[int, ...]:
    """Return how many images each class keeps; a class with fewer keeps all it has.

    Args:
        available: training images of each class.
        combination: the majority classes; empty at 1:1, where every class is one.
        ratio: the imbalance.
        majority_count: images of a majority class.

    Raises:
        InputError: minority classes would be empty.
    """
    if ratio.as_is:
        return tuple(available)
    minority_count = ratio.minority_count(majority_count)
    if minority_count < 1:
        raise InputError(
            f"At {ratio} a minority class of {majority_count} images would keep none: choose a "
            f"ratio of at most {majority_count}:1."
        )
    balanced = ratio.value == 1
    return tuple(
        min(n, majority_count if balanced or c in combination else minority_count)
        for c, n in enumerate(available)
    )


def validation_counts(counts: Sequence[int], share: float) -> tuple[int, ...]:
    """Return how many of each class's kept images are held out; each class trains on at least one.

    A class with at least two images gives at least one, so that each can be scored.
    """
    if share == 0:
        return (0,) * len(counts)
    return tuple(max(0, min(max(1, round(n * share)), n - 1)) for n in counts)


def subset(
    labels: NDArray[np.int64],
    counts: Sequence[int],
    held_out: Sequence[int],
    run_key: int,
    in_order: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose which images a run keeps: a seeded sample of each class, or the first (F16).

    Args:
        labels: the training set's labels.
        counts: images that each class keeps.
        held_out: how many of those are for validation.
        run_key: the run's key.
        in_order: whether a class keeps its first images instead of a sample.

    Returns:
        Indices of training and of validation images, class by class.
    """
    stream = seeding.substream(run_key, "subset")
    train, validation = [], []
    for c, (count, out) in enumerate(zip(counts, held_out, strict=True)):
        members = np.flatnonzero(labels == c)
        order = seeding.permutation(seeding.substream(stream, str(c)), len(members))
        kept = members[:count] if in_order else members[order[:count]]
        validation.append(kept[:out])
        train.append(kept[out:])
    return np.concatenate(train), np.concatenate(validation)
