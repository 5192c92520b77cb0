"""What each method costs (Table 4): parameters, peak memory, times, and the accuracy they buy."""

from collections.abc import Iterable, Mapping, Sequence

from dfgctl.contenders import METHODS
from dfgctl.data.catalog import DATASETS
from dfgctl.errors import NothingToShowError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.report import published
from dfgctl.report.cards import method_titles
from dfgctl.report.effort import Cost, costs
from dfgctl.report.names import digits_of, seconds_text
from dfgctl.report.selection import Select, caption, require_any
from dfgctl.report.statistics import Summary
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES = frozenset({"select", "published"})

COLUMNS = (
    Column("Method", "label"),
    Column("Trained on", "detail"),
    *map(Column, ("Parameters", "Peak memory", "Training", "An image", "Test set", "Accuracy")),
)
BEST_MARK = "‡"
"""Marks rows that show the best accuracy where others do not."""

NOT_KEPT, NOT_KNOWN, NOT_GIVEN = "not kept", "not known", "not given"

CAPTION = (
    "Each row has a method's finished runs on one device, in packs of one size. Parameters: of all "
    "networks in training, with layers that are kept fixed, without a frozen copy of the source "
    "network. Peak memory: the most that a whole pack took, the median over runs (on a GPU what "
    "tensors took; on a CPU how much the process grew, with libraries that its first run loads). "
    "Training: a run's share of its pack's time, set-up included, mean ± standard deviation over "
    "runs. An image, test set: how long it takes to classify them, likewise, in the batches of the "
    "evaluations. "
)


def make(view: View) -> Table:
    """Make the table.

    Raises:
        NothingToShowError: no run has finished, or none that did has such an accuracy.
    """
    done = [run for run in view.runs if run.metrics is not None and run.pack_size is not None]
    if not done:
        first = view.runs[0].spec.dataset
        raise NothingToShowError(
            "None of these runs has finished, so what they cost is not known yet: train them, "
            f"e.g. dfgctl run {first}."
        )
    require_any(done, view.select)
    found = costs(done, view.recipes, view.select)
    of_paper = _of_paper(view, found)
    titles = method_titles(view.runs)
    shown = {cost.select for cost in found}
    own = [(cost, _row(cost, titles, len(shown) > 1)) for cost in found]
    return Table(
        name="cost",
        title="Cost",
        columns=COLUMNS,
        rows=_beside(own, [_paper_row(m, cost) for m, cost in of_paper.items()]),
        caption=CAPTION + caption(shown, BEST_MARK) + ".",
        notes=_notes(found, of_paper),
        records=[*map(_record, found), *(_paper_record(m, c) for m, c in of_paper.items())],
    )


def _of_paper(view: View, found: Sequence[Cost]) -> dict[str, published.Cost]:
    """Return the paper's rows where there are runs of its data set, or they are asked for."""
    there = {cost.row.dataset for cost in found}
    if view.published:
        there |= set(view.recipes)
    return {m: cost for m, cost in published.costs().items() if cost.dataset in there}


def _beside(
    own: Iterable[tuple[Cost, Sequence[Cell]]], papers: Sequence[Sequence[Cell]]
) -> list[Sequence[Cell]]:
    """Put the paper's rows below ours of its data set, else at the end."""
    of = {cost.dataset for cost in published.costs().values()}
    listed = [(cost.row.dataset in of, cells) for cost, cells in own]
    last = max((i for i, (same, _) in enumerate(listed) if same), default=len(listed) - 1)
    ours = [cells for _, cells in listed]
    return [*ours[: last + 1], *papers, *ours[last + 1 :]]


def _row(cost: Cost, titles: Mapping[str, str], marks: bool) -> list[Cell]:
    mark = " †" if cost.shortened else ""
    if marks and cost.select is Select.best:
        mark += f" {BEST_MARK}"
    parts = [f"{cost.title} ({cost.row.ratio})", BACKBONES[cost.backbone].title]
    parts += [f"source {cost.source}"] if cost.source else []
    parts += [*cost.row.notes, cost.device, f"pack of {cost.pack}"]
    accuracy = cost.accuracy
    without = [f"{n} {reason}" for reason, n in cost.gaps.items()]
    return [
        Cell([titles[cost.method] + mark]),
        Cell(parts),
        _count(cost.parameters),
        _memory(cost),
        Cell([seconds_text(cost.train.mean, cost.train.std)], order=cost.train.mean),
        *_inference(cost),
        Cell(
            [accuracy.text(), f"n = {accuracy.n}", *without] if accuracy else list(cost.gaps),
            order=accuracy.mean if accuracy else None,
        ),
    ]


