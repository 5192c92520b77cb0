"""Draws accuracy over the values of one setting (Fig. 6 and 7), and says how smoothly it varies."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from dfgctl.report import published
from dfgctl.report.captions import with_caption
from dfgctl.report.figures import BLUE, ORANGE, STYLE, Drawn
from dfgctl.report.sensitivity import Sensitivity
from dfgctl.report.smoothness import largest_jump, largest_paired_jump

SYMBOLS = {"rho": "ρ", "delta": "δ"}
AXES = {
    "rho": "ρ, share of the source's filter weights (Eq. 7)",
    "delta": "δ, threshold as a share of the mean filter weight",
}
WIDTH, HEIGHT = 5.8, 3.9
WIDE, HIGH = 90, 40
"""How many runs' marks have room beside each other and above each other."""
ASIDE = 0.6
"""Share of the way to the next value that runs beside each other may take."""
NEAR, TOO_NEAR = 0.075, 0.032
"""Shares of the axis below which two values' labels would touch, side by side and on end."""


def draw(data: Sensitivity) -> Drawn:
    """Draw accuracy over a setting's values."""
    import matplotlib
    import pandas as pd

    stated = published.sweep(data.key, data.dataset, data.ratio)
    caption = [*smoothness(data), *paper(data, stated)]
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(WIDTH, HEIGHT, caption, _title(data))
        axes = body.subplots()
        _runs(axes, data)
        if stated and stated.points:
            axes.plot(
                list(stated.points),
                [100 * mean for mean in stated.points.values()],
                "D",
                color="black",
                markerfacecolor="white",
                markersize=7,
                linestyle="none",
                label=f"the paper's text ({stated.place})",
                zorder=5,
            )
        symbol, best = SYMBOLS[data.key], stated.best if stated else None
        also = ", the paper's best" if best == data.default else ""
        axes.axvline(
            data.default,
            color=ORANGE,
            linestyle="--",
            linewidth=1,
            zorder=1,
            label=f"recipe's {symbol} = {data.default:g}{also}",
        )
        if best is not None and best != data.default:
            label = f"the paper's best, {symbol} = {best:g}"
            axes.axvline(best, color="black", linestyle=":", linewidth=1, zorder=1, label=label)
        axes.set_xlabel(AXES[data.key])
        axes.set_ylabel(data.axis)
        xs = sorted({*data.points, *(stated.points if stated else ())})
        _ticks(axes, xs, [data.default, *([best] if best is not None else [])])
        body.legend(loc="outside lower center", ncols=2, frameon=False)
    points = [
        (value, accuracy, " ".join(map(str, combination)), seed, run)
        for value in sorted(data.points)
        for accuracy, run, (combination, seed) in zip(
            data.points[value], data.runs[value], data.repeats[value], strict=True
        )
    ]
    columns = [data.key, "accuracy", "combination", "seed", "run"]
    means = [f"{data.key} {v:<5g} {s.text()} % (n={s.n})" for v, s in data.summaries().items()]
    return Drawn(
        name=f"{data.key}-{data.dataset}",
        figure=figure,
        data=pd.DataFrame(points, columns=columns),
        runs=[run for *_, run in points],
        said=[*means, *caption, *data.aside()],
    )


def _runs(axes: Any, data: Sensitivity) -> None:
    """Draw each run, the means, and the band of one standard deviation."""
    summaries = data.summaries()
    xs = list(summaries)
    means = [100 * s.mean for s in summaries.values()]
    spread = [100 * (s.std or 0) for s in summaries.values()]
    axes.fill_between(
        xs,
        [m - s for m, s in zip(means, spread, strict=True)],
        [m + s for m, s in zip(means, spread, strict=True)],
        color=BLUE,
        alpha=0.15,
        linewidth=0,
        label="± 1 standard deviation",
    )
    ring = {"markersize": 8, "markerfacecolor": "white", "markeredgewidth": 1.5}
    axes.plot(xs, means, "-o", color=BLUE, **ring, label="mean")
    placed = _places(data.points)
    axes.plot(
        [x for x, _ in placed],
        [100 * accuracy for _, accuracy in placed],
        "o",
        color=BLUE,
        markersize=4.2,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label="one run",
        zorder=4,  # above the means, which would hide them
    )


