"""The state of a pack's method: whether it can be saved, saved by replica, and restored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfgctl.methods.base import Method
from dfgctl.state.made import Made
from dfgctl.state.restoring import Reader
from dfgctl.state.saved import Node, StateError
from dfgctl.state.saving import Writer

Part = tuple[dict[str, Tensor], dict[str, Node]]
"""One replica's tensors, and the rest as JSON."""


class MethodState:
    """Saves and restores a method, of which nothing was trained when this was made.

    Args:
        method: the method.
        replicas: R.
        device: where it is trained.

    Attributes:
        problem: why it cannot be saved; empty if it can, as far as is known before training.
    """

    def __init__(self, method: Method[Any], replicas: int, device: torch.device) -> None:
        self._method, self._replicas, self._device = method, replicas, device
        self._randomness = _global_randomness(device)
        self._made = Made({})
        self.problem = ""
        try:
            self._made = Made(self._attributes())
        except StateError as error:
            self.problem = str(error)

    def saved(self) -> list[Part]:
        """Return each replica's state; the training goes on as if it had not been looked at.

        Raises:
            StateError: it cannot be saved.
        """
        if self.problem:
            raise StateError(self.problem)
        if _global_randomness(self._device) != self._randomness:
            raise StateError("the method draws from a global random generator")
        attributes = self._attributes()
        if gone := {place.partition(".")[0] for place in self._made.objects} - set(attributes):
            raise StateError(f"{min(gone)} is gone")
        writer = Writer(self._made, self._replicas, self._device)
        nodes = writer.all_of(attributes)
        saved = []
        for r in range(self._replicas):
            aside = Writer(Made({}), 0, torch.device("cpu"))
            kept = aside.all_of(self._method.saved_aside(r), "aside.")
            content = {
                "attributes": nodes,
                "aside": kept,
                "replica": r,
                "replicas": self._replicas,
            }
            saved.append((writer.tensors(r) | aside.tensors(0), content))
        return saved

    def restore(
        self, tensors: Sequence[Mapping[str, Tensor]], contents: Sequence[Mapping[str, Node]]
    ) -> None:
        """Bring the method to where the replicas were, in whatever packs that was.

        Args:
            tensors: the tensors of each replica.
            contents: the rest of each replica's state.

        Raises:
            StateError: it does not fit; the method is of no more use then.
        """
        if self.problem:
            raise StateError(self.problem)
        with torch.no_grad():
            self._restore(tensors, contents)

    def _restore(
        self, tensors: Sequence[Mapping[str, Tensor]], contents: Sequence[Mapping[str, Node]]
    ) -> None:
        places = [(c["replica"], c["replicas"]) for c in contents]
        whole = places == [(r, self._replicas) for r in range(self._replicas)]
        packs = frozenset() if whole else frozenset(size for _, size in places)
        reader = Reader(self._made, tensors, self._device, packs)
        nodes = [c["attributes"] for c in contents]
        now = self._attributes()
        for name in dict.fromkeys([*now, *(name for n in nodes for name in n)]):
            setattr(self._method, name, reader.value([n[name] for n in nodes], now.get(name)))
        cpu = torch.device("cpu")
        aside = []
        for own, content in zip(tensors, contents, strict=True):
            alone = Reader(Made({}), [own], cpu)
            aside.append({name: alone.value([n], None) for name, n in content["aside"].items()})
        self._method.restore_aside(aside)
        self._method.training_mode()
        reader.set_modes()

    def _attributes(self) -> dict[str, Any]:
        """Return what the method holds, by name.

        Raises:
            StateError: its class rules checkpoints out, or hides what it holds.
        """
        kind = type(self._method)
        if not issubclass(kind, Method) or not kind.resumable:
            raise StateError(f"{kind.__name__} is not resumable")
        if any(vars(base).get("__slots__") for base in kind.__mro__):
            raise StateError(f"{kind.__name__} has slots")
        return {name: v for name, v in vars(self._method).items() if name not in kind.aside}


def _global_randomness(device: torch.device) -> list[bytes]:
    """Return the state of the global random generators that a method might draw from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    name, words, *others = np.random.get_state(legacy=True)
    return [
        *(state.numpy().tobytes() for state in states),
        np.asarray(words).tobytes(),
        repr((name, others)).encode(),
    ]
