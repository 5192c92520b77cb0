"""A picture of a search: what each trial reached, and what each setting has to do with it."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dfgctl.report.figures import BLUE, ORANGE, STYLE
from dfgctl.tuning.outcome import Outcome, Tried
from dfgctl.tuning.space import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
GREY = "#888888"


def draw(found: Outcome) -> "Figure":
    """Draw a search: values over trials with the best so far, and over each setting's values."""
    from matplotlib import pyplot as plt

    parameters = found.task.parameters
    rows = 1 + math.ceil(len(parameters) / COLUMNS)
    with plt.style.context(STYLE):
        figure = plt.figure(figsize=(3 * COLUMNS, 2.4 * rows), layout="constrained")
        grid = figure.add_gridspec(rows, COLUMNS)
        _course(figure.add_subplot(grid[0, :]), found)
        first: Any = None
        for i, parameter in enumerate(parameters):
            axes = figure.add_subplot(grid[1 + i // COLUMNS, i % COLUMNS], sharey=first)
            first = first or axes
            _marginal(axes, found, parameter)
            if i % COLUMNS == 0:
                axes.set_ylabel("balanced accuracy, %")
            else:
                axes.tick_params(labelleft=False)
        spec = found.task.spec
        title = f"{spec.dataset} {spec.ratio}, {found.task.title}: {len(found.trials)} trials"
        figure.suptitle(title)
    plt.close(figure)
    return figure


def _course(axes: "Axes", found: Outcome) -> None:
    """Draw the values in the trials' order."""
    from matplotlib.ticker import MaxNLocator

    best, so_far = -math.inf, []
    for trial in found.trials:
        if not trial.pruned and trial.value is not None:
            best = max(best, trial.value)
        so_far.append(100 * best if best > -math.inf else math.nan)
    numbers = range(1, len(found.trials) + 1)
    axes.step(numbers, so_far, where="post", color=BLUE, label="best so far")
    _points(axes, list(zip(numbers, found.trials, strict=True)))
    if found.own is not None:
        axes.axhline(100 * found.own, color=GREY, linestyle=":", label="the recipe's settings")
    axes.set_xlabel("trial")
    axes.set_ylabel("balanced accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)


def _marginal(axes: "Axes", found: Outcome, parameter: Parameter) -> None:
    """Draw the values over what a setting was."""
    key = parameter.key
    if parameter.choices:
        places = {value: i for i, value in enumerate(parameter.choices)}
        axes.set_xticks(range(len(places)), [_short(value) for value in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
        points = [(places[t.parameters[key]], t) for t in found.trials]
    else:
        points = [(t.parameters[key], t) for t in found.trials]
        if parameter.log:
            axes.set_xscale("log")
        axes.set_xlim(parameter.low, parameter.high)
    _points(axes, points)
    axes.set_xlabel(key)


def _points(axes: "Axes", points: list[tuple[Any, Tried]]) -> None:
    """Draw trials: whole ones filled, pruned ones open where they stood, the best one marked."""
    for pruned, style in ((False, "full"), (True, "none")):
        chosen = [(x, t.value) for x, t in points if t.pruned is pruned and t.value is not None]
        if chosen:
            x, y = np.array(chosen, dtype=float).T
            label = "pruned" if pruned else None
            drawn = axes.plot(x, 100 * y, "o", color=BLUE, alpha=0.8, label=label)[0]
            drawn.set(fillstyle=style, markersize=4, clip_on=False)
    whole = [(x, t) for x, t in points if not t.pruned and t.value is not None]
    if whole:
        x, best = max(whole, key=lambda point: (point[1].value or 0, -point[1].number))
        assert best.value is not None
        star = axes.plot(x, 100 * best.value, "*", color=ORANGE, label="best")[0]
        star.set(markersize=11, clip_on=False)


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
