"""The paper's numbers, read from ``published.toml``; accuracies in [0, 1] from here on."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Number:
    """A mean that the paper prints.

    Attributes:
        mean: the mean accuracy, in [0, 1].
        std: what follows ±, in [0, 1].
        place: where it stands.
        footnotes: what must be said of it.
    """

    mean: float
    std: float
    place: str
    footnotes: Sequence[str]


@dataclass(frozen=True)
class Sweep:
    """What the text says of accuracy over a setting's values.

    Attributes:
        points: value to the mean accuracy, in [0, 1], where the text states it.
        best: the value that it calls the best.
        place: where it stands.
        footnotes: what must be said of it.
    """

    points: Mapping[float, float]
    best: float
    place: str
    footnotes: Sequence[str]


@dataclass(frozen=True)
class Cost:
    """What the paper prints of a method's cost.

    Attributes:
        dataset, ratio, backbone: on what it was trained.
        device: on which device.
        place: where it stands.
        parameters: how many.
        megabytes: GPU memory in training, in MB.
        seconds: training time.
        accuracy: its accuracy.
    """

    dataset: str
    ratio: str
    backbone: str
    device: str
    place: str
    parameters: int
    megabytes: float
    seconds: float
    accuracy: Number


@cache
def everything() -> Mapping[str, Any]:
    """Return all that the file has, as it stands there: accuracies in %."""
    return tomllib.loads(FILE.read_text("utf-8"))


def footnotes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the texts of footnotes."""
    return tuple(everything()["footnotes"][name] for name in names)


def accuracy(dataset: str, method: str, ratio: str) -> Number | None:
    """Return a cell of Table 2; None where it has none of that data set, method and ratio."""
    table = everything()["accuracy"]
    row = table.get(dataset)
    if not isinstance(row, Mapping) or row["ratio"] != ratio or method not in row:
        return None
    return _number(row[method], table["place"], [*row.get("footnotes", ()), *table["footnotes"]])


def gain(dataset: str) -> float | None:
    """Return the gain of DFG over Original that the paper states; None for other data sets.

    Returns:
        A difference of two accuracies, in [0, 1].
    """
    points = everything()["gains"].get(dataset)
    return None if points is None or dataset == "place" else float(points) / 100


def block(dataset: str, split: str) -> Number | None:
    """Return an accuracy of Table 3: ``dfg`` split after a block of ResNet-50."""
    table = everything()["blocks"]
    if dataset != table["dataset"] or split not in table:
        return None
    return _number(table[split]["accuracy"], table["place"], table["footnotes"])


def sweep(key: str, dataset: str, ratio: str) -> Sweep | None:
    """Return what the paper says of ``rho`` or ``delta``; None for another data set or ratio."""
    table = everything()[key]
    row = everything()["accuracy"][table["dataset"]]
    if (dataset, ratio) != (table["dataset"], row["ratio"]):
        return None
    points = {float(value): float(mean) / 100 for value, mean in table["points"]}
    return Sweep(points, table["best"], table["place"], footnotes(row.get("footnotes", ())))


def costs() -> Mapping[str, Cost]:
    """Return the rows of Table 4 by method, all of one data set on one device."""
    table = everything()["cost"]
    same = {name: table[name] for name in ("dataset", "ratio", "backbone", "device", "place")}
    return {
        method: Cost(
            parameters=row["parameters"],
            megabytes=row["memory"],
            seconds=row["seconds"],
            accuracy=_number(row["accuracy"], table["place"], table["footnotes"]),
            **same,
        )
        for method, row in table.items()
        if isinstance(row, Mapping)
    }


def repeats(majority: int) -> int:
    """Return how many runs section 4.1 lets one assume behind a number (see the footnote ``std``).

    Args:
        majority: how many majority classes; 0 at 1:1.
    """
    table = everything()["repeats"]
    return int(table["combinations" if majority else "balanced"])


def _number(pair: Sequence[float], place: str, names: Sequence[str]) -> Number:
    mean, std = pair
    return Number(mean / 100, std / 100, place, footnotes(names))
