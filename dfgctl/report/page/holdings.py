"""What a registry holds, in a few lines."""

from collections import Counter
from collections.abc import Mapping, Sequence

from dfgctl.records import STATUSES, Attempt, Run
from dfgctl.report.cards import method_titles, title_of

Lines = Sequence[tuple[str, str]]
"""What a line is about, and what it says."""


def holdings(runs: Sequence[Run], makings: Mapping[str, Attempt]) -> Lines:
    """Say what runs there are.

    Args:
        runs: the runs, at least one.
        makings: the attempt that made a run's result, by the run's id.
    """
    counts = Counter(run.status for run in runs)
    states = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])
    titles = {run.spec.dataset: title_of(run) for run in runs}
    ratios: dict[str, dict[str, None]] = {}
    for run in runs:
        ratios.setdefault(run.spec.dataset, {})[run.spec.ratio] = None
    methods = {run.spec.contender for run in runs}
    lines = [
        ("Runs", f"{len(runs):,}: {states}"),
        ("Data sets", "; ".join(f"{titles[name]} ({', '.join(ratios[name])})" for name in titles)),
        ("Methods", ", ".join(t for m, t in method_titles(runs).items() if m in methods)),
    ]
    own = [makings[run.id] for run in runs if run.id in makings]
    if own:
        first = min(attempt.started_at for attempt in own)
        last = max(attempt.ended_at or attempt.started_at for attempt in own)
        lines.append(("Trained", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"))
    return lines
