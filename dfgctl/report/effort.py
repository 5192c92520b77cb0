"""What finished runs took: parameters, memory and times, summed up by method and device."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dfgctl.data.imbalance import validation_counts
from dfgctl.networks.counts import trained_parameters
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.groups import Row, rows
from dfgctl.report.selection import Select, gap_of, shown_of, value_of
from dfgctl.report.statistics import Summary, summarise, summary_of


@dataclass(frozen=True)
class Cost:
    """What a method's runs took on one device in packs of one size.

    Attributes:
        row: what all of the runs share.
        title: the data set's title.
        shortened: whether they have fewer steps than the recipe.
        method: the method.
        source: the source; None for a method that has none.
        backbone: the network.
        device: the device in words.
        pack: runs in a pack.
        parameters: of all networks in training; None for a method of one's own.
        peak_bytes: the most that a pack took, the median of all; None where it was not kept.
        peaks: of how many runs it was kept.
        train: seconds of training.
        image: seconds an image in the evaluations; None without test images.
        test_images: images of the test set.
        select: which accuracy is shown.
        accuracy: the accuracies; None where no run has such.
        gaps: how many runs have none, by the reason.
        n: how many runs there are.
    """

    row: Row
    title: str
    shortened: bool
    method: str
    source: str | None
    backbone: str
    device: str
    pack: int
    parameters: int | None
    peak_bytes: float | None
    peaks: int
    train: Summary
    image: Summary | None
    test_images: int
    select: Select
    accuracy: Summary | None
    gaps: Mapping[str, int]
    n: int


def costs(
    runs: Sequence[Run], recipes: Mapping[str, Recipe], select: Select | None = None
) -> list[Cost]:
    """Sum up what finished runs took; those of several devices or pack sizes are never averaged.

    Args:
        runs: the runs, all finished, read whole.
        recipes: recipe of each data set, in the order of the table.
        select: which accuracy is shown; None for that of each run's own reading.
    """
    order = list(method_titles(runs))
    found = []
    seen: set[str] = set()
    for row, members in rows(runs, recipes).items():
        alike: dict[tuple[str, int, int], list[Run]] = {}
        for run in members:
            if run.id in seen:  # one without a source is in the rows of several
                continue
            seen.add(run.id)
            key = str(run.result_device), run.pack_size or 0, order.index(run.spec.contender)
            alike.setdefault(key, []).append(run)
        recipe = recipes[row.dataset]
        found += [_cost(row, alike[key], recipe, select) for key in sorted(alike)]
    return found


def _cost(row: Row, runs: Sequence[Run], recipe: Recipe, select: Select | None) -> Cost:
    first = runs[0]
    shown = shown_of(first, select)
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    return Cost(
        row=row,
        title=title_of(first),
        shortened=first.spec.steps < recipe.steps_of(first.spec),
        method=first.spec.contender,
        source=first.spec.source,
        backbone=first.spec.backbone,
        device=str(first.result_device),
        pack=first.pack_size or 0,
        parameters=trained_parameters(first.spec, len(first.class_counts)),
        peak_bytes=median(peaks) if peaks else None,
        peaks=len(peaks),
        train=summarise([run.metrics.train_seconds for run in runs if run.metrics is not None]),
        image=summary_of(map(image_seconds, runs)),
        test_images=tested_images(first),
        select=shown,
        accuracy=summary_of(value_of(run, select=shown) for run in runs),
        gaps=Counter(gap for run in runs if (gap := gap_of(run, shown))),
        n=len(runs),
    )


def tested_images(run: Run) -> int:
    """Return how many test images a run classified at its end; 0 where that was not read."""
    return sum(map(sum, run.metrics.confusion)) if run.metrics is not None else 0


def image_seconds(run: Run) -> float | None:
    """Return a run's share of its pack's time in evaluations, for each image that it classified.

    An evaluation comes before the first step, each ``eval_every`` steps and at the end, and goes
    through the test images and those held out. That of images new to the source network, once at
    the end, is not counted as one.
    """
    tested = tested_images(run)
    if run.metrics is None or not tested:
        return None
    held_out = sum(validation_counts(run.class_counts, run.spec.validation))
    evaluations = 1 + -(-run.spec.steps // run.spec.eval_every)
    return run.metrics.eval_seconds / (evaluations * (tested + held_out))
