"""Real and generated features of a run of ``dfg`` or ``difa`` (Fig. 2)."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgctl import seeding
from dfgctl.analysis.trained import CPU, Trained
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import subset, validation_counts
from dfgctl.draws import Stream
from dfgctl.errors import InputError
from dfgctl.ledger import readings_of
from dfgctl.lookup import backbone_of, sections_of
from dfgctl.methods.base import one_hot
from dfgctl.networks.feature_gan import MixtureGenerator
from dfgctl.networks.generator import generator
from dfgctl.numerics import numerics
from dfgctl.report.matching import Features
from dfgctl.settings import DfgSettings, DifaSettings

ROOM = 2**30
"""Bytes that real and generated features may take together."""

Draw = Callable[[Tensor, Tensor], Tensor]
"""Noise (B, n) and classes (B,) to features (B, ...)."""


@torch.no_grad()
def features(
    trained: Trained,
    data: ImageArrays,
    classes: Sequence[int],
    images: int,
    pictures: str = "test",
    seed: int = 0,
) -> Features:
    """Compute real features, and as many generated ones of each class.

    ``dfg``: E's output in evaluation mode, and G's under the run's final filter weights W*. G is in
    training mode, in batches of the run's size with classes uniform over those asked for: so D and
    C met its features in training, and its running statistics are of no use, as they were gathered
    under earlier filter weights. ``difa``: the last hidden layer, and S's output.

    Args:
        trained: the run's networks.
        data: its data set.
        classes: which classes.
        images: of each class, at the most; fewer where it has fewer, or memory is short.
        pictures: ``test`` pictures, or the run's own ``training`` subset.
        seed: of the choice of pictures, of noise and classes.

    Raises:
        InputError: the run's method generates no features, or a class has no pictures.
    """
    draw, noise, batch_size, layer, letters = _generator(trained)
    chosen = _pictures(trained, data, classes, images, pictures, seed)
    source = data.test if pictures == "test" else data.train
    one = _real(trained, source[chosen[classes[0]][:1]])
    most = max(1, ROOM // (2 * one.nbytes * len(classes)))
    index = np.concatenate([chosen[c][:most] for c in classes])
    labels = np.concatenate([np.full(len(chosen[c][:most]), c) for c in classes])
    chunk = backbone_of(trained.run.spec).evaluation_chunk
    real = np.concatenate(
        [_real(trained, source[index[i : i + chunk]]) for i in range(0, len(index), chunk)]
    )
    generated = np.empty_like(real)
    left = {c: iter(np.flatnonzero(labels == c).tolist()) for c in classes}
    wanting = set(classes)
    for z, y in _batches(trained, classes, noise, batch_size, seed):
        with numerics(CPU):
            drawn = draw(z, y).flatten(1).numpy()
        for row, c in zip(drawn, y.tolist(), strict=True):
            place = next(left[c], None)
            if place is None:
                wanting.discard(c)
            else:
                generated[place] = row
        if not wanting:
            break
    shape = tuple(_extracted(trained, source[index[:1]]).shape[1:])
    return Features(
        run=trained.run,
        pictures=pictures,
        layer=f"{layer} ({' × '.join(map(str, shape))})",
        letters=letters,
        real=real,
        generated=generated,
        labels=labels,
        real_predicted=_predicted(trained, real, shape, chunk),
        generated_predicted=_predicted(trained, generated, shape, chunk),
        maps=(trained.state["W_star"] > 0).numpy() if "W_star" in trained.state else None,
    )


def _generator(trained: Trained) -> tuple[Draw, int, int, str, tuple[str, str]]:
    """Return what generates, its noise numbers, the batch size, the layer's and networks' names."""
    spec, card = trained.run.spec, trained.classifier.card
    method, k = spec.method, len(card.classes)
    state = trained.part({"dfg": "G", "difa": "S"}.get(method, "?"))
    if not state:
        raise InputError(
            f"Run {trained.run.id[:10]} is of {method} and has no generator of features: name a "
            "run of dfg or difa."
        )
    settings, _ = sections_of(spec)
    if isinstance(settings, DfgSettings):
        G = generator(card.backbone, card.split, settings.noise, k, readings_of(spec))
        G.load_state_dict(state)
        G.train()
        weights = trained.state["W_star"]

        def dfg(z: Tensor, y: Tensor) -> Tensor:
            features: Tensor = G(z, one_hot(y, k, z.dtype), weights[y])  # Eq. 9
            return features

        return dfg, settings.noise, settings.batch_size, "E's output", ("E", "G")
    assert isinstance(settings, DifaSettings)
    hidden = backbone_of(spec).hidden
    S = MixtureGenerator(settings.components, settings.noise, k, settings.units, hidden)
    S.load_state_dict(state)

    def difa(z: Tensor, y: Tensor) -> Tensor:
        features: Tensor = S(z, one_hot(y, k, z.dtype))
        return features

    return difa, settings.noise, settings.batch_size, "the last hidden layer", ("E", "S")


def _batches(
    trained: Trained, classes: Sequence[int], noise: int, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw noise uniform on [-1, 1] and classes uniform over some, as training does (F20)."""
    keys = (seeding.key("figure", seed, trained.run.id),)
    numbers, labels = Stream(keys, "noise", CPU), Stream(keys, "classes", CPU)
    shown = torch.tensor(list(classes))
    step = 0
    while True:
        step += 1
        z = numbers.uniform(step, (batch_size, noise), -1, 1)[0]
        yield z, shown[labels.integers(step, (batch_size,), len(classes))[0]]


