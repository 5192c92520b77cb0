"""Recipes for pictures of one's own: the paper's settings for the network that is chosen."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dfgctl import recipe as recipes
from dfgctl.errors import UnknownNameError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.recipe import PicturesSettings, Recipe
from dfgctl.records import AS_IS, DatasetCard, Run, RunSpec
from dfgctl.settings import Section

MODELS = {"lenet5": "fmnist", "vgg16": "cinic10", "resnet50": "caltech256"}
"""Whose settings each network takes."""

SOURCES = {
    "lenet5": ("emnist-digits", "emnist-letters", "mnist", "glyphs"),
    "vgg16": ("cifar10",),
    "resnet50": ("imagenet",),
}
"""What each network can be pre-trained on, the paper's own first."""

REPEATS = 5
"""Seeds of a data set that is taken as it is."""


def recipe_for(
    name: str, backbone: str, pictures: PicturesSettings | None = None, fewest: int = 1
) -> Recipe:
    """Return the recipe of pictures of one's own.

    Args:
        name: the data set's name.
        backbone: the network.
        pictures: where they lie.
        fewest: training images of the smallest class: what a majority class keeps when an
            imbalance is made.

    Raises:
        UnknownNameError: there is no such network.
    """
    if backbone not in BACKBONES:
        raise UnknownNameError("backbone", backbone, BACKBONES)
    model = recipes.load(MODELS[backbone]).model_dump()
    return Recipe.model_validate(
        {
            **model,
            "name": name,
            "sources": list(SOURCES[backbone]),
            "pictures": pictures,
            "imbalance": {"ratio": AS_IS, "majority": 1, "majority_count": fewest},
            "run": {**model["run"], "repeats": REPEATS},
            "tuning": None,
            "cost": None,
        }
    )


def recipe_of(spec: RunSpec, card: DatasetCard | None = None) -> Recipe:
    """Return the recipe that a run is held against: its data set's, or one's own pictures'.

    Args:
        spec: the run's spec.
        card: what is kept of its data set.
    """
    if spec.dataset in recipes.names():
        return recipes.load(spec.dataset)
    if card is None or card.folder is None:
        return recipe_for(spec.dataset, spec.backbone)
    pictures = PicturesSettings(folder=card.folder, test_fraction=card.test_fraction)
    return recipe_for(spec.dataset, spec.backbone, pictures, card.fewest)


def recipes_of(runs: Sequence[Run], names: Sequence[str] = ()) -> dict[str, Recipe]:
    """Return the recipe of each data set: the published ones, then those that runs have besides.

    Args:
        runs: runs of any data sets.
        names: only these data sets, in this order; all if empty.

    Raises:
        UnknownNameError: there is neither a recipe nor a run of a name.
    """
    published = recipes.names()
    own = {run.spec.dataset: run for run in runs if run.spec.dataset not in published}
    found = {}
    for name in names or (*published, *sorted(own)):
        if name not in published and name not in own:
            raise UnknownNameError("data set", name, [*published, *own])
        run = own.get(name)
        found[name] = recipe_of(run.spec, run.card) if run else recipes.load(name)
    return found


def text(recipe: Recipe) -> str:
    """Write a recipe of one's own pictures as TOML, to be edited."""
    title = BACKBONES[recipe.backbone].title
    lines = [
        f"# {recipe.name}: pictures of one's own, {title}.",
        "#",
        f"# Settings: the paper's for {title} (recipe {MODELS[recipe.backbone]}). Change what you",
        "# like; a run's table says where it departs from these.",
        "# Command:  dfgctl run THIS_FILE.toml",
        "",
        *_pairs({"name": recipe.name, "backbone": recipe.backbone, "sources": recipe.sources}),
    ]
    for name, section in recipe:
        if isinstance(section, Section) and name not in ("tuning", "cost"):
            lines += ["", f"[{name}]", *_pairs(section.values(), type(section))]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any], model: type[Section] | None = None) -> list[str]:
    """Write keys and values, with what they are; JSON's strings, numbers and lists are TOML's."""
    lines = []
    for key, value in values.items():
        if value is None:
            continue
        # JSON leaves the one control character as it is that TOML does not allow.
        line = f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        said = model.model_fields[key].description if model else None
        lines.append(f"{line}  # {said}" if said else line)
    return lines
