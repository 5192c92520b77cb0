"""``dfgctl run --tuned``: finds the fragments of the methods that were asked for, and their faults.

What a fragment was found for must be what is asked for now: a search at 10:1 says nothing of 40:1.
"""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfgctl.contenders import SOURCE
from dfgctl.dispatch.request import Checked, Variant
from dfgctl.errors import InputError, SettingError
from dfgctl.fragments import CONDITIONS, Fragment, path_of, read
from dfgctl.plugins import MethodInfo
from dfgctl.records import canonical

OPTIONS = {"ratio": "--imbalance", "set": "--set"}
"""The options of conditions that are not called like them."""

ELSEWHERE = ("imbalance", "run", "source", "fidelity")
"""Sections that are not a method's own: what they hold is a condition of a search."""


def conditions(checked: Checked, variant: Variant, method: MethodInfo) -> dict[str, Any]:
    """Return what a search's result holds for, beside its data set and method (``CONDITIONS``)."""
    request = checked.request
    sourced = method.starts_from_source(variant.section(method.name))
    ours = [s for s in ELSEWHERE if sourced or s != "source"]
    given = [f"{k}={v}" for k, v in variant.changes.items() if k.partition(".")[0] in ours]
    values = (
        variant.recipe.backbone,
        str(checked.ratio),
        checked.majority,
        checked.source if sourced else "",
        request.protocol,
        request.precision,
        request.split,
        request.steps or 0,
        ", ".join(sorted(given)),
    )
    return dict(zip(CONDITIONS, values, strict=True))


def init_of(variant: Variant, method: MethodInfo) -> str | None:
    """Return what a method starts from, where that can be chosen."""
    return getattr(variant.section(method.name), "init", None)


def with_fragments(checked: Checked, folder: Path, target: str) -> Checked:
    """Return the request with the settings that were found for each method.

    Args:
        checked: the request.
        folder: where results lie.
        target: what a command calls the data set.

    Raises:
        InputError: a method was not tuned, or for something else.
        SettingError: a setting is given that was searched.
    """
    variants, missing = [], {}
    for variant in checked.variants:
        found = {}
        for method in checked.methods:
            init = init_of(variant, method)
            file = path_of(folder, checked.recipe.name, method.name, init)
            if not file.is_file():
                missing[method.name, init] = _words(method, init)
                continue
            found[method.name] = read(file)
            _check(found[method.name], conditions(checked, variant, method), variant.changes)
        variants.append(replace(variant, tuned=found))
    if missing:
        raise InputError(_untuned(missing, target))
    return replace(checked, variants=tuple(variants))


def _words(method: MethodInfo, init: str | None) -> tuple[str, str]:
    """Return a method's name in a command, and what it starts from if that must be said."""
    name = str(method.code.get("class", method.name))
    return name, " --set init=source" if init == SOURCE else ""


def _untuned(missing: Mapping[Any, tuple[str, str]], target: str) -> str:
    """Say which methods lack a fragment, and the commands that make them."""
    commands: dict[str, list[str]] = {}
    for name, start in missing.values():
        commands.setdefault(start, []).append(name)
    listed = " and ".join(
        f"dfgctl tune {target} {' '.join(f'--method {shlex.quote(n)}' for n in names)}{start}"
        for start, names in commands.items()
    )
    names = ", ".join(dict.fromkeys(name for name, _ in missing))
    return f"There are no tuned settings of {names} here: find them first, with {listed}."


def _check(fragment: Fragment, asked: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check that a fragment is of what is asked for."""
    for name, value in asked.items():
        if (was := fragment.found[name]) != value:
            option = OPTIONS.get(name, f"--{name}")
            raise InputError(
                f"{fragment.file} was found with {option} {_shown(was)}, and this is "
                f"{_shown(value)}: tune again for it ({fragment.command}, with {option} changed), "
                "or leave --tuned out."
            )
    for key in given.keys() & fragment.values.keys():
        if canonical(given[key]) != canonical(fragment.values[key]) or not key.endswith(".init"):
            raise SettingError(
                f"--set {key} is given, and --tuned has it from {fragment.file}: leave one of them "
                "out."
            )


def _shown(value: Any) -> str:
    return str(value) if value not in ("", 0) else "none"
