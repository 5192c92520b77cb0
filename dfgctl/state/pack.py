"""The state of a pack: its method's and its counts', by replica."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dfgctl.methods.base import Method
from dfgctl.state.method import MethodState
from dfgctl.state.saved import Saved, StateError
from dfgctl.state.tally import Tally


class PackState:
    """Saves and restores a pack, of which nothing was trained when this was made.

    Args:
        method: the pack's method.
        tally: its counts.
        replicas: R.
        device: where it is trained.
    """

    def __init__(
        self, method: Method[Any], tally: Tally, replicas: int, device: torch.device
    ) -> None:
        self._method = MethodState(method, replicas, device)
        self._tally = tally
        self._replicas = replicas

    @property
    def problem(self) -> str:
        """Why it cannot be saved; empty if it can, as far as is known before training."""
        return self._method.problem

    def saved(self, step: int) -> list[Saved]:
        """Return each replica's state; the training goes on as if it had not been looked at.

        Raises:
            StateError: it cannot be saved.
        """
        states = []
        for r, (tensors, content) in enumerate(self._method.saved()):
            sums, counts = self._tally.saved(r)
            named = {f"method.{name}": tensor for name, tensor in tensors.items()}
            named |= {f"tally.{name}": tensor for name, tensor in sums.items()}
            states.append(Saved(step, named, {"method": content, "tally": counts}))
        return states

    def restore(self, states: Sequence[Saved]) -> int:
        """Bring the pack to where its runs were, in whatever packs that was.

        Returns:
            The steps that are done.

        Raises:
            StateError: the states do not fit; the pack is of no more use then.
        """
        steps = {state.step for state in states}
        if len(states) != self._replicas or len(steps) != 1:
            raise StateError("there must be one state a run, all of one step")
        try:
            self._method.restore(
                [_under("method.", state.tensors) for state in states],
                [state.content["method"] for state in states],
            )
            self._tally.restore(
                [_under("tally.", state.tensors) for state in states],
                [state.content["tally"] for state in states],
            )
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise StateError(f"what was saved does not fit ({reason})") from error
        return steps.pop()


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
