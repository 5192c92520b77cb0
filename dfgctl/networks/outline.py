"""Outlines of networks as plain records, which figures draw without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]
"""Channels, height, width; or units."""


@dataclass(frozen=True)
class Line:
    """A layer, or several that are alike.

    Attributes:
        what: the layer, e.g. ``conv 5×5``.
        activation: what its output goes through; empty for nothing.
        shape: shape of its output.
        parameters: how many it has.
        count: how many layers it stands for.
    """

    what: str
    activation: str
    shape: Shape
    parameters: int
    count: int = 1


@dataclass(frozen=True)
class Outline:
    """A network.

    Attributes:
        letter: E, C, G or D.
        title: what the paper calls it.
        input: shape of its input.
        lines: its layers, from input to output.
    """

    letter: str
    title: str
    input: Shape
    lines: Sequence[Line]

    @property
    def output(self) -> Shape:
        """Shape of its output."""
        return self.lines[-1].shape

    @property
    def parameters(self) -> int:
        """How many it has."""
        return sum(line.parameters for line in self.lines)


@dataclass(frozen=True)
class Structure:
    """The four networks of DFG for a data set (Fig. 1).

    Attributes:
        dataset: the data set's name.
        title: its title.
        backbone: the network's title.
        split: where it is split.
        classes: number of classes.
        noise: noise numbers that G is given.
        networks: G, D, E and C by their letters.
    """

    dataset: str
    title: str
    backbone: str
    split: str
    classes: int
    noise: int
    networks: dict[str, Outline]

    @property
    def parameters(self) -> int:
        """Parameters of all four."""
        return sum(network.parameters for network in self.networks.values())


def written(shape: Shape) -> str:
    """Write a shape as the paper's tables do: height, width, channels."""
    return "×".join(map(str, (*shape[1:], shape[0])))
