"""How many runs a device's memory holds: a line through what was measured. Torch-free.

A pack of R runs takes about bytes(R) = a + b R: what all of them share (the pictures, the program)
and what each of them needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dfgctl.contenders import BUILT_IN
from dfgctl.fragments import TUNED
from dfgctl.ledger import readings_of
from dfgctl.records import RunSpec, digest

MARGIN = 0.08
"""Share of the free memory that is left alone: allocators split it, and drivers take some."""

REACH = 8
"""How many times larger than the largest measured pack one may be."""

BACK_OFF = 0.75
"""A pack is at most this share of the smallest one that ran out of memory."""

MORE = 2.0
"""With so many times the memory that was free then, a size that ran out once may be tried again."""

SOFTWARE = ", torch "
"""Where a device's description turns to the software."""


@dataclass(frozen=True)
class Point:
    """What was measured of packs of one size.

    Attributes:
        pack: R, runs in the pack.
        peak_bytes: the most memory that one held; None where none got that far.
        step_seconds: seconds a step of the whole pack; None where that is not known.
        failures: how many ran out of memory.
        free_bytes: the most memory that one could have had which ran out; None without one.
        measured_at: when that was last learnt, UTC.
    """

    pack: int
    peak_bytes: int | None = None
    step_seconds: float | None = None
    failures: int = 0
    free_bytes: int | None = None
    measured_at: datetime | None = None


@dataclass(frozen=True)
class Profile:
    """What packs of one kind take on one kind of device.

    Attributes:
        kind: digest of what decides it; see ``kind_of``.
        device: the device in words, with its memory and the software's versions.
        device_bytes: the device's memory.
        method: the method's id.
        backbone: the network's name.
        dataset: the target data set's name.
        points: what was measured, by size, ascending.
    """

    kind: str
    device: str
    device_bytes: int
    method: str
    backbone: str
    dataset: str
    points: tuple[Point, ...] = ()

    @property
    def shown(self) -> str:
        """The device without the software's versions."""
        return self.device.partition(SOFTWARE)[0]

    @property
    def peaks(self) -> dict[int, int]:
        """The most bytes that packs of each size held, by size."""
        return {p.pack: p.peak_bytes for p in self.points if p.peak_bytes is not None}

    def line(self) -> tuple[float, float] | None:
        """Return a and b of bytes(R) = a + b R, in bytes; None with fewer than two sizes.

        By least squares, and lifted until no measured size lies above it; b is at least 0.
        """
        peaks = self.peaks
        if len(peaks) < 2:
            return None
        mean_r, mean_y = (sum(v) / len(peaks) for v in (peaks.keys(), peaks.values()))
        spread = sum((r - mean_r) ** 2 for r in peaks)
        slope = sum((r - mean_r) * (y - mean_y) for r, y in peaks.items()) / spread
        b = max(0.0, slope)
        return max(y - b * r for r, y in peaks.items()), b

    def bytes(self, pack: int) -> float | None:
        """Return what a pack will take, in bytes; None where too little was measured."""
        line = self.line()
        return None if line is None else line[0] + line[1] * pack

    def limit(self, available: int, most: int) -> int:
        """Return how large packs may be by those that ran out of memory; at least 1.

        A size that ran out once says nothing about a device with ``MORE`` times the free memory;
        one that did so twice is not tried again.

        Args:
            available: bytes that the pack may have.
            most: the most that is wanted.
        """
        for point in self.points:
            told = point.failures > 1 or available < MORE * (point.free_bytes or 0)
            if point.failures and told:
                most = min(most, int(BACK_OFF * point.pack))
        return max(1, most)

    def fitting(self, available: int, most: int) -> int:
        """Return the largest size that fits by the line, and is at most ``limit``; at least 1.

        Args:
            available: bytes that the pack may have; ``MARGIN`` of them is left alone.
            most: the most that is wanted.
        """
        line = self.line()
        if line is None:
            return 1
        (a, b), room = line, (1 - MARGIN) * available
        size = self.limit(available, most)
        if b > 0:
            size = min(size, max(1, int((room - a) / b)))
        while size > 1 and a + b * size > room:  # rounding, or a alone is too much
            size -= 1
        return size

    def unmeasured(self, available: int, most: int) -> int | None:
        """Return the size that must be measured before one can be chosen; None where none must.

        A run alone is tried whatever it takes; from there on sizes grow by ``REACH`` at the most.

        Args:
            available: bytes that the pack may have.
            most: the most that is wanted.
        """
        most, peaks = self.limit(available, most), self.peaks
        if most == 1:
            return None
        if len(peaks) < 2:
            return 1 if 1 not in peaks else 2
        reach = REACH * max(peaks)
        return reach if self.fitting(available, most) > reach else None


def shared_out(count: int, most: int) -> int:
    """Return the size of packs for so many runs: as few packs as can be, and those alike."""
    packs = -(-count // most)
    return -(-count // packs)


def kind_of(spec: RunSpec) -> str:
    """Return the digest of what decides how much memory a run takes, and how long its steps last.

    That is its group (see ``RunSpec.group``) less what changes values only: steps, the imbalance,
    the source's weights, and the rates, weights and thresholds of our own methods. The imbalance
    decides how many features ``smote`` holds.
    """
    imbalance = {"ratio": spec.ratio, "majority_count": spec.majority_count}
    return digest(
        {
            **(imbalance if spec.method == "smote" else {}),
            "method": spec.method,
            "backbone": spec.backbone,
            "source": spec.source,
            "readings": sorted(readings_of(spec).released),
            "validation": spec.validation,
            "data": spec.data_digest,
            "settings": {
                name: _deciding(values) if spec.method in BUILT_IN else dict(values)
                for name, values in spec.settings.items()
                if name not in ("source", "fidelity", TUNED)
            },
        }
    )


def _deciding(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ours that are no rates or weights; shares of steps decide the time."""
    return {k: v for k, v in values.items() if not isinstance(v, float) or k.startswith("share")}
