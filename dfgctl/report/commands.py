"""What to type to train what is missing."""

import shlex

from dfgctl.recipe import Recipe


def target_of(recipe: Recipe) -> str:
    """Return what ``dfgctl run`` must be given for a data set."""
    if recipe.pictures is None:
        return recipe.name
    fraction = recipe.pictures.test_fraction
    split = "" if fraction is None else f" --test-fraction {fraction:g}"
    return f"{shlex.quote(recipe.pictures.folder)} --backbone {recipe.backbone}{split}"