def _places(points: Mapping[float, Sequence[float]]) -> list[tuple[float, float]]:
    """Return where each run is drawn: those that would hide each other are beside each other."""
    xs = sorted(points)
    every = [accuracy for own in points.values() for accuracy in own]
    height = (max(every) - min(every)) / HIGH or 1.0
    rows: dict[tuple[float, int], list[float]] = {}
    for value, own in points.items():
        for accuracy in own:
            rows.setdefault((value, round(accuracy / height)), []).append(accuracy)
    most = max(map(len, rows.values()))
    room = ASIDE * min(b - a for a, b in pairwise(xs))
    width = min((xs[-1] - xs[0]) / WIDE, room / most)
    return [
        (value + width * (i - (len(row) - 1) / 2), accuracy)
        for (value, _), row in rows.items()
        for i, accuracy in enumerate(row)
    ]


def _ticks(axes: Any, xs: Sequence[float], first: Sequence[float]) -> None:
    """Mark all values, and name those that have room, some before others."""
    span = xs[-1] - xs[0]
    named: list[float] = []
    for x in sorted(xs, key=lambda x: x not in first):
        if all(abs(x - other) >= TOO_NEAR * span for other in named):
            named.append(x)
    turned = any(b - a < NEAR * span for a, b in pairwise(sorted(named)))
    labels = [f"{x:g}" if x in named else "" for x in xs]
    axes.set_xticks(xs, labels, rotation=90 if turned else 0)


def smoothness(data: Sensitivity) -> list[str]:
    """Say in numbers how smoothly accuracy varies, and over which runs."""
    symbol, jump = SYMBOLS[data.key], largest_jump(data.points)
    said = [
        f"Largest jump between neighbours: {100 * abs(jump.size):.2f} points from {symbol} = "
        f"{jump.start:g} to {jump.end:g}"
    ]
    if jump.ratio is not None and jump.spread is not None:
        said[0] += (
            f", {jump.ratio:.1f} times the standard deviation of the runs at one value "
            f"({100 * jump.spread:.2f} points, pooled)."
        )
    else:
        said[0] += (
            ". How much runs at one value differ is not known: train more with --repeats."
            if jump.spread is None
            else ". All runs at one value are equal."
        )
    if paired := largest_paired_jump(data.pairs()):
        said.append(
            f"Over the same (combination, seed) pairs: {100 * abs(paired.size):.2f} points from "
            f"{symbol} = {paired.start:g} to {paired.end:g}; the {paired.n} differences have a "
            f"standard deviation of {100 * (paired.spread or 0):.2f} points."
        )
    return said + _pairing(data)


def _pairing(data: Sensitivity) -> list[str]:
    """Say whether all values have the same pairs."""
    sets = [frozenset(pairs) for pairs in data.repeats.values()]
    common = frozenset.intersection(*sets)
    if all(pairs == common for pairs in sets):
        return [f"All values have the same {len(common)} (combination, seed) pairs."]
    return [
        f"Values have different (combination, seed) pairs, {len(common)} of them common to all: "
        "some of what looks like the setting's effect may be theirs."
    ]


def paper(data: Sensitivity, stated: published.Sweep | None) -> list[str]:
    """Say which value is best, and what the paper states."""
    symbol, summaries = SYMBOLS[data.key], data.summaries()
    top = max(s.mean for s in summaries.values())
    best = [f"{value:g}" for value, s in summaries.items() if s.mean == top]
    if len(best) == len(summaries):
        said = ["All means are equal."]
    else:
        said = [f"Highest mean here: {symbol} = {' and '.join(best)}, {100 * top:.2f} %."]
    if stated is None:
        return said
    told = "".join(f", {100 * m:.2f} % at {v:g}" for v, m in stated.points.items())
    said[0] += f" The paper ({stated.place}): {symbol} = {stated.best:g} is best{told}."
    return [*said, *stated.footnotes]


def _title(data: Sensitivity) -> str:
    counts = {len(accuracies) for accuracies in data.points.values()}
    n = f"n = {counts.pop()}" if len(counts) == 1 else f"n = {min(counts)} to {max(counts)}"
    first = f"DFG on {data.title} ({data.ratio}), {n} runs a value"
    return "\n".join([first, ", ".join(data.notes)]) if data.notes else first
