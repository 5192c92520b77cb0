"""Accuracy and losses over the training steps, each method's mean and spread over its runs."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dfgctl.errors import NothingToShowError
from dfgctl.records import Measurement
from dfgctl.report.captions import with_caption
from dfgctl.report.cards import method_titles
from dfgctl.report.choosing import Chosen
from dfgctl.report.figures import STYLE, Drawn, looks
from dfgctl.report.names import fit, in_legend
from dfgctl.report.remake import command

if TYPE_CHECKING:
    import pandas as pd

ACCURACY, TEST_LOSS, PLAIN_LOSS = "accuracy", "test loss", "loss"
ACROSS = 4
"""Panels beside each other."""

SHORT = 14
"""Letters of a method's title, of which a legend has six beside each other, else four."""

TITLE = 22
"""Letters of a panel's title that fit into a line."""

WIDTH, TOP, ROW = 9.6, 3.2, 1.75
"""Inches: the figure's width, the height of the panels on the test set, and that of a row of
training losses."""


def table_of(chosen: Chosen, curves: Mapping[str, Sequence[Measurement]]) -> "pd.DataFrame":
    """Return what was measured, a row for each run, quantity and step.

    Columns: method, quantity (``accuracy`` in [0, 1], ``test loss``, or a training loss by its own
    name), step, value, combination, seed, run.
    """
    import pandas as pd

    found = []
    for run in chosen.runs:
        repeat = (" ".join(map(str, run.spec.combination)), run.spec.seed, run.id)
        for m in curves.get(run.id, ()):
            values = {ACCURACY: m.accuracy, TEST_LOSS: m.loss, **m.losses}
            found += [
                (run.spec.contender, name, m.step, value, *repeat) for name, value in values.items()
            ]
    columns = ["method", "quantity", "step", "value", "combination", "seed", "run"]
    return pd.DataFrame(found, columns=columns)


