"""A device with made-up memory, on which packs are trained for real by the CPU."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from dfgctl import measuring, training


@dataclass
class FakeDevice:
    """A device on which a pack of R runs takes a + b R bytes.

    Attributes:
        total: its memory.
        a: what all runs of a pack share.
        b: what each of them takes in a probe.
        b_real: what each of them takes in its training; None for the same.
        others: what other processes hold.
        tried: what was trained on it: whether by a probe, the method, R, and whether it fitted.
    """

    total: int
    a: int = 20
    b: int = 6
    b_real: int | None = None
    others: int = 0
    tried: list[tuple[bool, str, int, bool]] = field(default_factory=list)
    held: int = 0
    highest: int = 0
    waits: int = 0
    measures = True

    def sizes(self, probes: bool) -> list[int]:
        """Return the sizes that were tried, in probes or in training."""
        return [pack for probe, _, pack, _ in self.tried if probe is probes]

    def again(self) -> list[tuple[str, int]]:
        """Return what was tried though it had run out of memory before, or a smaller one had."""
        failed: dict[str, int] = {}
        found = []
        for _, method, pack, fitted in self.tried:
            if pack >= failed.get(method, pack + 1):
                found.append((method, pack))
            if not fitted:
                failed[method] = min(pack, failed.get(method, pack))
        return found

    def hold(self, probe: bool, method: str, pack: int) -> None:
        """Hold what a pack takes.

        Raises:
            torch.OutOfMemoryError: it does not fit.
        """
        real = self.b if self.b_real is None or probe else self.b_real
        needed = self.a + real * pack
        fits = needed <= self.total - self.others
        self.tried.append((probe, method, pack, fits))
        if not fits:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {needed} bytes.")
        self.held = needed
        self.highest = max(self.highest, needed)

    # What a meter does

    def available(self) -> int:
        """Return what nobody else holds."""
        self.held = 0
        return self.total - self.others

    def reset(self) -> None:
        """Forget the peak."""
        self.held = self.highest = 0

    def peak(self) -> int:
        """Return the most that was held."""
        return self.highest

    def used(self) -> int:
        """Return the same: no cache is between."""
        return self.highest

    def wait(self) -> None:
        """Count how often it was waited for."""
        self.waits += 1


def install(device: FakeDevice, patch: pytest.MonkeyPatch) -> None:
    """Let trainings and probes take that device's memory at their first step."""

    def on(device: FakeDevice, probe: bool) -> type[training.Trainer]:
        class Trainer(training.Trainer):
            holds = False

            def step(self, step: int) -> Any:
                if not self.holds:
                    self.holds = True
                    device.hold(probe, self.specs[0].method, len(self.specs))
                return super().step(step)

        return Trainer

    for module, probe in ((measuring, True), (training, False)):
        patch.setattr(module, "Trainer", on(device, probe))