def _pictures(
    trained: Trained,
    data: ImageArrays,
    classes: Sequence[int],
    images: int,
    pictures: str,
    seed: int,
) -> dict[int, NDArray[np.int64]]:
    """Choose pictures of each class by the seed."""
    run, names = trained.run, trained.classifier.card.classes
    labels = data.test_labels
    allowed = np.arange(len(labels))
    if pictures != "test":
        spec = run.spec
        allowed, _ = subset(
            data.train_labels,
            run.class_counts,
            validation_counts(run.class_counts, spec.validation),
            seeding.run_key(spec.seed, spec.combination),
            in_order="F16" in readings_of(spec),
        )
        labels = data.train_labels
    chosen = {}
    for c in classes:
        members = allowed[labels[allowed] == c]
        if not len(members):
            raise InputError(
                f"There are no {pictures} pictures of class {names[c]}: name others with --classes."
            )
        order = seeding.permutation(seeding.key("figure pictures", seed, c), len(members))
        chosen[c] = members[order[:images]]
    return chosen


def _extracted(trained: Trained, pixels: NDArray[np.uint8]) -> Tensor:
    """Return the features of pictures in the layer that the method generates, (N, ...)."""
    network = trained.classifier
    with numerics(CPU):
        found: Tensor = network.E(trained.seen(pixels))
        if trained.run.spec.method == "difa":
            _, found = network.C(found, hidden=True)
    return found


def _real(trained: Trained, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = _extracted(trained, pixels).flatten(1).numpy()
    return flat


def _predicted(
    trained: Trained, flat: NDArray[np.float32], shape: tuple[int, ...], chunk: int
) -> NDArray[np.int64]:
    """Return the class that the run's C gives each feature, (N,)."""
    network = trained.classifier.C
    found = []
    for i in range(0, len(flat), chunk):
        entering = torch.from_numpy(flat[i : i + chunk]).view(-1, *shape)
        with numerics(CPU):
            if trained.run.spec.method == "difa":
                head = network.get_submodule(backbone_of(trained.run.spec).head)
                logits = head(entering)
            else:
                logits = network(entering)
        found.append(logits.argmax(1).numpy())
    return np.concatenate(found)