def draw(chosen: Chosen, curves: Mapping[str, Sequence[Measurement]]) -> Drawn:
    """Draw a row's curves.

    Args:
        chosen: the runs.
        curves: their evaluations by id.

    Raises:
        NothingToShowError: none has evaluations.
    """
    import matplotlib
    import numpy as np

    data = table_of(chosen, curves)
    if data.empty:
        raise NothingToShowError(
            "These runs were kept without their evaluations: train them once more, e.g. with "
            f"{command(chosen.runs[0])} --force"
        )
    titles = method_titles(chosen.runs)
    methods = [method for method in titles if method in set(data.method)]
    bad = data[~np.isfinite(data.value)]
    groups = data[np.isfinite(data.value)].groupby(["method", "quantity", "step"])
    bands = groups.value.agg(["mean", "std", "count"]).reset_index()
    panels = _panels(bands, methods, titles)
    said = [*_below(bands, titles), *_said(chosen, curves, data, len(bad), methods, titles)]
    rows = -(-len(panels) // ACROSS)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(WIDTH, TOP + ROW * rows + 0.3, said, chosen.heading())
        grid = body.add_gridspec(
            1 + rows, ACROSS, height_ratios=[TOP, *[ROW] * rows], wspace=0.08, hspace=0.08
        )
        for i, quantity in enumerate((ACCURACY, TEST_LOSS)):
            axes = body.add_subplot(grid[0, 2 * i : 2 * i + 2])
            _draw(axes, bands, quantity, methods, titles)
            axes.set_title(("test accuracy (%)", "test loss (cross-entropy)")[i], loc="left")
            axes.set_xlabel("training steps")
            if quantity == ACCURACY and (floor := _floor(bands)) is not None:
                axes.set_ylim(bottom=floor)
        for i, (title, name, shown) in enumerate(panels):
            axes = body.add_subplot(grid[1 + i // ACROSS, i % ACROSS])
            _draw(axes, bands, name, shown, titles)
            axes.set_title(title, loc="left", fontsize=8.5)
            axes.tick_params(labelsize=7.5)
            axes.locator_params(axis="x", nbins=4)
        handles, labels = body.axes[0].get_legend_handles_labels()
        across = 6 if max(map(len, labels)) <= SHORT else 4
        body.legend(handles, labels, loc="outside lower left", ncols=across, frameon=False)
    return Drawn(
        name=f"curves-{chosen.recipe.name}",
        figure=figure,
        data=data,
        runs=list(dict.fromkeys(data.run)),
        said=said,
    )


def _panels(
    bands: "pd.DataFrame", methods: Sequence[str], titles: Mapping[str, str]
) -> list[tuple[str, str, list[str]]]:
    """Return the panels of training losses: title, name and methods.

    ``loss`` is the cross-entropy of all methods that have it, so it shares a panel. Other names
    mean something else in each method.
    """
    panels: list[tuple[str, str, list[str]]] = []
    own = {method: set(bands[bands.method == method].quantity) for method in methods}
    if shared := [method for method in methods if PLAIN_LOSS in own[method]]:
        panels.append(("training loss", PLAIN_LOSS, shared))
    for method in methods:
        names = sorted(own[method] - {ACCURACY, TEST_LOSS, PLAIN_LOSS})
        panels += [(_panel(titles[method], name), name, [method]) for name in names]
    return panels


def _panel(title: str, name: str) -> str:
    """Return a panel's title, in two lines where one has no room for it."""
    between = "\n" if len(fit(title) + fit(name)) > TITLE else " "
    return f"{in_legend(title)}:{between}{_symbol(name)}"


def _symbol(name: str) -> str:
    """Write a loss's name as a formula: ``L_C^r`` with its indices, ``omega`` as the letter."""
    if name == "omega":
        return r"$\Omega$"
    if not re.fullmatch(r"L_\w+(\^\w+)?", name, re.ASCII):
        return in_legend(name)
    base, _, above = name[2:].partition("^")
    below = base.replace("_", ",")
    return f"$L_{{{below}}}^{{{above}}}$" if above else f"$L_{{{below}}}$"


def _draw(
    axes: Any,
    bands: "pd.DataFrame",
    quantity: str,
    methods: Sequence[str],
    titles: Mapping[str, str],
) -> None:
    """Draw one quantity of some methods: the mean, and a band of one standard deviation."""
    unit = 100 if quantity == ACCURACY else 1
    look = looks(list(titles))
    for method in methods:
        own = bands[(bands.method == method) & (bands.quantity == quantity)]
        colour, marker = look[method]
        spread = own["std"].fillna(0)
        low, high = unit * (own["mean"] - spread), unit * (own["mean"] + spread)
        axes.fill_between(own.step, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            own.step,
            unit * own["mean"],
            marker=marker,
            color=colour,
            markersize=3.5,
            markevery=max(1, len(own) // 12),
            linewidth=1.2,
            label=in_legend(titles[method]),
        )


def _floor(bands: "pd.DataFrame") -> float | None:
    """Return where the axis of accuracies, in %, starts: what is untrained would squeeze the rest.

    Returns:
        None where nothing was measured after step 0.
    """
    later = bands[(bands.quantity == ACCURACY) & (bands.step > 0)]
    if later.empty:
        return None
    lowest = float((later["mean"] - later["std"].fillna(0)).min())
    return 100 * lowest - 2


def _below(bands: "pd.DataFrame", titles: Mapping[str, str]) -> list[str]:
    """Say which means of the accuracy lie below the axis."""
    floor = _floor(bands)
    if floor is None:
        return []
    hidden = bands[(bands.quantity == ACCURACY) & (100 * bands["mean"] < floor)]
    means = dict(zip(hidden.method, 100 * hidden["mean"], strict=True))
    listed = ", ".join(f"{titles[m]} {means[m]:.1f} %" for m in titles if m in means)
    return [f"Below the axis, at step 0: {listed}."] if listed else []


def _said(
    chosen: Chosen,
    curves: Mapping[str, Sequence[Measurement]],
    data: "pd.DataFrame",
    bad: int,
    methods: Sequence[str],
    titles: Mapping[str, str],
) -> list[str]:
    """Say what is shown and what is not."""
    runs = data.groupby("method").run.nunique()
    counts = ", ".join(f"{titles[method]} {runs[method]}" for method in methods)
    said = [
        f"Lines are means over the runs, bands ± 1 standard deviation. Runs: {counts}. A training "
        "loss is the mean since the evaluation before."
    ]
    if single := [titles[method] for method in methods if runs[method] == 1]:
        said.append(f"One run alone has no band: {', '.join(single)}.")
    repeats = {
        method: frozenset(zip(own.combination, own.seed, strict=True))
        for method, own in data.groupby("method")
    }
    if len(set(repeats.values())) > 1:
        common = len(frozenset.intersection(*repeats.values()))
        said.append(
            f"The methods have different (combination, seed) pairs, {common} of them common to all."
        )
    if bad:
        said.append(f"{bad:,} values are no finite numbers and are left out of the means.")
    if without := sum(not curves.get(run.id) for run in chosen.runs):
        said.append(f"{without:,} of these runs were kept without their evaluations.")
    return [*said, *chosen.aside()]
