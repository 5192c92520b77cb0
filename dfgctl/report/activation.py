"""Class activation maps of the same pictures by several methods (Fig. 3 and 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfgctl.errors import NothingToShowError
from dfgctl.records import Run
from dfgctl.report.captions import with_caption
from dfgctl.report.cards import classes_of, method_titles
from dfgctl.report.figures import STYLE, Drawn
from dfgctl.report.names import fit, notes_of, of_pair
from dfgctl.report.statistics import summarise

if TYPE_CHECKING:
    import pandas as pd

TOP = 0.1
"""Share of a map's area whose part in its mass is told: a flat map has as much there."""

MAP = "viridis"
"""Rises evenly in lightness, so that grey print and colour-blind readers see it."""

NARROWEST = 4.6
"""Inches that the scale of colours needs."""

HEAT = 0.65
"""How much of a pixel is the map's."""


@dataclass(frozen=True)
class Activation:
    """A run's activation maps of some pictures.

    Attributes:
        run: the run.
        maps: (N, h, w), not negative.
        predicted: the class that the run predicts, (N,).
        probability: its probability, (N,).
    """

    run: Run
    maps: NDArray[np.float32]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float32]

    def alive(self) -> NDArray[np.bool_]:
        """Say which maps have any activation, (N,)."""
        found: NDArray[np.bool_] = self.maps.max(axis=(1, 2)) > 0
        return found

    def concentration(self) -> NDArray[np.float64]:
        """Return the share of each map's mass in its highest tenth, (N,); NaN without any.

        From 0.1 where it is flat to 1.
        """
        flat = np.sort(self.maps.reshape(len(self.maps), -1).astype(np.float64), axis=1)
        top = max(1, round(TOP * flat.shape[1]))
        mass = flat.sum(axis=1)
        share = np.full(len(flat), np.nan)
        np.divide(flat[:, -top:].sum(axis=1), mass, out=share, where=mass > 0)
        return share

    def entropy(self) -> NDArray[np.float64]:
        """Return each map's entropy as a share of a flat map's, (N,) in [0, 1]; NaN without any."""
        from scipy.stats import entropy

        flat = self.maps.reshape(len(self.maps), -1).astype(np.float64)
        found = np.full(len(flat), np.nan)
        alive = self.alive()
        if alive.any():
            found[alive] = entropy(flat[alive], axis=1) / np.log(flat.shape[1])
        return found


@dataclass(frozen=True)
class Seen:
    """The pictures, of which the first few are shown and all are measured.

    Attributes:
        pixels: (N, C, h, w) in 0 to 255, as the network sees them.
        index: their numbers in the test set, (N,).
        labels: their classes, (N,).
        shown: how many are shown.
        how: how they were chosen.
        kind: what the maps are.
        of: ``true`` or ``predicted``: of which class they are.
    """

    pixels: NDArray[np.uint8]
    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    shown: int
    how: str
    kind: str
    of: str


