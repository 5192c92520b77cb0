"""How runs and classes are named in a figure."""

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
