"""How well generated features match real ones, in numbers (beside Fig. 2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfgctl.errors import NothingToShowError
from dfgctl.records import Run

FEWEST = 4
"""Features of each kind that a picture or a number needs."""


@dataclass(frozen=True)
class Features:
    """Real and generated features of a run, as many of one as of the other in each class.

    Attributes:
        run: the run.
        pictures: ``test`` or ``training``: which pictures the real ones are of.
        layer: where they stand in the network, with their shape.
        letters: the networks that give real and generated ones.
        real: (N, d).
        generated: (N, d).
        labels: the classes of both, (N,).
        real_predicted: the class that the run's C gives each real feature, (N,).
        generated_predicted: the class that it gives each generated one, (N,).
        maps: which feature maps W* leaves on, (K, n_f), the map of a feature's number i being
            ``i // (d / n_f)``; None where nothing is switched off by class.
    """

    run: Run
    pictures: str
    layer: str
    letters: tuple[str, str]
    real: NDArray[np.float32]
    generated: NDArray[np.float32]
    labels: NDArray[np.int64]
    real_predicted: NDArray[np.int64]
    generated_predicted: NDArray[np.int64]
    maps: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Match:
    """How well they match; shares in [0, 1], by Euclidean distance in all d dimensions.

    Attributes:
        told_apart: accuracy of the 1-nearest-neighbour two-sample test, leaving one out: 0.5 is a
            perfect match, 1 none at all (Lopez-Paz and Oquab 2017).
        real_told: the same on real features alone.
        generated_told: the same on generated features alone.
        consistent: generated features that the run's C classifies as the class asked for.
        real_accuracy: real features that it classifies rightly.
        neighbour: generated features whose nearest real one has the class asked for.
        real_neighbour: real features whose nearest other real one has their class.
        floor: the least number of a real feature, where generated ones go below it: real ones come
            out of a ReLU, and that alone could tell them apart. None where they do not.
        floored_told_apart: ``told_apart`` with generated features raised to the floor.
        floored_neighbour: ``neighbour`` likewise.
        maps: how many feature maps W* leaves on of a class: the fewest, the most, and of how many.
            None where it leaves all, or the method has none.
        on_told_apart: ``told_apart`` on these maps alone, the others set to 0 in both kinds, of the
            classes that have any; None where none has.
    """

    told_apart: float
    real_told: float
    generated_told: float
    consistent: float
    real_accuracy: float
    neighbour: float
    real_neighbour: float
    floor: float | None
    floored_told_apart: float
    floored_neighbour: float
    maps: tuple[int, int, int] | None
    on_told_apart: float | None


def check(features: Features) -> None:
    """Check that there is something to compare.

    Raises:
        NothingToShowError: there are too few features, or they are not finite, or all equal.
    """
    short = features.run.id[:10]
    if len(features.labels) < FEWEST:
        raise NothingToShowError(
            f"{len(features.labels)} real features are too few to compare: ask for more with "
            "--images, or for other classes with --classes."
        )
    for kind, values in (("real", features.real), ("generated", features.generated)):
        if not np.isfinite(values).all():
            raise NothingToShowError(
                f"The {kind} features of run {short} are not finite: it has diverged; choose "
                "another run."
            )
        if (values == values[0]).all():
            raise NothingToShowError(
                f"The {kind} features of run {short} are all equal: its networks have learned "
                "nothing; choose another run."
            )


def match(features: Features) -> Match:
    """Measure how well they match.

    Raises:
        NothingToShowError: there is nothing to compare.
    """
    from sklearn.neighbors import NearestNeighbors

    check(features)
    labels, count = features.labels, len(features.labels)

    def nearest(among: NDArray[np.float32], of: NDArray[np.float32] | None) -> NDArray[np.int64]:
        # Without points of its own, scikit-learn leaves each point out of its neighbours.
        found: NDArray[np.int64] = (
            NearestNeighbors(n_neighbors=1, algorithm="brute")
            .fit(among)
            .kneighbors(of, return_distance=False)[:, 0]
        )
        return found

    def told(
        generated: NDArray[np.float32], real: NDArray[np.float32] = features.real
    ) -> NDArray[np.bool_]:
        both = np.concatenate([real, generated])
        is_real = np.arange(len(both)) < len(real)
        right: NDArray[np.bool_] = is_real[nearest(both, None)] == is_real
        return right

    def neighbour(generated: NDArray[np.float32]) -> float:
        return float((labels[nearest(features.real, generated)] == labels).mean())

    right = told(features.generated)
    floor = features.real.min()
    floored = np.maximum(features.generated, floor)
    on = _left_on(features)
    return Match(
        told_apart=float(right.mean()),
        real_told=float(right[:count].mean()),
        generated_told=float(right[count:].mean()),
        consistent=float((features.generated_predicted == labels).mean()),
        real_accuracy=float((features.real_predicted == labels).mean()),
        neighbour=neighbour(features.generated),
        real_neighbour=float((labels[nearest(features.real, None)] == labels).mean()),
        floor=float(floor) if (features.generated < floor).any() else None,
        floored_told_apart=float(told(floored).mean()),
        floored_neighbour=neighbour(floored),
        maps=on[0] if on else None,
        on_told_apart=float(told(*on[1:]).mean()) if on and len(on[1]) else None,
    )


def _left_on(
    features: Features,
) -> tuple[tuple[int, int, int], NDArray[np.float32], NDArray[np.float32]] | None:
    """Return how many maps W* leaves on, and generated and real features with the others set to 0.

    Returns:
        As ``Match.maps`` has it, and the features of the classes that have any map on; None where
        W* leaves all on, or there is none.
    """
    if features.maps is None:
        return None
    on = features.maps[features.labels]
    if on.all():
        return None
    counts = on.sum(1)
    mask = np.repeat(on, features.real.shape[1] // on.shape[1], axis=1)
    some = counts > 0
    maps = (int(counts.min()), int(counts.max()), on.shape[1])
    return maps, (features.generated * mask)[some], (features.real * mask)[some]


def percent(share: float) -> str:
    """Write a share in [0, 1] as ``97.0 %``."""
    return f"{100 * share:.1f} %"


def sentences(match: Match, features: Features) -> list[str]:
    """Say in words how well they match."""
    count = len(features.labels)
    said = [
        f"{count:,} real ({features.pictures} pictures) and {count:,} generated features, "
        f"{features.layer}.",
        f"Told apart by the nearest neighbour (leave one out): {percent(match.told_apart)} "
        f"(real {percent(match.real_told)}, generated {percent(match.generated_told)}); 50 % would "
        "be a perfect match, 100 % none; less than 50 % means copies.",
        f"Class as asked for, by the run's C: {percent(match.consistent)} of the generated "
        f"features; of the real ones {percent(match.real_accuracy)}.",
        f"Class as asked for, by the nearest real feature: {percent(match.neighbour)}; real ones "
        f"among themselves {percent(match.real_neighbour)}.",
    ]
    if match.floor is not None:
        said.append(
            f"With generated numbers below {match.floor:.3g}, the least real one, raised to it: "
            f"told apart {percent(match.floored_told_apart)}, class as asked for by the nearest "
            f"real feature {percent(match.floored_neighbour)}."
        )
    if match.maps is not None:
        fewest, most, every = match.maps
        number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        line = (
            f"W* leaves on {number} of {every} feature maps of a class; the others are constant in "
            "a generated batch."
        )
        if match.on_told_apart is not None:
            line += f" On those that are on alone: told apart {percent(match.on_told_apart)}."
        said.append(line)
    return said
