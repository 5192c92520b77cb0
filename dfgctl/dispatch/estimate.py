"""Estimates what a plan will take, from earlier runs or from the recipe's own measurement."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.counts import trained_parameters
from dfgctl.phases import evaluations
from dfgctl.recipe import Recipe
from dfgctl.records import PlannedRun, Run, SourceSpec

BYTES_PER_EVALUATION = 350
BYTES_PER_RUN = 4_000
NEWEST = 1_000
"""Runs of a registry that are looked at."""

ENOUGH_STEPS = 100
"""A shorter run's time is mostly set-up, and says little of a step's."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of training (None if nothing is known), bytes of disk, and where seconds are from."""

    seconds: float | None
    disk: int
    basis: str


def estimate(
    runs: Sequence[PlannedRun],
    known: Sequence[Run],
    recipe: Recipe,
    sources: Sequence[SourceSpec] = (),
) -> Estimate:
    """Estimate the time and disk that runs will take.

    Args:
        runs: the runs that are still to be trained.
        known: runs of the registry; finished ones with the same data set and method, and the same
            settings as far as there are any, tell the time of a step.
        recipe: its section ``cost`` serves where there are none.
        sources: source networks that are still to be trained.
    """
    seconds: float | None = 0.0
    bases: set[str] = set()
    groups: dict[str, tuple[float | None, str]] = {}
    for run in runs:
        group = run.spec.group()
        if group not in groups:
            groups[group] = _seconds(run, known, recipe)
        spent, basis = groups[group]
        bases.add(basis)
        seconds = None if seconds is None or spent is None else seconds + spent
    for source in sources:
        # A step of pre-training costs about what a step of ``original`` does.
        steps = int(source.settings.get("steps", 0))  # published weights need no training
        if recipe.cost is not None and seconds is not None:
            seconds += steps * recipe.cost.original
    disk = sum(
        4 * _parameters(run) + BYTES_PER_RUN + evaluations(run.spec) * BYTES_PER_EVALUATION
        for run in runs
    )
    return Estimate(seconds, disk, " and ".join(sorted(bases)))


def _parameters(run: PlannedRun) -> int:
    """Count the parameters in a run's weights file; a method of one's own has E and C at least."""
    classes = len(run.class_counts)
    known = trained_parameters(run.spec, classes)
    return BACKBONES[run.spec.backbone].classifier_parameters(classes) if known is None else known


def _seconds(run: PlannedRun, known: Sequence[Run], recipe: Recipe) -> tuple[float | None, str]:
    spec = run.spec
    alike = [
        k
        for k in known
        if k.metrics is not None
        and k.spec.steps >= ENOUGH_STEPS
        and (k.spec.dataset, k.spec.method, k.spec.backbone)
        == (spec.dataset, spec.method, spec.backbone)
    ]
    same = [k for k in alike if k.spec.settings == spec.settings]
    if chosen := (same or alike)[-5:]:
        per_step = sum(k.metrics.train_seconds / k.spec.steps for k in chosen if k.metrics)
        per_evaluation = sum(
            k.metrics.eval_seconds / evaluations(k.spec) for k in chosen if k.metrics
        )
        n = len(chosen)
        return (
            spec.steps * per_step / n + evaluations(spec) * per_evaluation / n,
            "earlier runs in this registry",
        )
    if recipe.cost is None:
        return None, "nothing"
    cost = recipe.cost
    # One's own method costs about what ``original`` does, as far as can be known.
    per_step = cost.values().get(spec.method, cost.original)
    return (
        spec.steps * per_step + evaluations(spec) * cost.evaluation,
        f"the recipe's measurement ({cost.machine})",
    )
