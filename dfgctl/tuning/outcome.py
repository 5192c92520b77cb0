"""What a search found, read from its study: the same each time that it is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dfgctl.tuning.search import ERROR, counted

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from dfgctl.tuning.task import Task

TOP = 10
"""Best values whose spread is told."""


@dataclass(frozen=True)
class Tried:
    """A trial that counts.

    Attributes:
        number: its number in the study.
        value: the objective; of one that was pruned, the last that was known, or None.
        pruned: whether it was pruned.
        parameters: what was searched, ``section.key`` to value.
    """

    number: int
    value: float | None
    pruned: bool
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        task: what was tuned.
        trials: the trials that count, in their order.
        wanted: how many were wanted.
        failed: trials that failed for a reason of their own; they do not count.
        interrupted: trials that were stopped, or whose process vanished; they were tried again.
        diverged: trials that count and in which a pair diverged, or whose settings were refused.
        own: the value of the recipe's own settings; None where they were not tried.
        best: the best trial that finished; None without one.
        seconds: what all trials together took, pruned and failed ones included.
        devices, commits: what they were trained on and by.
        dirty: whether a tree of a commit was not clean; None where that is not known.
        ended: when the last one ended.
    """

    task: "Task"
    trials: tuple[Tried, ...]
    wanted: int
    failed: int
    interrupted: int
    diverged: int
    own: float | None
    best: Tried | None
    seconds: float
    devices: tuple[str, ...]
    commits: tuple[str, ...]
    dirty: bool | None
    ended: datetime | None

    @property
    def whole(self) -> bool:
        """Whether as many trials count as were wanted."""
        return len(self.trials) >= self.wanted

    @property
    def pruned(self) -> int:
        """How many trials were pruned."""
        return sum(t.pruned for t in self.trials)

    @property
    def top(self) -> list[float]:
        """The best values of trials that finished, ten at the most, the highest first."""
        values = [t.value for t in self.trials if not t.pruned and t.value is not None]
        return sorted(values, reverse=True)[:TOP]

    @property
    def edge(self) -> list[str]:
        """The settings whose best value is at the edge of their range."""
        if self.best is None:
            return []
        found = self.best.parameters
        return [p.key for p in self.task.parameters if p.at_edge(found[p.key])]


def outcome(task: "Task", study: "Study", wanted: int | None = None) -> Outcome:
    """Read what a search found.

    Args:
        task: what was tuned.
        study: its study.
        wanted: how many trials are looked at; None for all that count.
    """
    every = study.get_trials(deepcopy=False)
    chosen = counted(study)[:wanted]
    last = chosen[-1].number if chosen else -1
    broken = [t for t in every if t.state.name == "FAIL" and t.number < last]
    failed = sum(ERROR in t.user_attrs for t in broken)
    finished = [t for t in chosen if t.state.name == "COMPLETE"]
    # Of equal values the first: Optuna's own choice depends on who ended first.
    best = max(finished, key=lambda t: (t.value, -t.number), default=None)
    attributes = [t.user_attrs for t in chosen]
    ends = [t.datetime_complete for t in chosen if t.datetime_complete is not None]
    return Outcome(
        task=task,
        trials=tuple(map(_tried, chosen)),
        wanted=len(chosen) if wanted is None else wanted,
        failed=failed,
        interrupted=len(broken) - failed,
        diverged=sum("diverged" in a or "refused" in a for a in attributes),
        own=next((t.value for t in finished if t.params == task.own), None),
        best=_tried(best) if best else None,
        seconds=sum(t.user_attrs.get("seconds", 0.0) for t in every if t.number <= last),
        devices=_all(attributes, "device"),
        commits=_all(attributes, "commit"),
        dirty=_worst([a.get("dirty") for a in attributes]),
        ended=max(ends, default=None),
    )


def _tried(trial: "FrozenTrial") -> Tried:
    pruned = trial.state.name == "PRUNED"
    known = trial.intermediate_values
    value = (known[max(known)] if known else None) if pruned else trial.value
    return Tried(trial.number, value, pruned, dict(trial.params))


def _all(attributes: Sequence[dict[str, Any]], name: str) -> tuple[str, ...]:
    """Return the values of an attribute that are known, each once."""
    return tuple(dict.fromkeys(str(a[name]) for a in attributes if a.get(name)))


def _worst(dirty: Sequence[bool | None]) -> bool | None:
    if any(dirty):
        return True
    return False if dirty and all(d is False for d in dirty) else None
