"""How runs are named in lists and lines."""

from datetime import datetime

from dfgctl.records import AS_IS, Run, RunSpec

SHORT = 10
"""Digits of a run's id that are shown; any unique start of it is understood."""


def short(run_id: str) -> str:
    """Shorten a run's id."""
    return run_id[:SHORT]


def combination(spec: RunSpec, most: int | None = None) -> str:
    """Write a combination as ``{0, 4}``, or ``balanced``, or ``as it is``.

    Args:
        spec: the run's spec.
        most: how many classes are written at the most; None for all.
    """
    if spec.ratio == AS_IS:
        return "as it is"
    classes = [str(c) for c in spec.combination]
    if most is not None and len(classes) > most:
        classes = [*classes[: most - 1], f"… {classes[-1]}"]
    return "{" + ", ".join(classes) + "}" if classes else "balanced"


def counted(count: int, noun: str) -> str:
    """Write a number of things: ``1 run``, ``3 runs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


TOLD = ("diverged", "out-of-memory", "lost", "preempted", "interrupted")
"""Outcomes of an attempt that say more of a run than its status does."""


def status(run: Run) -> str:
    """Write a run's status, with its last attempt's outcome where that says more."""
    if run.status in ("queued", "failed") and run.outcome in TOLD:
        return f"{run.status} ({run.outcome})"
    return run.status


def duration(seconds: float) -> str:
    """Write a time as ``42 s``, ``3 min 20 s``, ``2 h 05 min`` or ``3 d 4 h``."""
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60:02d} s"
    if s < 86400:
        return f"{s // 3600} h {s % 3600 // 60:02d} min"
    return f"{s // 86400} d {s % 86400 // 3600} h"


def when(time: datetime) -> str:
    """Write a time of the registry."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
