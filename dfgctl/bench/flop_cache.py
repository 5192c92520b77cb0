"""Remembers the FLOP of runs, which take some seconds to count. Torch-free."""

import contextlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

from dfgctl.data.imbalance import validation_counts
from dfgctl.fragments import TUNED
from dfgctl.ledger import readings_of
from dfgctl.records import RunSpec, digest

FILE = "flop.json"
"""Its name; it lies beside the registry."""

RELEASED_IMAGES = 10
"""Images of each class behind DFG's filter weights, where F13 is read as released."""


class FlopCache:
    """The FLOP that were counted, by what decides them.

    Args:
        file: where they are remembered; one that is broken is as one that is not there, and one
            that cannot be written only costs time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError):
            read = json.loads(file.read_text("utf-8"))
            found = read.items() if isinstance(read, dict) else ()
            self._known = {key: float(flop) for key, flop in found if _is_count(flop)}

    def get(self, spec: RunSpec, class_counts: Sequence[int]) -> float | None:
        """Return the FLOP of a run; None where they have not been counted yet."""
        return self._known.get(key_of(spec, class_counts))

    def keep(self, spec: RunSpec, class_counts: Sequence[int], flop: float) -> None:
        """Remember the FLOP of a run."""
        self._known[key_of(spec, class_counts)] = flop
        beside = self._file.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(self._known, indent=1), "utf-8")
            beside.replace(self._file)


def key_of(spec: RunSpec, class_counts: Sequence[int]) -> str:
    """Return the digest of what decides the FLOP of a run's steps."""
    return digest(
        {
            "method": spec.method,
            "backbone": spec.backbone,
            "readings": sorted(readings_of(spec).released),
            "settings": {n: v for n, v in spec.settings.items() if n not in UNDECISIVE},
            "source": spec.source_identity is not None,
            "steps": spec.steps,
            "classes": len(class_counts),
            "images": swept_images(spec, class_counts),
            "results_version": spec.results_version,
        }
    )


UNDECISIVE = ("source", "fidelity", "numerics", TUNED)
"""Sections that decide no step's FLOP beside what a run's readings and other settings say."""


def swept_images(spec: RunSpec, class_counts: Sequence[int]) -> int:
    """Return how many training images a step goes through that looks at all of them.

    DFG's filter weights are those of so many images of a class (``weight_images``, F13).

    Args:
        spec: the run.
        class_counts: training images of each class, those held out included.
    """
    held_out = validation_counts(class_counts, spec.validation)
    trained = [count - out for count, out in zip(class_counts, held_out, strict=True)]
    most = spec.settings.get("dfg", {}).get("weight_images", 0)
    if "F13" in readings_of(spec).released:
        most = RELEASED_IMAGES
    return sum(min(count, most or count) for count in trained)


def _is_count(flop: object) -> bool:
    return isinstance(flop, int | float) and math.isfinite(flop) and flop > 0
