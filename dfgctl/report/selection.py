"""Which of a run's numbers is reported: a metric, and of accuracies the last, the best, or the
validated one (F14); and by which settings runs are chosen.
"""

import math
from collections.abc import Collection, Sequence
from enum import StrEnum

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.records import Run


class Select(StrEnum):
    """Which test accuracy of a run is reported."""

    last = "last"
    best = "best"
    val = "val"


class Metric(StrEnum):
    """Which metric of a run on its test set is reported."""

    accuracy = "accuracy"
    balanced = "balanced"
    f1 = "f1"
    gmean = "gmean"
    minority = "minority"
    majority = "majority"


class Settings(StrEnum):
    """Where the settings of a run come from."""

    recipe = "recipe"
    tuned = "tuned"


BEST_MARK = "‡"
"""Marks what shows the best accuracy where other rows do not."""

NO_SHARE = "no validation share"
NOT_KEPT = "validated accuracy not kept"
NOT_FINITE = "not a number"

TITLES = {
    Metric.accuracy: "Test accuracy",
    Metric.balanced: "Balanced test accuracy (mean recall of the classes)",
    Metric.f1: "Macro F1 (mean over the classes)",
    Metric.gmean: "G-mean (geometric mean of the classes' recalls)",
    Metric.minority: "Mean recall of the minority classes",
    Metric.majority: "Mean recall of the majority classes",
}
"""What each metric is, on the test set."""

CAPTIONS = {
    Select.last: "Test accuracy in % after the last step",
    Select.best: "Best test accuracy in % of all evaluations, a choice that looks at the test set",
    Select.val: "Test accuracy in % at the step with the highest balanced accuracy on the "
    "validation share",
}
ACCURACIES = {
    Select.last: "test accuracy, last step (%)",
    Select.best: "best test accuracy (%), looks at the test set",
    Select.val: "test accuracy, step chosen by validation (%)",
}


def reading_of(run: Run) -> Select:
    """Return what a run's own reading of F14 reports: ``paper`` the last, ``released`` the best."""
    reading = run.spec.settings.get("fidelity", {}).get("F14", run.spec.protocol)
    return Select.best if reading == "released" else Select.last


def shown_of(run: Run, select: Select | None = None, metric: Metric = Metric.accuracy) -> Select:
    """Return which accuracy is shown of a run: the one asked for, else that of its own reading.

    Of the other metrics it is the last one.
    """
    return select or (reading_of(run) if metric is Metric.accuracy else Select.last)


def accuracy_of(run: Run, select: Select | None = None) -> float | None:
    """Return the accuracy of a run that is reported, in [0, 1].

    Args:
        run: the run.
        select: which accuracy; None for that of the run's own reading.

    Returns:
        None for a run without results, or without the validated accuracy that was asked for.
    """
    if run.metrics is None:
        return None
    match shown_of(run, select):
        case Select.last:
            return run.metrics.accuracy_last
        case Select.best:
            return run.metrics.accuracy_best
        case Select.val:
            return run.metrics.accuracy_val


def value_of(
    run: Run, metric: Metric = Metric.accuracy, select: Select | None = None
) -> float | None:
    """Return the number of a run that is reported, in [0, 1].

    Args:
        run: the run.
        metric: which metric; all but the accuracy are the last step's.
        select: which accuracy; None for that of the run's own reading.

    Returns:
        None for a run without results, or without such a number (see ``gap_of``).
    """
    found: float | None
    if metric is Metric.accuracy or run.metrics is None:
        found = accuracy_of(run, select)
    else:
        found = {
            Metric.balanced: run.metrics.balanced_accuracy,
            Metric.f1: run.metrics.macro_f1,
            Metric.gmean: run.metrics.gmean,
            Metric.minority: run.metrics.minority_recall,
            Metric.majority: run.metrics.majority_recall,
        }[metric]
    return found if found is not None and math.isfinite(found) else None


def require_kept(metric: Metric, select: Select | None) -> None:
    """Check that a metric is kept for the step that was asked for.

    Raises:
        InputError: it is not.
    """
    if metric is not Metric.accuracy and select not in (None, Select.last):
        raise InputError(
            f"Only the accuracy is kept for other steps than the last: leave --select {select} out "
            f"to see --metric {metric}."
        )


def gap_of(run: Run, select: Select | None = None, metric: Metric = Metric.accuracy) -> str | None:
    """Say why a run with results has no number to show; None where it has one, or no results."""
    if run.metrics is None or value_of(run, metric, select) is not None:
        return None
    kept = {
        Metric.minority: run.metrics.minority_recall,
        Metric.majority: run.metrics.majority_recall,
    }
    if metric in kept and (not run.spec.combination or kept[metric] is None):
        return f"no {metric} classes"
    if metric is not Metric.accuracy or accuracy_of(run, select) is not None:
        return NOT_FINITE
    return NOT_KEPT if run.spec.validation else NO_SHARE


def require_any(
    runs: Sequence[Run], select: Select | None, metric: Metric = Metric.accuracy
) -> None:
    """Check that not all finished runs lack the number that was asked for.

    Raises:
        NothingToShowError: they do.
    """
    done = [run for run in runs if run.metrics is not None]
    if not done or any(value_of(run, metric, select) is not None for run in done):
        return
    if metric is not Metric.accuracy:
        raise NothingToShowError(
            f"No finished run has this number ({gap_of(done[0], select, metric)}): show another "
            "one with --metric."
        )
    if any(accuracy_of(run, select) is None for run in done):
        raise NothingToShowError(
            "No finished run has a validation share that could choose its step: train with "
            "--validation 0.1, or show another accuracy with --select last."
        )


def require_values(runs: Sequence[Run], metric: Metric, select: Select | None) -> None:
    """Check that there is something to show.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no run has finished, or none of those has it.
    """
    require_kept(metric, select)
    if all(run.metrics is None for run in runs):
        raise NothingToShowError("No run has finished yet: dfgctl worker trains what is queued.")
    require_any(runs, select, metric)


def caption(shown: Collection[Select], mark: str, metric: Metric = Metric.accuracy) -> str:
    """Say what is shown.

    Args:
        shown: which accuracies, at least one.
        mark: what marks the best ones where others are shown beside them.
        metric: the metric.
    """
    if metric is not Metric.accuracy:
        return f"{TITLES[metric]} in % after the last step"
    if len(set(shown)) == 1:
        return CAPTIONS[next(iter(shown))]
    return (
        f"{CAPTIONS[Select.last]}, or where marked {mark} the best of all evaluations, a choice "
        "that looks at the test set"
    )
