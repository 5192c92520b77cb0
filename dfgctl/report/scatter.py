"""Real and generated features in two dimensions, by t-SNE or PCA (Fig. 2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfgctl.report.captions import with_caption
from dfgctl.report.cards import classes_of
from dfgctl.report.figures import STYLE, Drawn
from dfgctl.report.matching import Features, check, match, percent, sentences
from dfgctl.report.names import in_legend, of_one

TITLES = {"tsne": "t-SNE", "pca": "PCA"}
FIRST = 50
"""Dimensions that PCA leaves to t-SNE."""

PERPLEXITY = 30.0
"""t-SNE's, scikit-learn's default; less where there are few points."""

CLASS_LOOKS = (
    ("#332288", "o"),
    ("#88ccee", "s"),
    ("#44aa99", "^"),
    ("#117733", "v"),
    ("#999933", "D"),
    ("#ddcc77", "P"),
    ("#cc6677", "X"),
    ("#882255", "<"),
    ("#aa4499", ">"),
    ("#000000", "*"),
)
"""Classes' colours, Paul Tol's muted ones, and markers, which printed grey tells apart."""

WIDTH, HEIGHT = 8.4, 4.6
"""Inches of the parts and their legends."""

KIND_LOOKS = {"real": ("#0072b2", "o"), "generated": ("#d55e00", "x")}
"""Blue and vermilion for the paper's red and cyan."""


def embed(kind: str, features: Features, seed: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Bring features to two dimensions.

    Args:
        kind: ``tsne``, after PCA to 50 dimensions, or ``pca``.
        features: the features.
        seed: of scikit-learn's random numbers.

    Returns:
        Points (2 N, 2), the real ones first, and what the axes are.

    Raises:
        NothingToShowError: there is nothing to show.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    check(features)
    both = np.concatenate([features.real, features.generated])
    wanted = FIRST if kind == "tsne" else 2
    pca = PCA(min(wanted, *both.shape), random_state=seed)
    points = pca.fit_transform(both)
    if kind == "pca":
        shares = pca.explained_variance_ratio_
        first, second = (
            f"component {i + 1}, {percent(s)} of variance" for i, s in enumerate(shares)
        )
        return points, (first, second)
    perplexity = min(PERPLEXITY, (len(both) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    return tsne.fit_transform(points), ("t-SNE dimension 1", "t-SNE dimension 2")


def draw(kind: str, features: Features, seed: int = 0) -> Drawn:
    """Draw features coloured by class (left), and real against generated (right).

    Raises:
        NothingToShowError: there is nothing to show.
    """
    import matplotlib
    import pandas as pd

    found = match(features)
    points, axes_titles = embed(kind, features, seed)
    count = len(features.labels)
    names = classes_of(features.run)
    labels = np.tile(features.labels, 2)
    kinds = np.repeat(["real", "generated"], count)
    said = sentences(found, features)
    heading = (
        f"{of_one(features.run)}\n{TITLES[kind]} of {features.layer}; told apart by the nearest "
        f"neighbour: {percent(found.told_apart)} (50 % is a perfect match)"
    )
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure, body = with_caption(WIDTH, HEIGHT, said, heading)
        left, right = body.subplots(1, 2, sharex=True, sharey=True)
        shown = list(dict.fromkeys(features.labels.tolist()))
        _by_class(left, points, labels, kinds, shown, names)
        _by_kind(right, points, kinds, features.letters)
        for axes in (left, right):
            axes.set_xlabel(axes_titles[0])
            axes.grid(False)
        left.set_ylabel(axes_titles[1])
        columns = 5 if max(len(names[c]) for c in shown) <= 4 else 3
        left.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
            ncols=columns,
            frameon=False,
            fontsize=8,
            columnspacing=1,
            handletextpad=0.3,
        )
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)
    data = pd.DataFrame(
        {
            "kind": kinds,
            "class": [names[c] for c in labels],
            "predicted": [
                names[c]
                for c in np.concatenate([features.real_predicted, features.generated_predicted])
            ],
            "x": points[:, 0],
            "y": points[:, 1],
            "run": features.run.id,
        }
    )
    return Drawn(
        name=f"{kind}-{features.run.spec.dataset}-{features.run.id[:10]}",
        figure=figure,
        data=data,
        runs=[features.run.id],
        said=said,
    )


def _by_class(
    axes: Any,
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
    kinds: NDArray[np.str_],
    shown: Sequence[int],
    names: Sequence[str],
) -> None:
    """Draw classes: real features filled, generated ones hollow."""
    for i, c in enumerate(shown):
        colour, marker = CLASS_LOOKS[i % len(CLASS_LOOKS)]
        for kind, face in (("generated", "none"), ("real", colour)):
            part = points[(labels == c) & (kinds == kind)]
            axes.scatter(
                part[:, 0],
                part[:, 1],
                s=13,
                marker=marker,
                facecolors=face,
                edgecolors=colour,
                linewidths=0.6,
                alpha=0.85,
                label=in_legend(names[c]) if kind == "real" else None,
            )
    axes.set_title("By class: filled real, hollow generated", loc="left")


def _by_kind(
    axes: Any, points: NDArray[np.float64], kinds: NDArray[np.str_], letters: tuple[str, str]
) -> None:
    for (kind, (colour, marker)), letter in zip(KIND_LOOKS.items(), letters, strict=True):
        part = points[kinds == kind]
        axes.scatter(
            part[:, 0],
            part[:, 1],
            s=13,
            marker=marker,
            color=colour,
            linewidths=0.8 if marker == "x" else 0,
            alpha=0.6,
            label=f"{kind} ({letter})",
        )
    axes.set_title("Real against generated", loc="left")
