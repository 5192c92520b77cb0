"""How ``dfgctl run`` comes to its plan: which data set is meant, what is there, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """The data set that is meant: its recipe and, for one's own pictures, what was found.

    Attributes:
        recipe: its recipe.
        info: the data set.
        made: whether the recipe was made for the folder, not read from a file.
        manifest: what was found in a folder, once it was looked through.
    """

    recipe: "Recipe"
    info: "DatasetInfo"
    made: bool = False
    manifest: "Manifest | None" = None

    def looked_through(self, folder: Path, keep: bool) -> "Target":
        """Look through one's own pictures; another data set stays as it is.

        Args:
            folder: where results lie, and checksums are remembered.
            keep: whether new checksums are written there.

        Raises:
            InputError: the pictures cannot be trained on.
        """
        from dfgctl import templates
        from dfgctl.data.files import OwnFolder
        from dfgctl.data.manifest import ChecksumCache, manifest

        if not isinstance(self.info.files, OwnFolder):
            return self
        cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=keep)
        found = manifest(self.info, Path(), cache)
        recipe = self.recipe
        if self.made:
            recipe = templates.recipe_for(
                recipe.name, recipe.backbone, recipe.pictures, min(found.train_counts)
            )
        return replace(self, recipe=recipe, manifest=found)


def target_of(name: str, backbone: str | None, test_fraction: float | None, strict: bool) -> Target:
    """Find out which data set is meant: a published one, a recipe's file, or a folder.

    Args:
        name: a recipe's name, the path of a recipe's file, or of a folder of pictures.
        backbone: the network, for a folder.
        test_fraction: share of a folder's pictures that tests.
        strict: whether a broken picture of a folder stops.

    Raises:
        InputError: there is no such data set, or an option does not fit it.
    """
    from dfgctl import recipe as recipes
    from dfgctl.data.catalog import dataset

    path = Path(name).expanduser()
    options = {
        "--backbone": backbone is not None,
        "--test-fraction": test_fraction is not None,
        "--strict": strict,
    }
    given = [option for option, is_given in options.items() if is_given]
    published = name in recipes.names()
    if not published and path.is_dir():
        return _folder(path, backbone, test_fraction, strict)
    if path.suffix == ".toml":
        return _file(path, given, strict)
    if not published and (given or len(path.parts) > 1 or name.startswith(".")):
        raise InputError(f"There is no folder {name}: name one with a folder for each class.")
    recipe = recipes.load(name)
    if given:
        raise InputError(
            f"{given[0]} is for a folder of your own pictures: leave it out for {name}."
        )
    return Target(recipe, dataset(recipe.name))


def _folder(path: Path, backbone: str | None, test_fraction: float | None, strict: bool) -> Target:
    """Describe a folder of pictures, and make a recipe for it."""
    from dfgctl import templates
    from dfgctl.data.own import own_folder
    from dfgctl.recipe import PicturesSettings

    if backbone is None:
        raise InputError(
            f"{path} is a folder: say which network, with --backbone lenet5, vgg16 or resnet50."
        )
    info = own_folder(path, test_fraction, strict)
    pictures = PicturesSettings(folder=str(path.resolve()), test_fraction=test_fraction)
    return Target(templates.recipe_for(info.name, backbone, pictures), info, made=True)


def _file(path: Path, given: Sequence[str], strict: bool) -> Target:
    """Read a recipe's file; a folder of pictures in it may be relative to the file's."""
    from dfgctl import recipe as recipes
    from dfgctl.data.catalog import dataset
    from dfgctl.data.own import own_folder

    recipe = recipes.read(path)
    if recipe.pictures is None:
        if given:
            raise InputError(f"{path} has no pictures of your own: leave {given[0]} out.")
        return Target(recipe, dataset(recipe.name))
    if set(given) - {"--strict"}:
        raise InputError(
            f"{path} says which network and pictures: change it there, without options."
        )
    place = path.parent / Path(recipe.pictures.folder).expanduser()
    info = own_folder(place, recipe.pictures.test_fraction, strict)
    if recipe.name != info.name:
        raise InputError(
            f"{path} calls its data set '{recipe.name}', but pictures stand under their folder's "
            f'name: write name = "{info.name}", or rename the folder.'
        )
    pictures = recipe.pictures.model_copy(update={"folder": str(place.resolve())})
    return Target(recipe.model_copy(update={"pictures": pictures}), info)


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
    from dfgctl.data.manifest import ChecksumCache
    from dfgctl.dispatch.plan import make

    found, source = manifests(checked, target, data_dir, folder, keep)
    weights = checked.request.source_weights
    if weights is None:
        return make(checked, found, source)
    if not weights.is_file():
        raise InputError(
            f"There is no file {weights}: --source-weights takes safetensors or a .pth file."
        )
    cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=keep)
    return make(checked, found, None, cache.sha256(weights))


def manifests(
    checked: "Checked", target: Target, data_dir: Path, folder: Path, keep: bool
) -> "tuple[Manifest, Manifest | None]":
    """Return the manifests of the data set and of its source, None where no source is trained.

    What they are given, and what they raise, is as for ``plan_for``.
    """
    from dfgctl.data.catalog import DATASETS
    from dfgctl.data.manifest import ChecksumCache

    cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=keep)
    found = target.manifest or _manifest(target.info, data_dir, cache, keep)
    if not checked.needs_source or checked.request.source_weights is not None:
        return found, None
    return found, _manifest(DATASETS[checked.source], data_dir, cache, keep)


def enqueue(store: "Registry", plan: "Plan", force: bool, weights: Path | None) -> str:
    """Put a plan into the registry, with all that a worker elsewhere must know.

    Args:
        store: the registry.
        plan: the plan.
        force: whether runs that have ended are trained once more.
        weights: the file that was named instead of a source.

    Returns:
        The plan's id in the registry.
    """
    store.keep_card(plan.card)
    for source in plan.sources:
        store.keep_source(source)
        if weights is not None:
            from dfgctl import provenance
            from dfgctl.dispatch.sources import shelve

            shelve(store, source, weights, provenance.collect())
    return store.enqueue(plan.runs, force)


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
