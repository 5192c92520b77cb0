"""How runs and classes are named in a figure, and how amounts are written."""

from collections.abc import Sequence

from dfgctl.records import AS_IS, Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.groups import row_of
from dfgctl.templates import recipe_of

LONGEST = 18
"""Letters of a name that a figure has room for."""


def of_pair(run: Run) -> str:
    """Name what the runs of a (combination, seed) pair share: ``Digits (10:1, {0, 4}, seed 0)``."""
    spec = run.spec
    parts = [spec.ratio]
    if spec.combination and spec.ratio != AS_IS:
        first = [str(c) for c in spec.combination[:8]]
        more = ["…"] if len(spec.combination) > 8 else []
        parts.append(f"majority {{{', '.join(first + more)}}}")
    source = f", source {spec.source}" if spec.source else ""
    return f"{title_of(run)} ({', '.join(parts)}, seed {spec.seed}{source})"


def of_one(run: Run) -> str:
    """Name a run: method, data set, pair, id, and where it departs from its recipe."""
    title = method_titles([run])[run.spec.contender]
    return ", ".join([f"{title} on {of_pair(run)}", f"run {run.id[:10]}", *notes_of(run)])


def notes_of(run: Run) -> tuple[str, ...]:
    """Say where a run departs from its recipe."""
    return row_of(run, recipe_of(run.spec, run.card)).notes


def fit(name: str) -> str:
    """Shorten a name to what a figure has room for; many names differ only at their ends."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"


def in_legend(name: str) -> str:
    """Shorten a name, and write it so that a legend shows it as it is.

    Matplotlib leaves names out that start with an underscore, and sets what is between two dollars
    as a formula.
    """
    plain = fit(name).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def listed(names: Sequence[str]) -> str:
    """Write names in a sentence: ``A``, ``A and B``, ``A, B and C``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def seconds_text(mean: float, std: float | None = None) -> str:
    """Write seconds, and their standard deviation if known, as exact as the mean is long."""
    digits = digits_of(mean)
    text = f"{mean:,.{digits}f}"
    return f"{text} s" if std is None else f"{text} ± {std:,.{digits}f} s"


def digits_of(value: float) -> int:
    """Return how many decimals a positive number is written with."""
    return 2 if value < 10 else 1 if value < 100 else 0


def flop_text(flop: float) -> str:
    """Write a number of floating-point operations with three figures: ``43.5 GFLOP``."""
    for factor, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if flop >= 0.9995 * factor:
            value = flop / factor
            return f"{value:,.{digits_of(value)}f} {unit}FLOP"
    return f"{flop:,.0f} FLOP"
