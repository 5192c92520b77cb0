"""How ``dfgctl run`` comes to its plan: which data set is meant, what is there, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfgctl.cli.output import err, escape
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from dfgctl.data.catalog import DatasetInfo
    from dfgctl.data.manifest import ChecksumCache, Manifest
    from dfgctl.dispatch.plan import Plan
    from dfgctl.dispatch.request import Checked
    from dfgctl.recipe import Recipe
    from dfgctl.records import PlannedRun, SourceSpec
    from dfgctl.registry import Registry


@dataclass(frozen=True)
class Target:
    """The data set that is meant: its recipe and, for one's own pictures, what was found."""

    recipe: "Recipe"
    info: "DatasetInfo"
    manifest: "Manifest | None" = None


def target_of(
    name: str,
    backbone: str | None,
    test_fraction: float | None,
    strict: bool,
    folder: Path,
    keep: bool,
) -> Target:
    """Find out which data set is meant: a published one, a recipe's file, or a folder.

    Args:
        name: a recipe's name, the path of a recipe's file, or of a folder of pictures.
        backbone: the network, for a folder.
        test_fraction: share of a folder's pictures that tests.
        strict: whether a broken picture of a folder stops.
        folder: where results lie, and checksums are remembered.
        keep: whether new checksums are written there.

    Raises:
        InputError: there is no such data set, or an option does not fit it.
    """
    from dfgctl import recipe as recipes
    from dfgctl.data.catalog import dataset

    path = Path(name).expanduser()
    if path.suffix == ".toml" or (name not in recipes.names() and path.is_dir()):
        return _own(path, backbone, test_fraction, strict, folder, keep)
    if backbone is not None or test_fraction is not None or strict:
        option = "--backbone" if backbone else "--test-fraction" if test_fraction else "--strict"
        raise InputError(f"{option} is for a folder of your own pictures: leave it out for {name}.")
    recipe = recipes.load(name)
    return Target(recipe, dataset(recipe.name))


def _own(
    path: Path,
    backbone: str | None,
    test_fraction: float | None,
    strict: bool,
    folder: Path,
    keep: bool,
) -> Target:
    """Read a recipe's file, or look through a folder of pictures."""
    from dfgctl import recipe as recipes
    from dfgctl import templates
    from dfgctl.data.catalog import dataset
    from dfgctl.data.manifest import ChecksumCache, manifest
    from dfgctl.data.own import own_folder
    from dfgctl.recipe import PicturesSettings

    recipe = None
    if path.suffix == ".toml":
        if backbone is not None or test_fraction is not None:
            raise InputError("The recipe's file says which network and pictures: change it there.")
        recipe = recipes.read(path)
        if recipe.pictures is None:
            return Target(recipe, dataset(recipe.name))
        path, test_fraction = Path(recipe.pictures.folder), recipe.pictures.test_fraction
    elif backbone is None:
        raise InputError(
            f"{path} is a folder: say which network, with --backbone lenet5, vgg16 or resnet50."
        )
    info = own_folder(path, test_fraction, strict)
    cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=keep)
    found = manifest(info, Path(), cache)
    if recipe is None:
        assert backbone is not None
        pictures = PicturesSettings(folder=str(path.resolve()), test_fraction=test_fraction)
        recipe = templates.recipe_for(info.name, backbone, pictures, min(found.train_counts))
    return Target(recipe, info, found)


def check_weights(file: Path, checked: "Checked") -> None:
    """Read the weights that the user named, so that nothing is queued that cannot start."""
    from dfgctl.networks.backbones import backbone
    from dfgctl.pretraining import read_weights

    for variant in checked.variants:
        read_weights(file, backbone(checked.recipe.backbone, readings=variant.readings))


def plan_for(
    checked: "Checked", target: Target, data_dir: Path, folder: Path, keep: bool
) -> "Plan":
    """Make the plan, from manifests.

    Args:
        checked: the request.
        target: the data set.
        data_dir: the data directory.
        folder: where results lie, and checksums are remembered.
        keep: whether what is missing is downloaded, and new checksums are written.

    Raises:
        InputError: data is missing or broken, or cannot be made as imbalanced as was asked for.
    """
    from dfgctl.data.catalog import DATASETS
    from dfgctl.data.manifest import ChecksumCache
    from dfgctl.dispatch.plan import make

    cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=keep)
    found = target.manifest or _manifest(target.info, data_dir, cache, keep)
    weights = checked.request.source_weights
    if weights is not None:
        if not weights.is_file():
            raise InputError(f"There is no file {weights}: --source-weights takes safetensors.")
        return make(checked, found, None, cache.sha256(weights))
    source = None
    if checked.needs_source:
        source = _manifest(DATASETS[checked.source], data_dir, cache, keep)
    return make(checked, found, source)


def _manifest(
    info: "DatasetInfo", data_dir: Path, cache: "ChecksumCache", download: bool
) -> "Manifest":
    from dfgctl.data.manifest import manifest, missing_files

    if download and missing_files(info, data_dir):
        from dfgctl.data.fetch import fetch

        err().print(f"{info.title} is not in {escape(str(data_dir))}: downloading it.")
        fetch(info, data_dir)
    return manifest(info, data_dir, cache)


def unready(
    plan: "Plan", missing: "Sequence[PlannedRun]", store: "Registry | None"
) -> "list[SourceSpec]":
    """Return the source networks that are still to be trained."""
    needed = {run.spec.source_identity for run in missing}
    return [
        spec
        for spec in plan.sources
        if spec.identity() in needed
        and spec.weights_digest is None
        and (store is None or store.source(spec.identity()) is None)
    ]
