"""Activation maps of the same pictures by several runs (Fig. 3 and 4)."""

from collections.abc import Mapping, Sequence

import numpy as np

from dfgctl import seeding
from dfgctl.analysis.activation import activation_maps, is_classic, probabilities, weighed
from dfgctl.analysis.trained import Trained
from dfgctl.data.arrays import ImageArrays
from dfgctl.errors import InputError
from dfgctl.report.activation import Activation, Seen


def compare(
    trained: Mapping[str, Trained],
    data: ImageArrays,
    images: int,
    named: Sequence[int] | None,
    measure: int,
    of: str,
    seed: int,
) -> tuple[Seen, dict[str, Activation]]:
    """Compute the maps of several runs of one (combination, seed) pair.

    Args:
        trained: each method's networks.
        data: their data set.
        images: pictures that are shown, where none are named.
        named: numbers of test pictures; None for some of the minority classes (of all, without
            any), chosen by the seed.
        measure: pictures behind the numbers, at least those shown.
        of: ``true`` or ``predicted``: of which class the maps are.
        seed: of the choice.

    Raises:
        InputError: there is no such picture.
    """
    first = next(iter(trained.values()))
    count = len(data.test_labels)
    if named is not None:
        wrong = [i for i in named if i >= count]
        if wrong:
            raise InputError(
                f"There is no test picture {wrong[0]}: they are 0 to {count - 1}; --pictures names "
                "others."
            )
        index, shown, how = np.array(named), len(named), "named with --pictures"
    else:
        majority = first.run.spec.combination
        minority = np.flatnonzero(~np.isin(data.test_labels, majority))
        allowed = minority if len(minority) else np.arange(count)
        order = seeding.permutation(seeding.key("figure pictures", seed), len(allowed))
        index = allowed[order[: max(images, measure)]]
        shown = min(images, len(index))
        which = "minority classes" if majority and len(minority) else "all classes"
        how = f"of {which}, by seed {seed}"
    pixels, labels = data.test[index], data.test_labels[index]
    maps = {}
    for method, network in trained.items():
        chances = probabilities(network, pixels)
        predicted = chances.argmax(1)
        classes = labels if of == "true" else predicted
        maps[method] = Activation(
            run=network.run,
            maps=activation_maps(network, pixels, classes),
            predicted=predicted,
            probability=chances.max(1),
        )
    cut = ((first.seen(pixels) + 1) * 127.5).round().clamp(0, 255).numpy().astype(np.uint8)
    seen = Seen(cut, index, labels, shown, how, _kind(trained), of)
    return seen, maps


def _kind(trained: Mapping[str, Trained]) -> str:
    """Say what the maps are, and of which layer."""
    classic = [method for method, network in trained.items() if is_classic(network)]
    if len(classic) == len(trained):
        return "Class activation maps (Zhou et al. 2016)"
    names = {weighed(network) for network in trained.values() if not is_classic(network)}
    layers = sorted(f"what enters {n}" if entering else n for n, entering in names)
    text = f"Grad-CAM at the last convolution ({' and '.join(layers)})"
    if classic:
        return f"Class activation maps ({', '.join(classic)}), {text} (others)"
    return text
