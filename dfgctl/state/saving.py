"""A method's attributes as JSON and tensors."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dfgctl.pack import Replicated
from dfgctl.state.made import PLAIN, Made, parts
from dfgctl.state.saved import Node, StateError, order_of, own


class Writer:
    """Turns values into nodes, and collects the tensors in them.

    Args:
        made: what ``__init__`` made; only tensors may be newer.
        replicas: R; a tensor whose first axis is as long is cut by replica. 0 for none.
        device: where the pack is trained.
    """

    def __init__(self, made: Made, replicas: int, device: torch.device) -> None:
        self._made = made
        self._replicas = replicas
        self._device = device
        self._stacked: dict[str, Tensor] = {}  # (R, ...), on the CPU
        self._shared: dict[str, Tensor] = {}
        self._held: dict[int, tuple[str, Tensor]] = {}  # the tensors too, so that ids stay theirs
        self._holders: set[int] = set()

    def tensors(self, replica: int) -> dict[str, Tensor]:
        """Return one replica's copies of the tensors seen so far, by name."""
        cut = {name: own(tensor[replica]) for name, tensor in self._stacked.items()}
        return cut | {name: own(tensor) for name, tensor in self._shared.items()}

    def all_of(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Node]:
        """Return the nodes of named values.

        Raises:
            StateError: one cannot be saved.
        """
        return {name: self.node(value, prefix + name) for name, value in values.items()}

    def node(self, value: Any, place: str) -> Node:
        """Return the node of a value at a place.

        Raises:
            StateError: it cannot be saved.
        """
        if type(value) is float and not math.isfinite(value):
            return {"kind": "float", "value": repr(value)}
        if type(value) in PLAIN:
            return value
        if type(value) in (list, tuple, dict):
            held = parts(value, place, self._holders)
            items = [self.node(part, f"{place}.{i}") for i, part in enumerate(held)]
            found: dict[str, Node] = {"kind": type(value).__name__, "items": items}
            if isinstance(value, dict):
                found["keys"] = [self._key(key, place) for key in value]
            return found
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        made = self._made.place(value)
        if made is None:
            raise StateError(f"{place} is a {type(value).__name__} that __init__ did not make")
        if isinstance(value, Replicated):
            return self._network(value, made)
        if isinstance(value, torch.optim.Optimizer):
            return self._optimizer(value, made)
        return {"kind": "steady", "made": made}

    @staticmethod
    def _key(key: Any, place: str) -> Node:
        if type(key) not in PLAIN or (isinstance(key, float) and not math.isfinite(key)):
            raise StateError(f"{place} has a key that is a {type(key).__name__}")
        return key

    def _tensor(self, value: Tensor, place: str) -> Node:
        made = self._made.place(value)
        if value.grad_fn is not None or (value.requires_grad and made is None):
            raise StateError(f"{place} is a tensor with a gradient's history")
        if value.layout != torch.strided or value.is_complex() or value.is_quantized:
            raise StateError(f"{place} is a tensor of a kind that cannot be saved")
        by_replica = value.dim() > 0 and value.shape[0] == self._replicas
        return {**self._kept(value, place, by_replica), "made": made}

    def _kept(self, value: Tensor, place: str, by_replica: bool) -> dict[str, Node]:
        """Keep a tensor, once however often it is met."""
        name, _ = self._held.setdefault(id(value), (place, value))
        kept = self._stacked if by_replica else self._shared
        if name not in kept:
            kept[name] = value.detach().cpu()
        return {
            "kind": "tensor",
            "name": name,
            "by_replica": by_replica,
            "order": order_of(value),
            "host": value.device.type != self._device.type,
        }

    def _network(self, network: Replicated, made: str) -> Node:
        with torch.enable_grad():
            stacked = network.stacked()
            learning = [name for name, tensor in stacked.items() if tensor.requires_grad]
        for name, tensor in stacked.items():
            if f"{made}.{name}" not in self._stacked:
                self._stacked[f"{made}.{name}"] = tensor.detach().cpu()
        return {
            "kind": "network",
            "made": made,
            "tensors": list(stacked),
            "learning": learning,
            "training": network.training,
            "resting": [n for n, m in network.module.named_modules() if not m.training],
        }

    def _optimizer(self, optimizer: torch.optim.Optimizer, made: str) -> Node:
        states = []
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for i, parameter in enumerate(parameters):
            lacks_axis = self._made.parameters.get(id(parameter))
            if lacks_axis is None:
                raise StateError(f"{made} trains what is in no attribute")
            state: dict[str, Node] = {}
            for name, value in optimizer.state.get(parameter, {}).items():
                place = f"{made}.{i}.{name}"
                if not isinstance(value, Tensor):
                    state[name] = self.node(value, place)
                elif value.shape == parameter.shape and name != "step":
                    stacked = value[None] if lacks_axis else value
                    state[name] = self._kept(stacked, place, by_replica=True)
                elif value.dim() == 0:
                    state[name] = self._kept(value, place, by_replica=False)
                else:
                    raise StateError(f"{place} is of another shape than its parameter")
            states.append(state)
        settings = [
            [group, name, self.node(value, f"{made}.{group}.{name}")]
            for group, name, value in self._made.changed_settings(made, optimizer)
        ]
        return {"kind": "optimizer", "made": made, "states": states, "settings": settings}
