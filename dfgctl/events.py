"""What happens while a pack is trained, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dfgctl.records import Measurement, Metrics
from dfgctl.state import Saved


@dataclass(frozen=True)
class Stepped:
    """A step is done."""

    step: int


@dataclass(frozen=True)
class Evaluated:
    """All replicas were evaluated; ``diverged`` ones have no measurement from here on."""

    step: int
    measurements: Mapping[int, Measurement]
    diverged: frozenset[int]


@dataclass(frozen=True)
class Kept:
    """The states, after a step, of the replicas that have not diverged."""

    step: int
    states: Mapping[int, Saved]


@dataclass(frozen=True)
class Done:
    """The pack is trained: metrics and weights of each replica that did not diverge."""

    metrics: Mapping[int, Metrics]
    weights: Mapping[int, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Noted:
    """Something that does no harm, in words."""

    text: str


Event = Stepped | Evaluated | Kept | Done | Noted
