"""Where a run's settings differ from its recipe's. Torch-free."""

from collections.abc import Mapping
from typing import Any

from dfgctl.fragments import TUNED
from dfgctl.recipe import SETTABLE, Recipe, model_of


def departures(recipe: Recipe, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return where a run's settings differ from the recipe's, as ``section.key=value``.

    A method of one's own is held against its own defaults, a switch of the ledger against the
    run's protocol, and a tuned run against the settings that were found for it.
    """
    code = settings.get("code", {})
    tuned = settings.get(TUNED, {}).get("values", {})
    found = []
    for section, values in settings.items():
        if section in ("code", TUNED):
            continue
        if section == "network":
            found.append(f"split {values['split']}")
            continue
        if section == "numerics":
            found.append(f"precision {values['precision']}")
            continue
        base: Mapping[str, Any]
        late: Mapping[str, Any] = {}
        if section in SETTABLE:
            base, late = recipe.section(section).values(), model_of(section).late()
        else:
            base = code["defaults"] if code and section != "fidelity" else {}
        own = {k.partition(".")[2]: v for k, v in tuned.items() if k.startswith(f"{section}.")}
        base = {**base, **own}
        found += [
            f"{section}.{name}={value if isinstance(value, str) else exact(value)}"
            for name, value in {**late, **values}.items()
            if value != base.get(name)
        ]
    return found


def exact(value: object) -> str:
    """Write a setting's value as short as it can be without becoming another one."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return repr(value)
