"""Accuracy against training cost: each contender's runs, and who is on the Pareto front."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dfgctl.report.advice import advice
from dfgctl.report.fronts import Panel, Point, panels
from dfgctl.report.names import flop_text, listed, seconds_text
from dfgctl.report.results import results
from dfgctl.report.selection import BEST_MARK, TITLES, Metric, Select, caption
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES = frozenset({"metric", "select"})

SHOWN = (Metric.accuracy, Metric.balanced, Metric.minority)
"""The metrics that are shown, whatever the front is drawn by."""

HEADS = {
    Metric.accuracy: "Accuracy",
    Metric.balanced: "Balanced accuracy",
    Metric.f1: "Macro F1",
    Metric.gmean: "G-mean",
    Metric.minority: "Minority recall",
    Metric.majority: "Majority recall",
}

FRONT = "front"
"""What marks a contender on the front."""

NOT_COUNTED = "not counted"

CAPTION = (
    "Each row has a contender's finished runs on one device, in packs of one size, the fastest "
    "first. Training: seconds of a run, its share of its pack's time with set-up (first filter "
    "weights, new heads, SMOTE), without evaluations and the training of the source network; on a "
    "machine that is busy it takes longer. "
    "FLOP: multiplications and additions in the convolutions and products of matrices of all "
    "training steps of a run that trains alone, backward passes included; what comes before the "
    "first step, evaluations and what works element by element are left out. "
)


def make(view: View) -> Table:
    """Make the table.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no run has finished, or none that did has such a number.
    """
    found = panels(view)
    metrics = [*SHOWN, *(m for m in [view.metric] if m not in SHOWN)]
    points = [point for own in found.values() for point in own]
    # The names of rows are those of the table of results, so that they are found again there.
    base = results(replace(view, published=False))
    best = {panel: _best(own, view.metric) for panel, own in found.items()}
    marks = len({point.select for point in points}) > 1
    places, what_to_use = _places(points), advice(view)

    def names(point: Point) -> list[str]:
        steps = base.shortened(point.row, point.contender).values()
        return [base.label(point.row), *base.settings(point.row), *steps, *places(point)]

    return Table(
        name="frontier",
        title="Accuracy against training cost",
        columns=[
            *(Column("Method", "label"), Column("Trained on", "detail")),
            *(Column("Training"), Column("FLOP")),
            *(Column(HEADS[metric]) for metric in metrics),
            Column("Pareto"),
        ],
        rows=[
            _row(point, names(point), metrics, view.metric, best[panel])
            for panel, own in found.items()
            for point in own
        ],
        caption=CAPTION + _says(points, view, marks) + _same_place(points),
        notes=[*what_to_use.answers(), *what_to_use.mind(), *_notes(points, view, found)],
        records=[_record(point, view.metric) for point in points],
    )


def _best(points: Sequence[Point], metric: Metric) -> float | None:
    means = [round(s.mean, 4) for p in points if (s := p.values[metric])]
    return max(means) if len(means) > 1 else None


def _row(
    point: Point,
    names: Sequence[str],
    metrics: Sequence[Metric],
    by: Metric,
    best: float | None,
) -> list[Cell]:
    front = point.front and best is not None
    return [
        Cell([point.title]),
        Cell(names),
        Cell([seconds_text(point.seconds.mean, point.seconds.std)], order=point.seconds.mean),
        Cell([NOT_COUNTED if point.flop is None else flop_text(point.flop)], order=point.flop),
        *(_value(point, metric, by, best) for metric in metrics),
        Cell([FRONT] if front else [], order=float(front)),
    ]


def _places(points: Sequence[Point]) -> Callable[[Point], list[str]]:
    """Return what says where a point's runs were trained, where not all were at one place."""
    devices, packs = len({p.device for p in points}), len({p.pack for p in points})

    def words(point: Point) -> list[str]:
        return [
            *([point.device] if devices > 1 else []),
            *([f"pack of {point.pack}"] if packs > 1 else []),
        ]

    return words


def _same_place(points: Sequence[Point]) -> str:
    """Say what ``_places`` leaves out."""
    devices, packs = ({getattr(p, name) for p in points} for name in ("device", "pack"))
    said = [f"on {device}" for device in devices if len(devices) == 1]
    said += [f"in packs of {pack}" for pack in packs if len(packs) == 1]
    return f" All {listed(said)}." if said else ""


def _value(point: Point, metric: Metric, by: Metric, best: float | None) -> Cell:
    found = point.values[metric]
    gaps = [f"{n} {reason}" for reason, n in point.gaps.items()] if metric is by else []
    if found is None:
        return Cell(gaps or ["–"])
    bold = metric is by and best is not None and round(found.mean, 4) == best
    return Cell([found.text(), f"n = {found.n}", *gaps], bold, found.mean)


def _says(points: Sequence[Point], view: View, marks: bool) -> str:
    accuracy = caption({point.select for point in points}, BEST_MARK)
    others = "the other metrics are in % after the last step" if marks or view.select else ""
    what = TITLES[view.metric].partition(" (")[0]
    what = f"{what[0].lower()}{what[1:]}"
    return (
        f"{accuracy}{f'; {others}' if others else ''}: mean ± standard deviation (n runs). Pareto "
        f"front: no other contender of the same row and device has a mean {what} as high in as "
        "short a training, and one of them better."
    )


def _notes(
    points: Sequence[Point], view: View, found: Mapping[Panel, Sequence[Point]]
) -> list[str]:
    notes = []
    if any(point.shortened for point in points):
        notes.append("† Shortened with --steps: not what the recipe trains.")
    if len({device for _, device in found}) > 1:
        notes.append(
            "Times on different devices say nothing about the methods: each device has a front of "
            "its own."
        )
    if any(len({point.pack for point in own}) > 1 for own in found.values()):
        notes.append(
            "In a larger pack a run takes less time: compare contenders in packs of one size."
        )
    lacking = [point for point in points if point.flop is None]
    own = sorted({p.contender for p in lacking if "code" in p.runs[0].spec.settings})
    if len(lacking) > sum(p.contender in own for p in lacking):
        notes.append("FLOP that are not counted yet: dfgctl table frontier counts them, once.")
    if own:
        notes.append(
            f"FLOP of {' and '.join(own)}: a method of one's own is counted where its class can be "
            "imported as it was when its runs were planned, by dfgctl table frontier in its folder."
        )
    return notes


def _record(point: Point, metric: Metric) -> dict[str, object]:
    row = point.row
    summaries = {
        f"{metric.value}{end}": getattr(found, name) if found else None
        for metric, found in point.values.items()
        for end, name in (("", "mean"), ("_std", "std"), ("_n", "n"))
    }
    return {
        **row.record(),
        "shortened": point.shortened,
        "method": point.contender,
        "device": point.device,
        "pack": point.pack,
        "n": len(point.runs),
        "train_seconds": point.seconds.mean,
        "train_seconds_std": point.seconds.std,
        "flop": point.flop,
        "select": Select(point.select).value,
        **summaries,
        "metric": metric.value,
        "front": point.front,
        "runs": [run.id for run in point.runs],
    }
