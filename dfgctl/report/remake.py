"""The command that makes runs like one that is there."""

import shlex
from collections.abc import Sequence

from dfgctl.records import Run
from dfgctl.report.commands import method_of, settings_of, target_of

Pair = tuple[tuple[int, ...], int]
"""A combination of majority classes, empty without any, and a seed."""


def command(
    run: Run,
    pairs: Sequence[Pair] = (),
    *,
    protocol: str | None = None,
    weights: str | None = None,
) -> str:
    """Return the command that trains a run, or one like it, on some pairs.

    Args:
        run: the run.
        pairs: the pairs, of which those are taken that one command can name: all if each
            combination has the same seeds in a row, else those of the lowest seed. Without any,
            the run's own.
        protocol: the protocol instead of the run's own, with none of its single switches.
        weights: the file of its source weights, where it has such and the file is known.
    """
    spec = run.spec
    combinations, seed, repeats = _named(pairs or [(spec.combination, spec.seed)])
    words = [*target_of(run), "--method", method_of(run), "--imbalance", spec.ratio]
    if spec.combination:
        named = ";".join(",".join(map(str, combination)) for combination in combinations)
        words += ["--majority", str(spec.majority), "--combinations", named]
    words += ["--repeats", str(repeats), "--seed", str(seed)]
    words += settings_of(run, weights or "FILE", protocol)
    return shlex.join(words)


def _named(pairs: Sequence[Pair]) -> tuple[list[tuple[int, ...]], int, int]:
    """Return combinations, first seed and repeats of the pairs that one command can name."""
    first = min(seed for _, seed in pairs)
    lowest = [combination for combination, seed in dict.fromkeys(pairs) if seed == first]
    seeds = 1
    while all((combination, first + seeds) in pairs for combination in lowest):
        seeds += 1
    return lowest, first, len(lowest) * seeds
