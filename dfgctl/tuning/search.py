"""The search: Optuna's TPE with pruning, on a study that any number of processes share.

A trial counts when it has finished or was pruned. Trial i depends on the seed, on i and on the
trials before it, so one process alone finds the same each time, also when it is interrupted; and
two that are begun side by side are not the same.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import StoppedError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from dfgctl.tuning.task import Task

PARTS = 10
"""Parts of a training, at whose ends trials are compared for pruning."""

UNPRUNED_TRIALS, UNPRUNED_PARTS = 5, 5
"""Trials, and parts of each trial, before which none is pruned."""

POLL_SECONDS = 1.0
"""Time between looks at trials that other processes train."""

ERROR = "error"
"""The attribute of a trial that failed for a reason of its own."""

COUNTED = ("COMPLETE", "PRUNED")
"""States of trials that count."""

Report = Callable[[float, float], None]
"""Told the share of a training that is done, and the objective's value so far."""


@dataclass(frozen=True)
class Trained:
    """What a trial found.

    Attributes:
        values: the balanced accuracy on each pair's held-out images.
        notes: what else is kept of it, e.g. how many pairs diverged.
    """

    values: Sequence[float]
    notes: Mapping[str, Any] = field(default_factory=dict)


Objective = Callable[[Mapping[str, Any], Report], Trained]
"""Trains with some settings. What it raises ends the search."""


class EnoughError(Exception):
    """Other processes have begun as many trials as are wanted."""


def open_study(task: "Task", storage: "BaseStorage") -> "Study":
    """Open a task's study, in which the recipe's own settings are tried first.

    They are tried again where their trial failed, so that there is something to compare with.
    """
    import optuna

    study = optuna.create_study(
        study_name=task.study,
        storage=storage,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS, UNPRUNED_PARTS),
        load_if_exists=True,
    )
    tried = [t for t in study.get_trials(deepcopy=False) if t.state.name != "FAIL"]
    if not any(task.own in (t.params, t.system_attrs.get("fixed_params")) for t in tried):
        study.enqueue_trial(task.own)
    return study


def known_study(task: "Task", storage: "BaseStorage") -> "Study | None":
    """Return a task's study as it is; None without one."""
    import optuna

    if task.study not in optuna.get_all_study_names(storage):
        return None
    return optuna.load_study(study_name=task.study, storage=storage)


def counted(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that have finished or were pruned, by their numbers."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.name in COUNTED]


def search(
    study: "Study",
    task: "Task",
    trials: int,
    seed: int,
    objective: Objective,
    stop: Stop,
    facts: Mapping[str, Any],
    ended: "Callable[[FrozenTrial], None]" = lambda _: None,
    lost: Callable[[], Iterable[int]] = tuple,
) -> None:
    """Train trials until as many have finished or been pruned as are wanted.

    Args:
        study: the study.
        task: what is tuned.
        trials: how many trials are wanted, all processes together.
        seed: of what is tried.
        objective: trains.
        stop: whether to stop.
        facts: what is kept with each trial: the device, the commit.
        ended: told of each trial that this process trained.
        lost: tells the trials that Optuna does not know to be lost, by their numbers.

    Raises:
        StoppedError: a stop was asked for; the trial under way will be tried again.
    """
    import optuna

    from dfgctl.tuning.sampler import Placed

    def attempt(trial: "Trial") -> float:
        _check_room(trial, trials)
        values = {p.key: p.suggested(trial) for p in task.parameters}
        for name, fact in facts.items():
            trial.set_user_attr(name, fact)
        start = time.perf_counter()
        try:
            trained = objective(values, _reporter(trial))
        except (StoppedError, KeyboardInterrupt):
            study.enqueue_trial(values)
            raise
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}")
            raise
        finally:
            trial.set_user_attr("seconds", time.perf_counter() - start)
        trial.set_user_attr("pairs", list(trained.values))
        for name, note in trained.notes.items():
            trial.set_user_attr(name, note)
        return sum(trained.values) / len(trained.values)

    def told(_: "Study", trial: "FrozenTrial") -> None:
        if trial.state.name in COUNTED:
            ended(trial)

    study.sampler = Placed(seed)
    while True:
        stop.check()
        states = [t.state.name for t in study.get_trials(deepcopy=False)]
        done = states.count("COMPLETE") + states.count("PRUNED")
        if done >= trials:
            return
        if done + states.count("RUNNING") >= trials:
            stop.wait(POLL_SECONDS)
            _fail(study, lost())
            continue
        study.optimize(attempt, n_trials=1, catch=(EnoughError,), callbacks=[told])


def _fail(study: "Study", lost: Iterable[int]) -> None:
    """Fail the trials whose process is gone, so that they are tried again, a few times each."""
    import optuna

    from dfgctl.registry.studies import TRIES

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
        try_again = optuna.storages.RetryHeartbeatStaleTrialCallback(TRIES)
    known = {t.number: t for t in study.get_trials(deepcopy=False)}
    for trial in (known[number] for number in lost):
        if trial.state.name == "RUNNING":  # no other process was faster
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
            try_again(study, trial)


def _check_room(trial: "Trial", trials: int) -> None:
    """See that a trial is one of those that are wanted: of two begun at once, the first is."""
    before = trial.study.get_trials(deepcopy=False)[: trial.number]
    if sum(t.state.name in (*COUNTED, "RUNNING") for t in before) >= trials:
        raise EnoughError


def _reporter(trial: "Trial") -> Report:
    """Report at the end of each part of a training, and prune there."""
    import optuna

    parts = 0

    def report(share: float, value: float) -> None:
        nonlocal parts
        part = int(PARTS * share + 1e-9)
        if part <= parts or part >= PARTS:
            return
        parts = part
        trial.report(value, part)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report
