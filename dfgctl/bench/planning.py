"""Which packs ``dfgctl bench`` measures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from dfgctl.bench.records import Effort, Job
from dfgctl.data.catalog import DATASETS, DatasetInfo, dataset
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import OwnFolder
from dfgctl.data.manifest import Manifest, manifest
from dfgctl.data.views import VIEWS
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch.request import Checked, Request, check
from dfgctl.errors import DataMissingError, InputError, UnknownNameError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.recipe import Recipe, load
from dfgctl.records import PRECISIONS

RANDOM_BYTES = 256 * 2**20
"""Random pictures take so much memory at the most."""

RECIPES = {"lenet5": "digits", "vgg16": "cinic10", "resnet50": "caltech256"}
"""Whose settings a network is measured with where no data set is named."""

PACKS = {"lenet5": (1, 5, 15, 45), "vgg16": (1, 2, 4), "resnet50": (1,)}
"""Pack sizes that are measured on a GPU where none are named."""

CPU_PACKS = (1, 2)
"""Likewise on a CPU, where stacking gives nothing."""


@dataclass(frozen=True)
class Choice:
    """What is varied, and how long it is measured.

    Attributes:
        devices: ``cpu``, ``cuda`` or ``cuda:i``.
        precisions: ``fp32``, ``tf32`` or ``bf16``.
        packs: pack sizes, ascending; None for what suits network and device.
        eager: whether CUDA graphs are left out.
        threads: CPU threads; None for PyTorch's own choice.
        effort: how long each pack is measured.
        data_dir: the data directory.
        folder: where decoded pictures and checksums lie.
    """

    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    packs: tuple[int, ...] | None
    eager: bool
    threads: int | None
    effort: Effort
    data_dir: Path
    folder: Path

    def packs_of(self, backbone: str, device: str) -> tuple[int, ...]:
        """Return the pack sizes of a network on a device."""
        return self.packs or (CPU_PACKS if device == "cpu" else PACKS[backbone])

    def most(self, backbone: str) -> int:
        """Return the size of the largest pack of a network."""
        return max(max(self.packs_of(backbone, device)) for device in self.devices)


@dataclass(frozen=True)
class Subject:
    """A data set and a network that are measured.

    Attributes:
        recipe: the recipe; its backbone is what is measured.
        info: the data set.
        found: what it holds; made up for random pictures.
        synthetic: whether random pictures stand for its own.
        note: what the user should know of that; empty if nothing.
    """

    recipe: Recipe
    info: DatasetInfo
    found: Manifest
    synthetic: bool
    note: str = ""


def subject(
    recipe: Recipe, info: DatasetInfo, data_dir: Path, folder: Path, synthetic: bool
) -> Subject:
    """Find a data set; where it is not here, random pictures of its shape take its place.

    Args:
        recipe: the recipe.
        info: the data set.
        data_dir: the data directory.
        folder: where checksums are remembered.
        synthetic: whether to take random pictures in any case.

    Raises:
        InputError: it is here, and broken.
    """
    note = ""
    if not synthetic:
        cache = ChecksumCache(folder / "manifests" / "checksums.json")
        try:
            return Subject(recipe, info, manifest(info, data_dir, cache), synthetic=False)
        except DataMissingError:
            if isinstance(info.files, OwnFolder):
                raise
            note = f"{info.title} is not in the folder {data_dir} (see --data-dir): "
    counts, whole = _random_counts(info, recipe.backbone)
    note += f"random pictures of its shape are measured{'' if note else f' for {info.title}'}"
    if not whole:
        note += f", {counts[0][0]} a class, so that set-up is quicker than on its own"
    made = Manifest(info.name, "random pictures", *counts, info.classes)
    return Subject(recipe, info, made, synthetic=True, note=f"{note[:1].upper()}{note[1:]}.")


def recipe_of(name: str | None, backbone: str | None) -> tuple[Recipe, DatasetInfo]:
    """Return the recipe to measure with, and its data set.

    Args:
        name: a published data set's name; None for the one that goes with the network.
        backbone: a network instead of the recipe's; None for the recipe's, or LeNet-5.

    Raises:
        UnknownNameError: there is no such data set or network.
    """
    if backbone is not None and backbone not in BACKBONES:
        raise UnknownNameError("backbone", backbone, BACKBONES)
    recipe = load(name or RECIPES[backbone or "lenet5"])
    if backbone is not None:
        recipe = recipe.model_copy(update={"backbone": backbone})
    return recipe, dataset(recipe.name)


def checked(
    subject: Subject, methods: Sequence[str], settings: Sequence[str], runs: int
) -> Checked:
    """Check methods and settings, for so many runs of each method.

    Raises:
        InputError: a name or a setting cannot be, or a setting has several values.
    """
    request = Request(
        dataset=subject.recipe.name,
        recipe=subject.recipe,
        info=subject.info,
        repeats=runs,
        methods=tuple(methods),
        settings=tuple(settings),
    )
    found = check(request)
    if len(found.variants) > 1:
        raise InputError("dfgctl bench takes one value of a setting: call it once for each value.")
    return found


def check_precisions(choice: Choice) -> None:
    """Check that all devices have all precisions.

    Raises:
        UnknownNameError: there is none of that name.
        InputError: there is, but not here.
    """
    import torch

    from dfgctl.numerics import check_precision

    for device, precision in product(choice.devices, choice.precisions):
        if precision not in PRECISIONS:
            raise UnknownNameError("precision", precision, PRECISIONS)
        check_precision(torch.device(device), precision)


def in_precision(checked: Checked, precision: str) -> Checked:
    """Return the same runs in another precision."""
    return replace(checked, request=replace(checked.request, precision=precision))


def plan(checked: Checked, subject: Subject, weights: str | None = None) -> plans.Plan:
    """Plan the runs that are measured, with a source network that is random.

    Args:
        checked: methods and settings.
        subject: what is measured.
        weights: SHA-256 of a file with the source network's weights, if there is one.

    Raises:
        InputError: a class cannot have as many images as was asked for.
    """
    source = Manifest(checked.source, "random weights", (), ())
    return plans.make(checked, subject.found, None if weights else source, weights)


def jobs(subject: Subject, checked: Checked, choice: Choice) -> list[Job]:
    """Return the packs to measure: by device, precision and method, small packs first.

    Raises:
        InputError: a class cannot have as many images as was asked for, or a precision is not here.
    """
    check_precisions(choice)
    source = DATASETS[checked.source].class_count
    found = []
    for device, precision in product(choice.devices, choice.precisions):
        runs = plan(in_precision(checked, precision), subject).runs
        modes = (False,) if choice.eager or device == "cpu" else (False, True)
        for method, mode in product(checked.methods, modes):
            own = [run for run in runs if run.spec.method == method.name]
            for pack in choice.packs_of(subject.recipe.backbone, device):
                found.append(
                    Job(
                        runs=tuple(own[:pack]),
                        info=subject.info,
                        data_dir=choice.data_dir,
                        folder=choice.folder,
                        counts=(subject.found.train_counts, subject.found.test_counts),
                        synthetic=subject.synthetic,
                        source_classes=source if own[0].spec.source_identity else None,
                        device=device,
                        graphs=mode,
                        threads=choice.threads if device == "cpu" else None,
                        effort=choice.effort,
                    )
                )
    return found


def _random_counts(
    info: DatasetInfo, backbone: str
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], bool]:
    """Return how many random pictures a class has, and whether that is as many as its own."""
    k, view = info.class_count, VIEWS[backbone]
    counts = [
        published or tuple(total // k + (c < total % k) for c in range(k))
        for published, total in ((info.train_counts, info.train), (info.test_counts, info.test))
    ]
    room = RANDOM_BYTES // (view.channels * view.stored**2)
    share = min(1.0, room / sum(map(sum, counts)))
    train, test = (tuple(max(2, int(n * share)) for n in split) for split in counts)
    return (train, test), share == 1.0
