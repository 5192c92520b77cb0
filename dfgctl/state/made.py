"""What a method's ``__init__`` made: that of it which stays, and how the optimisers began."""

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dfgctl.clock import Clock
from dfgctl.data.batches import Batches, Images
from dfgctl.data.views import View
from dfgctl.draws import Stream
from dfgctl.ledger import Readings
from dfgctl.methods.base import Context, Method, Schedule, SourceWeights
from dfgctl.methods.regulariser import Regulariser
from dfgctl.networks.backbones import Backbone
from dfgctl.pack import Replicated
from dfgctl.settings import Section
from dfgctl.state.saved import StateError

PLAIN = (type(None), bool, int, float, str)
"""Types whose values JSON holds as they are."""

STEADY = (
    *(Context, Clock, Batches, Images, Stream, Schedule, Regulariser),
    *(Backbone, Readings, View, SourceWeights),
)
"""Classes of ours whose objects follow from the run and the step alone."""

IMMUTABLE = (
    *(Section, Enum, PurePath, bytes, complex, range, np.generic, type, types.ModuleType),
    *(torch.device, torch.dtype, torch.Size),
)
"""Classes whose objects, and those of subclasses, do not change."""


class Made:
    """The objects in a method's attributes as its ``__init__`` left them.

    Args:
        attributes: the attributes.

    Attributes:
        objects: what is neither plain nor a list, tuple or dict, by where it is (``whole.0``).
        parameters: ids of the parameters that are kept, and whether they lack a replica axis.

    Raises:
        StateError: one of them holds what can be neither saved nor made again.
    """

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.objects: dict[str, Any] = {}
        for name, value in attributes.items():
            self.objects.update(_objects(value, name, set()))
        self._places: dict[int, str] = {}
        self.parameters: dict[int, bool] = {}
        self._groups: dict[str, list[dict[str, Any]]] = {}
        self._scheduled: set[int] = set()
        for place, value in self.objects.items():
            self._places.setdefault(id(value), place)
            match value:
                case Tensor():
                    self.parameters.setdefault(id(value), False)
                case Replicated():
                    for parameter in value.parameters():
                        self.parameters[id(parameter)] = value.replicas == 1
                case torch.optim.Optimizer():
                    self._groups[place] = [_settings_of(g) for g in value.param_groups]
                case Schedule():
                    self._scheduled |= {id(group) for group in value.groups}

    def place(self, value: object) -> str | None:
        """Return where an object was first found; None if ``__init__`` did not make it."""
        return self._places.get(id(value))

    def changed_settings(
        self, place: str, optimizer: torch.optim.Optimizer
    ) -> list[tuple[int, str, Any]]:
        """Return the group, name and value of an optimiser's settings that are no more as made.

        Rates that a schedule sets are left out: it sets them again.

        Raises:
            StateError: it has other groups or parameters.
        """
        made = self._groups[place]
        if len(made) != len(optimizer.param_groups):
            raise StateError(f"{place} was given more parameters")
        changed = []
        for i, (before, group) in enumerate(zip(made, optimizer.param_groups, strict=True)):
            now = _settings_of(group)
            if now["params"] != before["params"]:
                raise StateError(f"{place} was given other parameters")
            for name, value in now.items():
                free = name != "lr" or id(group) not in self._scheduled
                if free and (name not in before or not _same(before[name], value)):
                    changed.append((i, name, value))
        return changed


def _settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a parameter group, with the ids of its parameters."""
    copied = {n: v.clone() if isinstance(v, Tensor) else v for n, v in group.items()}
    return {**copied, "params": [id(p) for p in group["params"]]}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    return type(a) is type(b) and bool(a == b)


def _objects(value: Any, place: str, holders: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the objects in a value with their places.

    Raises:
        StateError: one can be neither saved nor made again.
    """
    if type(value) in PLAIN:
        return
    if type(value) in (list, tuple, dict):
        for i, part in enumerate(parts(value, place, holders)):
            yield from _objects(part, f"{place}.{i}", holders)
    elif isinstance(value, Tensor | Replicated | torch.optim.Optimizer) or _steady(value):
        yield place, value
    else:
        raise StateError(f"{place} is a {type(value).__name__}, which cannot be saved")


def parts(value: Any, place: str, holders: set[int]) -> list[Any]:
    """Return what a list, tuple or dict holds.

    Args:
        value: the list, tuple or dict.
        place: where it is.
        holders: ids of those seen so far; this one is added.

    Raises:
        StateError: it is held twice, so that copies of it would no longer be one.
    """
    if not isinstance(value, tuple):
        if id(value) in holders:
            raise StateError(f"{place} is a {type(value).__name__} that is held twice")
        holders.add(id(value))
    return list(value.values()) if isinstance(value, dict) else list(value)


def _steady(value: Any) -> bool:
    """Say whether an object follows from the run alone, and so needs not be saved."""
    if type(value) in STEADY or isinstance(value, IMMUTABLE):
        return True
    if isinstance(value, nn.Module):
        plain = all(type(m).__module__.startswith("torch.nn.") for m in value.modules())
        return plain and not [*value.parameters(), *value.buffers()]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return all(isinstance(h, Method) or type(h) in PLAIN or _steady(h) for h in cells)
    # A method of a random generator is a builtin function as well.
    return isinstance(value, types.BuiltinFunctionType) and isinstance(
        value.__self__, types.ModuleType | None
    )
