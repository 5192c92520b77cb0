"""The number of a step, as methods draw with it: a number, or a tensor that a device counts on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Clock:
    """Tells a method at which step it draws.

    What a step draws depends on the step's number. Where a step is recorded, to be done again
    without Python, that number must not be recorded with it: the device counts the steps itself.
    """

    def __init__(self) -> None:
        self._count: Tensor | None = None  # (), int64, on the device
        self._stands_at: int | None = None  # what it will hold once the device gets there
        self._counting = False

    def at(self, step: int) -> int | Tensor:
        """Return a step's number: itself, or in a recording the device's count, (), int64."""
        if self._counting:
            assert self._count is not None
            return self._count
        return step

    def set_before(self, step: int, device: torch.device) -> None:
        """Let the device's count stand before a step, which counts it on by one.

        Nothing is launched where the step before it was recorded too.
        """
        if self._count is None:
            self._count = torch.zeros((), dtype=torch.int64, device=device)
        if self._stands_at != step - 1:
            self._count.fill_(step - 1)
        self._stands_at = step

    def lost(self) -> None:
        """Forget where the device's count stands, after a recording that failed."""
        self._stands_at = None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count on by one, and let the block that is recorded see the device's count."""
        assert self._count is not None
        self._count.add_(1)
        self._counting = True
        try:
            yield
        finally:
            self._counting = False
