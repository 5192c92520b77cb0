"""How runs are named in a figure's title."""

from dfgctl.records import AS_IS, Run
from dfgctl.report.cards import method_titles, title_of


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
    """Name a run: method, data set, pair, id."""
    title = method_titles([run])[run.spec.method]
    return f"{title} on {of_pair(run)}, run {run.id[:10]}"


def fit(name: str, most: int = 18) -> str:
    """Shorten a class's name to what a figure has room for."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
