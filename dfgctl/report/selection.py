"""Which of a run's accuracies is reported (F14): the last, the best, or the validated one."""

from collections.abc import Collection, Sequence
from enum import StrEnum

from dfgctl.errors import NothingToShowError
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


NO_SHARE = "no validation share"
NOT_KEPT = "validated accuracy not kept"

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


def shown_of(run: Run, select: Select | None = None) -> Select:
    """Return which accuracy is shown of a run: the one asked for, else that of its own reading."""
    return select or reading_of(run)


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


def gap_of(run: Run, select: Select | None = None) -> str | None:
    """Say why a run with results has no accuracy to show; None where it has one, or no results."""
    if run.metrics is None or accuracy_of(run, select) is not None:
        return None
    return NOT_KEPT if run.spec.validation else NO_SHARE


def require_any(runs: Sequence[Run], select: Select | None) -> None:
    """Check that not all finished runs lack the accuracy that was asked for.

    Raises:
        NothingToShowError: they do.
    """
    done = [run for run in runs if run.metrics is not None]
    if done and all(accuracy_of(run, select) is None for run in done):
        raise NothingToShowError(
            "No finished run has a validation share that could choose its step: train with "
            "--validation 0.1, or show another accuracy with --select last."
        )


def caption(shown: Collection[Select], mark: str) -> str:
    """Say which accuracy is shown.

    Args:
        shown: those that are shown, at least one.
        mark: what marks the best ones where others are shown beside them.
    """
    if len(set(shown)) == 1:
        return CAPTIONS[next(iter(shown))]
    return (
        f"{CAPTIONS[Select.last]}, or where marked {mark} the best of all evaluations, a choice "
        "that looks at the test set"
    )
