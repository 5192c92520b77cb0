"""Draws the four networks of DFG with their shapes and parameters (Fig. 1)."""

from typing import TYPE_CHECKING, Any

from dfgctl.networks.outline import Line, Outline, Structure, written
from dfgctl.report import published
from dfgctl.report.captions import with_caption
from dfgctl.report.figures import STYLE, Drawn

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "LeNet-5": "Tables A1 and A2",
    "VGG-16": "Tables A3 and A4",
    "ResNet-50": "Tables A5 and A6",
}
"""Where the paper prints the layers."""

WIDTH, BOX, GAP, EDGE = 11.0, 4.55, 1.5, 0.2
"""Inches: the figure, a box, the room between boxes side by side, and the border."""

ROW, HEAD, BETWEEN = 0.185, 0.62, 0.75
"""Inches: a layer, a box's heading, and the room between boxes one above the other."""

COLUMNS = {"what": 0.12, "activation": 2.22, "shape": 3.62, "parameters": BOX - 0.12}
"""Where a layer's columns stand in a box, in inches; the last two end there."""

FILLS = {"E": "#e5f0f8", "C": "#e5f0f8", "G": "#fdeee0", "D": "#fdeee0"}
INK, GREY = "#000000", "#444444"


def draw(structure: Structure) -> Drawn:
    """Draw the networks of a recipe: E and C above, G and D below, features between them."""
    import matplotlib

    said = _said(structure)
    networks = structure.networks
    upper = max(_height(networks["E"]), _height(networks["C"]))
    lower = max(_height(networks["G"]), _height(networks["D"]))
    height = EDGE + 0.35 + upper + BETWEEN + lower + EDGE
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(WIDTH, height, said)
        axes = body.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(0, height)
        title = (
            f"DFG for {structure.title}: {structure.backbone}, split after {structure.split}, "
            f"{structure.classes} classes"
        )
        axes.text(EDGE, height - EDGE, title, fontsize=10, va="top", parse_math=False)
        left, right = EDGE, WIDTH - EDGE - BOX
        top = height - EDGE - 0.35
        corners = {
            "E": (left, top),
            "C": (right, top),
            "G": (left, top - upper - BETWEEN),
            "D": (right, top - upper - BETWEEN),
        }
        inputs = {
            "E": f"input: images, {written(networks['E'].input)}",
            "C": f"input: features, {written(networks['C'].input)}",
            "D": f"input: features, {written(networks['D'].input)}",
            "G": f"input: {structure.noise:,} noise numbers, {structure.classes} for the class; "
            "filter weights W*",
        }
        for letter, corner in corners.items():
            _box(axes, networks[letter], corner, inputs[letter])
        _arrows(axes, structure, corners)
    return Drawn(
        name=f"structure-{structure.dataset}",
        figure=figure,
        data=table_of(structure),
        runs=[],
        said=said,
    )


def table_of(structure: Structure) -> "pd.DataFrame":
    """Return the layers, a row for each line of the figure."""
    import pandas as pd

    rows = [
        (letter, line.count, line.what, line.activation, written(line.shape), line.parameters)
        for letter, network in structure.networks.items()
        for line in network.lines
    ]
    columns = ["network", "count", "layer", "activation", "shape", "parameters"]
    return pd.DataFrame(rows, columns=columns)


def _height(network: Outline) -> float:
    return HEAD + ROW * len(network.lines) + 0.1


def _box(axes: Any, network: Outline, corner: tuple[float, float], takes: str) -> None:
    """Draw a network's box from its upper left corner."""
    from matplotlib.patches import FancyBboxPatch

    x, y = corner
    tall = _height(network)
    axes.add_patch(
        FancyBboxPatch(
            (x, y - tall),
            BOX,
            tall,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=FILLS[network.letter],
            edgecolor=INK,
            linewidth=1,
        )
    )
    heading = f"{network.letter}, {network.title}"
    axes.text(x + 0.12, y - 0.09, heading, va="top", fontsize=9.5, fontweight="bold")
    end = x + COLUMNS["parameters"]
    counted = f"{network.parameters:,} parameters"
    axes.text(end, y - 0.1, counted, va="top", ha="right", fontsize=8.5)
    axes.text(x + 0.12, y - 0.34, takes, va="top", fontsize=7.5, color=GREY)
    for i, line in enumerate(network.lines):
        _line(axes, line, x, y - HEAD - ROW * i)


def _line(axes: Any, line: Line, x: float, y: float) -> None:
    many = f"{line.count} × " if line.count > 1 else ""
    style = {"va": "top", "fontsize": 7.5}
    axes.text(x + COLUMNS["what"], y, f"{many}{line.what}", **style)
    axes.text(x + COLUMNS["activation"], y, line.activation, **style)
    axes.text(x + COLUMNS["shape"], y, written(line.shape), ha="right", **style)
    if line.parameters:
        axes.text(x + COLUMNS["parameters"], y, f"{line.parameters:,}", ha="right", **style)


def _arrows(axes: Any, structure: Structure, corners: dict[str, tuple[float, float]]) -> None:
    """Draw what passes between the networks, and what comes out."""
    features = written(structure.networks["E"].output)
    start, end = EDGE + BOX, WIDTH - EDGE - BOX
    middle = (start + end) / 2
    above = corners["E"][1] - HEAD / 2
    below = corners["G"][1] - HEAD / 2
    shift = 0.24
    for y, to, colour, style in (
        (above, below, "#0072b2", "-"),
        (below, above, "#d55e00", "--"),
    ):
        other = to + (shift if to < y else -shift)
        for y0, y1 in ((y, y), (y - shift if to < y else y + shift, other)):
            axes.annotate(
                "",
                (end, y1),
                (start, y0),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": colour,
                    "linestyle": style,
                    "linewidth": 1.4,
                    "shrinkA": 1,
                    "shrinkB": 1,
                },
            )
    words = {"ha": "center", "fontsize": 7.5}
    axes.text(middle, above + 0.05, f"real features\n{features}", va="bottom", **words)
    axes.text(middle, below - 0.07, f"generated features\n{features}", va="top", **words)
    results = {
        "C": f"output: {structure.classes} scores, one a class",
        "D": "output: one score, high for real features",
    }
    for letter, text in results.items():
        x, y = corners[letter]
        y -= _height(structure.networks[letter]) + 0.07
        axes.text(x + 0.12, y, text, va="top", fontsize=7.5, color=GREY)


def _said(structure: Structure) -> list[str]:
    """Say how many parameters there are, and where the paper prints the layers."""
    parts = [f"{letter} {n.parameters:,}" for letter, n in structure.networks.items()]
    said = [
        f"{structure.parameters:,} parameters: {', '.join(parts)}. Layers as the networks have "
        "them; shapes are height × width × channels."
    ]
    cost = published.everything()["cost"]
    own = structure.split == "block1"
    if own:
        said[0] += f" The paper: {TABLES[structure.backbone]}."
    if own and structure.dataset == cost["dataset"]:
        stated = cost["dfg"]["parameters"]
        same = "the same" if stated == structure.parameters else "another number"
        said.append(f"The paper's {cost['place']} counts {stated:,} parameters for DFG: {same}.")
    said.append(
        "lReLU: leaky ReLU. W*: the maps are weighed by the filter weights of the class (Eq. 9)."
    )
    return said
