"""Statistics over runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1) of n values; ``std`` is None for one value."""

    mean: float
    std: float | None
    n: int

    def text(self) -> str:
        """Write mean ± standard deviation in %."""
        mean = f"{100 * self.mean:.2f}"
        return mean if self.std is None else f"{mean} ± {100 * self.std:.2f}"


def summarise(values: Sequence[float]) -> Summary:
    """Summarise at least one value."""
    array = np.asarray(values, dtype=np.float64)
    std = float(array.std(ddof=1)) if len(array) > 1 else None
    return Summary(float(array.mean()), std, len(array))
