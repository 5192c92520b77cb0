"""The chart of ``dfgctl bench``: how much a pack trains, over its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfgctl.contenders import BUILT_IN
from dfgctl.errors import NothingToShowError
from dfgctl.report.figures import STYLE, looks, save

COLUMNS = 3
"""Panels side by side, at the most."""


@dataclass(frozen=True)
class Line:
    """How much one method trains.

    Attributes:
        method: the method.
        graphs: whether its steps are replays of CUDA graphs.
        points: pack size R to R times the pack's steps in a second.
    """

    method: str
    graphs: bool
    points: Mapping[int, float]


@dataclass(frozen=True)
class Panel:
    """Lines that can be held against each other.

    Attributes:
        title: network, data set, device, precision.
        lines: the lines.
    """

    title: str
    lines: tuple[Line, ...]


def draw_speed(panels: Sequence[Panel], file: Path) -> None:
    """Draw runs x steps in a second over the pack size, both on log axes, and save it.

    Dotted lines are what a line would be if packs cost nothing: its smallest pack times R.

    Raises:
        NothingToShowError: nothing was measured.
        InputError: the file's name has another ending, or it cannot be written.
    """
    panels = [panel for panel in panels if any(line.points for line in panel.lines)]
    if not panels:
        raise NothingToShowError("Nothing was measured that could be drawn.")
    import matplotlib
    from matplotlib.figure import Figure  # pyplot, which is for screens, takes long to import

    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    colours = looks(sorted({line.method for panel in panels for line in panel.lines}))
    both = len({line.graphs for panel in panels for line in panel.lines}) > 1
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        size = (5.6 if columns == 1 else 3.8 * columns, 3.3 * rows + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        every = list(figure.subplots(rows, columns, squeeze=False, sharey=_alike(panels)).flat)
        for axes, panel in zip(every, panels, strict=False):
            _draw(axes, panel, colours, both)
        for axes in every[len(panels) :]:
            axes.set_visible(False)
        figure.legend(
            handles=_keys(colours, both),
            loc="outside lower center",
            ncols=3 if columns == 1 else 4,
            frameon=False,
            handlelength=3,
        )
        save(figure, file)


def _keys(colours: Mapping[str, tuple[str, str]], both: bool) -> list[Any]:
    """Return the legend: methods by colour and marker, modes by the way of drawing."""
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=colour, marker=marker, markersize=6, label=BUILT_IN.get(name, name))
        for name, (colour, marker) in colours.items()
    ]
    grey = "#666666"
    if both:
        keys.append(Line2D([], [], color=grey, marker="o", linestyle="--", label="eager"))
        keys[-1].set_markerfacecolor("white")
        keys.append(Line2D([], [], color=grey, marker="o", label="CUDA graphs"))
    keys.append(Line2D([], [], color=grey, linestyle=":", linewidth=1, label="linear in the pack"))
    return keys


def _alike(panels: Sequence[Panel]) -> bool:
    """Say whether all panels may share an axis: a network much slower than another may not."""
    rates = [rate for p in panels for line in p.lines for rate in line.points.values()]
    return max(rates) < 100 * min(rates)


def _draw(axes: Any, panel: Panel, colours: Mapping[str, tuple[str, str]], both: bool) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    packs: set[int] = set()
    for line in panel.lines:
        if not line.points:
            continue
        colour, marker = colours[line.method]
        xs = sorted(line.points)
        packs |= set(xs)
        ideal = [line.points[xs[0]] * x / xs[0] for x in xs]
        axes.plot(xs, ideal, ":", color=colour, linewidth=1, alpha=0.7, zorder=1)
        eager = both and not line.graphs
        axes.plot(
            xs,
            [line.points[x] for x in xs],
            linestyle="--" if eager else "-",
            marker=marker,
            markersize=6,
            markerfacecolor="white" if eager else colour,
            color=colour,
            gid=f"{line.method}{' graphs' if line.graphs else ''}",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted(packs), [str(x) for x in sorted(packs)])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([], minor=True)
    # A few numbers between the powers of ten, without which a short axis would have none.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("runs in a pack")
    axes.set_ylabel("runs × steps in a second")
    axes.set_title(panel.title, loc="left")