def _paper_row(method: str, cost: published.Cost) -> list[Cell]:
    number = cost.accuracy
    title = DATASETS[cost.dataset].title
    network = BACKBONES[cost.backbone].title
    return [
        Cell([f"{METHODS[method]}, the paper"]),
        Cell([f"{title} ({cost.ratio})", network, cost.place, cost.device]),
        _count(cost.parameters),
        Cell([f"{cost.megabytes:,.0f} MB"], order=cost.megabytes * 1e6),
        Cell([f"{cost.seconds:,.0f} s"], order=cost.seconds),
        Cell([NOT_GIVEN]),
        Cell([NOT_GIVEN]),
        Cell([Summary(number.mean, number.std, 0).text()], order=number.mean),
    ]


def _count(parameters: int | None) -> Cell:
    if parameters is None:
        return Cell([NOT_KNOWN])
    return Cell([f"{parameters:,}"], order=parameters)


def _memory(cost: Cost) -> Cell:
    if cost.peak_bytes is None:
        return Cell([NOT_KEPT])
    some = [f"n = {cost.peaks}"] if cost.peaks < cost.n else []
    return Cell([f"{cost.peak_bytes / 1e6:,.0f} MB", *some], order=cost.peak_bytes)


def _inference(cost: Cost) -> list[Cell]:
    """Write how long an image takes, and the test set."""
    if cost.image is None:
        return [Cell([NOT_KNOWN])] * 2
    times = cost.image.mean, cost.image.mean * cost.test_images
    return [Cell([_time(seconds)], order=seconds) for seconds in times]


def _time(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    factor, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    value = seconds * factor
    return f"{value:,.{digits_of(value)}f} {unit}"


def _notes(found: Sequence[Cost], of_paper: Mapping[str, published.Cost]) -> list[str]:
    notes = []
    devices = {cost.device for cost in found} | {cost.device for cost in of_paper.values()}
    if len(devices) > 1:
        notes.append(
            "Times and memory of different devices say nothing about the methods: compare rows of "
            "one device."
        )
    if any(cost.shortened for cost in found):
        notes.append("† Shortened with --steps: not what the recipe trains.")
    lacking = [cost for cost in found if cost.peaks < cost.n]
    if lacking:
        first = lacking[0]
        notes.append(
            "Peak memory was not kept with runs of older versions (registry schema 0004 and "
            "before); to train runs once more, and keep it, e.g.: dfgctl run "
            f"{first.row.dataset} --method {first.method} --repeats 1 --force"
        )
    if any(cost.parameters is None for cost in found):
        notes.append("How many parameters a method of one's own trains, only its class knows.")
    for cost in list(of_paper.values())[:1]:
        notes.append(
            f"The paper's rows are {cost.place}'s, as printed; how it read memory, and whether "
            "set-up and evaluations are in its times, it does not say. To classify, it says, takes "
            "all methods as long, as their network is the same (section 4.3)."
        )
        notes += cost.accuracy.footnotes
    return notes


def _record(cost: Cost) -> dict[str, object]:
    image, accuracy = cost.image, cost.accuracy
    return {
        "published": None,
        "dataset": cost.row.dataset,
        "ratio": cost.row.ratio,
        "source": cost.source,
        "settings": list(cost.row.notes),
        "shortened": cost.shortened,
        "backbone": cost.backbone,
        "method": cost.method,
        "device": cost.device,
        "pack": cost.pack,
        "n": cost.n,
        "parameters": cost.parameters,
        "peak_bytes": cost.peak_bytes,
        "peaks": cost.peaks,
        "train_seconds": cost.train.mean,
        "train_seconds_std": cost.train.std,
        "image_seconds": image.mean if image else None,
        "test_images": cost.test_images,
        "select": cost.select.value,
        "accuracy": accuracy.mean if accuracy else None,
        "accuracy_std": accuracy.std if accuracy else None,
    }


def _paper_record(method: str, cost: published.Cost) -> dict[str, object]:
    return {
        "published": cost.place,
        "dataset": cost.dataset,
        "ratio": cost.ratio,
        "backbone": cost.backbone,
        "method": method,
        "device": cost.device,
        "parameters": cost.parameters,
        "peak_bytes": cost.megabytes * 1e6,
        "train_seconds": cost.seconds,
        "accuracy": cost.accuracy.mean,
        "accuracy_std": cost.accuracy.std,
    }
