"""Methods: ours by name, one's own by entry point or as ``package.module:Class``.

Torch-free itself; a method of one's own is imported when it is named, and may bring torch along.
"""

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dfgctl.contenders import BUILT_IN, GROUPS, METHODS, SOURCE
from dfgctl.errors import InputError, UnknownNameError
from dfgctl.records import Settings, canonical
from dfgctl.settings import (
    METHOD_SECTIONS,
    SHARED_SECTIONS,
    TRAINING_SECTIONS,
    Section,
    TrainingSettings,
)

GROUP = "dfgctl.methods"
"""The entry points' group."""

RESERVED = {
    *(*BUILT_IN, *SHARED_SECTIONS, "imbalance", "run", "source", "fidelity", "network", "code"),
    *("numerics", "init", "tuned", *GROUPS),
}
"""Names that a method of one's own cannot have: sections of settings, and several methods'."""


@dataclass(frozen=True)
class MethodInfo:
    """What planning needs to know of a method.

    Attributes:
        name: its id, and the name of its own section of settings.
        title: its name in tables.
        sections: the sections that it reads, its own first.
        settings: the class of its own section.
        needs_source: whether it always starts from a source network; see ``starts_from_source``.
        code: what of one's own code a run's identity holds; empty for ours.
    """

    name: str
    title: str
    sections: tuple[str, ...]
    settings: type[TrainingSettings]
    needs_source: bool
    code: Mapping[str, Any] = field(default_factory=dict)

    def starts_from_source(self, own: Section) -> bool:
        """Say whether it starts from a source network with these settings of its own section."""
        return self.needs_source or getattr(own, "init", None) == SOURCE


def find(name: str) -> MethodInfo:
    """Return a method by its id, its entry point's name, or ``package.module:Class``.

    Raises:
        UnknownNameError: there is none of that name.
        InputError: one's own code cannot be imported, or is no method.
    """
    if name in BUILT_IN:
        return MethodInfo(
            name=name,
            title=BUILT_IN[name],
            sections=METHOD_SECTIONS[name],
            settings=TRAINING_SECTIONS[name],
            needs_source=name in METHODS and name != "original",
        )
    if ":" not in name:
        points = {p.name: f"{p.module}:{p.attr}" for p in entry_points(group=GROUP)}
        if name not in points:
            raise UnknownNameError("method", name, [*BUILT_IN, *points, *GROUPS])
        name = points[name]
    return _described(name, load(name))


def load(path: str) -> Any:
    """Import a class of one's own, ``package.module:Class``; the current folder counts.

    Raises:
        InputError: that does not work.
    """
    module_name, _, class_name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in class_name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # one's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"The method {path} cannot be imported ({reason}): name it as package.module:Class, in "
            "the current folder or an installed package."
        ) from error
    return found


def load_for(code: Mapping[str, Any]) -> Any:
    """Import the class that a run was planned with.

    Raises:
        InputError: it cannot be imported, or its code is another by now.
    """
    found = load(code["class"])
    if _checksum(found) != code["sha256"]:
        raise InputError(
            f"The code of {code['class']} has changed since this run was planned: type the command "
            "again, so that the new code gets runs of its own."
        )
    return found


def sections_of(settings: Settings, method: str) -> tuple[str, ...]:
    """Return the sections that a run's method reads, its own first."""
    if method in METHOD_SECTIONS:
        return METHOD_SECTIONS[method]
    return method, *settings["code"]["sections"]


def _described(path: str, found: Any) -> MethodInfo:
    """Check that a class is a method, and describe it."""
    name, settings = getattr(found, "name", None), getattr(found, "Settings", None)
    sections = getattr(found, "sections", ())
    if not inspect.isclass(found) or not callable(getattr(found, "step", None)):
        raise _no_method(path, "it is no class with a method step")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise _no_method(path, "its name must be lower-case letters, digits and underscores")
    if name in RESERVED:
        raise _no_method(path, f"its name '{name}' is taken")
    if not (inspect.isclass(settings) and issubclass(settings, TrainingSettings)):
        raise _no_method(path, "its Settings must be a subclass of TrainingSettings")
    if not isinstance(sections, tuple | list):
        raise _no_method(path, "its sections must be a tuple of names")
    if unknown := [s for s in sections if s not in SHARED_SECTIONS]:
        raise _no_method(path, f"it reads the section '{unknown[0]}', which there is not")
    try:
        defaults = settings()  # type: ignore[call-arg]
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _no_method(path, f"its setting '{where}' has no valid default") from error
    try:
        canonical(defaults.values())
    except TypeError as error:
        raise _no_method(path, f"a setting's default cannot be stored ({error})") from error
    title = str(getattr(found, "title", name))
    return MethodInfo(
        name=name,
        title=title,
        sections=(name, *sections),
        settings=settings,
        needs_source=bool(getattr(found, "needs_source", True)),
        code={
            "class": path,
            "sha256": _checksum(found),
            "title": title,
            "sections": list(sections),
            "defaults": defaults.values(),
        },
    )


def _checksum(found: Any) -> str:
    """Return the SHA-256 of the file that a class is written in."""
    try:
        return hashlib.sha256(Path(inspect.getfile(found)).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return ""


def _no_method(path: str, reason: str) -> InputError:
    return InputError(f"{path} is no method: {reason}; the README shows one.")
