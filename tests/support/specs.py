"""Specs of runs on the built-in digits, as a plan would make them."""

from dataclasses import replace
from typing import Any

from dfgctl import recipe as recipes
from dfgctl.records import RunSpec
from dfgctl.settings import METHOD_SECTIONS


def spec(method: str = "original", **changes: Any) -> RunSpec:
    """Make a spec by the recipe of digits.

    Args:
        method: the method.
        changes: fields of the spec; ``own`` changes the method's own settings, ``sections`` adds
            whole sections.
    """
    recipe = recipes.load("digits")
    settings = {name: recipe.section(name).values() for name in METHOD_SECTIONS[method]}
    del settings[method]["steps"]
    settings[method].update(changes.pop("own", {}))
    settings.update(changes.pop("sections", {}))
    made = RunSpec(
        dataset="digits",
        source=None,
        source_identity=None,
        method=method,
        backbone="lenet5",
        protocol="paper",
        ratio="10:1",
        majority=2,
        majority_count=80,
        combination=(0, 4),
        seed=0,
        steps=6,
        eval_every=4,
        validation=0.0,
        settings=settings,
        data_digest="d",
    )
    return replace(made, **changes)
