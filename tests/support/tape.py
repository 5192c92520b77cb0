"""A recorder with the rules of CUDA graphs that works on the CPU, to test what is recorded.

A CUDA graph holds kernels, their numbers, and the addresses that they read and write. So does a
tape: calls of aten with their tensors and numbers as they were. Doing it again runs the calls on
the same memory, and no Python. What is forbidden while a graph is captured raises here too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {
    *("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim"),
    *("unique_consecutive", "bincount", "is_nonzero", "repeat_interleave"),
}
"""Operators whose result, or its shape, the host has to know."""

FROM_HOST = {"lift_fresh", "scalar_tensor", "_pin_memory"}
"""Operators that make a tensor in the host's memory, which a graph cannot be sure to find again."""


class UnrecordableError(RuntimeError):
    """An operator that a CUDA graph cannot hold."""


class _Recording(TorchDispatchMode):
    """Runs calls and notes them."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.own: dict[int, Tensor] = {}  # memory that was made here, by address

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = _tensors((args, *kwargs.values()))
        self._check(func, args, kwargs, given)
        known = {_memory(t) for t in given}
        result = func(*args, **kwargs)
        kinds = [r.alias_info for r in func._schema.returns]
        if any(kind is not None and not kind.is_write for kind in kinds):
            return result  # a view: where it lies is all that there is to it
        writes = any(kind is not None for kind in kinds)
        made = [] if writes else _tensors(result)
        for tensor in made:
            if _memory(tensor) not in known:
                self.own[_memory(tensor)] = tensor
        self.calls.append((func, args, kwargs, made))
        return result

    def _check(self, func: Any, args: Any, kwargs: Any, given: list[Tensor]) -> None:
        name = func._schema.name.removeprefix("aten::")
        if name in WAITS:
            raise UnrecordableError(f"{name} waits for the device")
        if name in FROM_HOST:
            raise UnrecordableError(f"{name} brings a number from the host")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise UnrecordableError(f"{name} draws from a global random generator")
        devices = {t.device for t in given} | {kwargs.get("device") or self.device}
        if devices != {self.device}:
            raise UnrecordableError(f"{name} moves data between devices")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            t.dtype in (torch.bool, torch.uint8) for t in args[1] if isinstance(t, Tensor)
        ):
            raise UnrecordableError(f"{name} by a mask waits for the device")


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors among an operator's arguments or results, which nest lists alone."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (list, tuple)):
        return [tensor for value in values for tensor in _tensors(value)]
    return []


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@torch.no_grad()
def _spoil(tensor: Tensor) -> None:
    """Leave nothing of a tensor's values."""
    if tensor.is_floating_point():
        tensor.fill_(float("nan"))
    else:
        tensor.fill_(1 if tensor.dtype == torch.bool else 113)


class Tape:
    """Records on the CPU; see ``dfgctl.stepping.Recorder``.

    Memory that a recording made for itself is another recording's too, so its values are spoiled
    after each time.

    Attributes:
        warmed: how often work was done unrecorded.
        recorded: how often it was recorded.
        replayed: how often a recording was done again.
    """

    def __init__(self) -> None:
        self.warmed = self.recorded = self.replayed = 0

    def warm_up(self, work: Callable[[], None]) -> None:
        self.warmed += 1
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        recording = _Recording(torch.device("cpu"))
        with recording:
            work()
        self.recorded += 1
        self._end(recording)

        @torch.no_grad()
        def replay() -> None:
            self.replayed += 1
            for func, args, kwargs, made in recording.calls:
                again = func(*args, **kwargs)
                for tensor, value in zip(made, _tensors(again) if made else [], strict=True):
                    tensor.copy_(value)
            self._end(recording)

        return replay

    @staticmethod
    def _end(recording: _Recording) -> None:
        for tensor in recording.own.values():
            _spoil(tensor.detach())