def draw(seen: Seen, found: Mapping[str, Activation]) -> Drawn:
    """Draw a row for each picture and a column for each method.

    Args:
        seen: the pictures.
        found: each method's maps.

    Raises:
        NothingToShowError: no map has any activation, or some are not finite.
    """
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    for activation in found.values():
        if not np.isfinite(activation.maps).all():
            raise NothingToShowError(
                f"The maps of run {activation.run.id[:10]} are not finite: it has diverged; choose "
                "another run."
            )
    if not any(activation.alive().any() for activation in found.values()):
        raise NothingToShowError(
            "No map has any activation: the networks have learned nothing; train longer."
        )
    runs = [activation.run for activation in found.values()]
    names, titles = classes_of(runs[0]), method_titles(runs)
    rows, columns = seen.shown, 1 + len(found)
    said = _sentences(seen, found, titles)
    heading = f"{of_pair(_sourced(runs))}\n{seen.kind} of the {seen.of} class"
    style = {**STYLE, "axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        width = max(NARROWEST, 1.75 * columns + 0.3)
        figure, body = with_caption(width, 2.0 * rows + 0.9, said, heading)
        grid = body.subplots(rows, columns, squeeze=False)
        for i, row in enumerate(grid):
            picture = _picture(seen.pixels[i])
            _show(row[0], picture, f"{fit(names[seen.labels[i]])}\ntest picture {seen.index[i]}")
            for axes, activation in zip(row[1:], found.values(), strict=True):
                heat = _heat(activation.maps[i])
                under = (
                    f"{fit(names[activation.predicted[i]])}\n"
                    f"{100 * activation.probability[i]:.0f} %"
                    + ("" if activation.predicted[i] == seen.labels[i] else ", wrong")
                )
                _show(axes, picture, under, heat)
        grid[0][0].set_title("picture", fontsize=9)
        for axes, name in zip(grid[0][1:], found, strict=True):
            axes.set_title(fit(titles[name]), fontsize=9, parse_math=False)
        body.colorbar(
            ScalarMappable(Normalize(0, 1), MAP),
            ax=grid.ravel().tolist(),
            location="bottom",
            shrink=0.5,
            aspect=40,
            label="activation, as a share of the map's own maximum",
        )
    return Drawn(
        name=f"cam-{runs[0].spec.dataset}-{runs[0].id[:10]}",
        figure=figure,
        data=_frame(seen, found, names),
        runs=[run.id for run in runs],
        said=said,
    )


def _show(axes: Any, picture: NDArray[Any], under: str, heat: NDArray[Any] | None = None) -> None:
    """Show a picture, or a map laid over it, and say something under it."""
    from matplotlib import colormaps

    shown = picture / 255
    if heat is not None:
        shown = (1 - HEAT) * shown + HEAT * colormaps[MAP](heat)[..., :3]
    axes.imshow(shown, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(under, fontsize=8, parse_math=False)


def _picture(pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Return a picture (h, w, 3), grey as RGB."""
    return np.repeat(pixels, 4 - len(pixels), axis=0)[:3].transpose(1, 2, 0)


def _heat(one: NDArray[np.float32]) -> NDArray[Any]:
    """Scale a map by its own maximum; one without activation stays 0."""
    top = float(one.max())
    return one / top if top > 0 else one


def _sourced(runs: Sequence[Run]) -> Run:
    """Return a run that names the source, if one has any."""
    return next((run for run in runs if run.spec.source), runs[0])


def _frame(seen: Seen, found: Mapping[str, Activation], names: Sequence[str]) -> "pd.DataFrame":
    """Return a row for each picture and method."""
    import pandas as pd

    return pd.concat(
        [
            pd.DataFrame(
                {
                    "picture": seen.index,
                    "class": [names[c] for c in seen.labels],
                    "method": method,
                    "predicted": [names[c] for c in a.predicted],
                    "probability": a.probability,
                    "top_tenth": a.concentration(),
                    "entropy": a.entropy(),
                    "shown": np.arange(len(seen.index)) < seen.shown,
                    "run": a.run.id,
                }
            )
            for method, a in found.items()
        ],
        ignore_index=True,
    )


def _sentences(seen: Seen, found: Mapping[str, Activation], titles: Mapping[str, str]) -> list[str]:
    """Say how concentrated the maps are."""
    notes = {method: ", ".join(notes_of(a.run)) for method, a in found.items()}
    departing = "; ".join(f"{titles[method]}: {note}" for method, note in notes.items() if note)
    said = [f"Other than the recipe: {departing}."] if departing else []
    said += [
        f"Pictures: {seen.shown} shown, {len(seen.index):,} measured, {seen.how}.",
        "Concentration: share of a map's mass in its highest tenth (10 % if flat), and its entropy "
        "as a share of a flat map's.",
    ]
    for method, a in found.items():
        alive = a.alive()
        dead = int(np.sum(~alive))
        none = f"; left out, as without any activation: {dead:,} of {len(alive):,}" if dead else ""
        if not alive.any():
            said.append(f"{titles[method]}: no map has any activation.")
            continue
        share = summarise((100 * a.concentration()[alive]).tolist())
        entropy = summarise(a.entropy()[alive].tolist())
        spread = f" ± {share.std:.1f}" if share.std is not None else ""
        said.append(
            f"{titles[method]}: {share.mean:.1f}{spread} %, entropy {entropy.mean:.3f}{none}."
        )
    said.append(
        "Whether a map lies on the object is for the eye, as no object's outline is known; a map's "
        "height is not compared, as networks differ in the scale of their logits."
    )
    return said
