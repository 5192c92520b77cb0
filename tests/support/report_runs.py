"""Finished runs of digits in a registry, for the page of ``dfgctl report``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specs import spec

from dfgctl.records import DatasetCard, Measurement, Metrics, PlannedRun
from dfgctl.registry import Registry

MADE = {
    "dfgctl": "0.1.0",
    "commit": "c" * 40,
    "dirty": False,
    "python": "3.11.7",
    "platform": "Linux",
    "processor": "x86_64",
    "threads": 1,
    "packages": {"torch": "2.14.1"},
}
ACCURACIES = (0.80, 0.95, 0.87, 0.09)
"""As texts 9.00 comes after 95.00."""


def swept() -> list[PlannedRun]:
    """Return runs of dfg at two values of rho and of delta, two seeds each."""
    own: list[dict[str, float]] = [{}, {"rho": 0.25}, {"delta": 0.5}]
    return [
        _planned("dfg", own=values, seed=seed, steps=600) for values in own for seed in range(2)
    ]


def several() -> list[PlannedRun]:
    """Return runs of four methods in one row, and of the first in four more."""
    methods = ("original", "finetune", "delta", "dfg")
    rows = [_planned(method, seed=seed) for method in methods for seed in range(2)]
    return [*rows, *(_planned("original", ratio=f"{n}:1") for n in (2, 3, 4, 5))]


def _planned(method: str, **changes: Any) -> PlannedRun:
    source = {} if method == "original" else {"source": "glyphs", "source_identity": "5" * 64}
    return PlannedRun(spec(method, **source, **changes), (80, 8, 8, 8, 80, 8, 8, 8, 8, 8))


def registry_of(
    where: Path,
    runs: Sequence[PlannedRun],
    made: Mapping[str, Any] = MADE,
    finished: int | None = None,
    card: DatasetCard | None = None,
) -> Path:
    """Make a registry with runs, all or the first few of them finished.

    Args:
        where: its file.
        runs: the runs.
        made: their provenance.
        finished: how many have finished; None for all.
        card: what is kept of their data set.

    Returns:
        The registry's file.
    """
    registry = Registry(str(where))
    registry.enqueue(runs)
    if card is not None:
        registry.keep_card(card)
    for i, run in enumerate(runs[:finished]):
        claim = registry.claim(registry.keep_plan([run.id]), 1, "host:1:a", "CPU", dict(made))
        assert claim is not None
        a = ACCURACIES[i % len(ACCURACIES)]
        registry.record(claim, {0: Measurement(run.spec.steps, a, 1.0, None, {}, 1.0)})
        metrics = Metrics(a, a, 4, a, a, a, (a,) * 10, a, a, ((1,) * 10,) * 10, 1.0, 0.1)
        registry.finish(claim, 0, metrics)
    registry.close()
    return where
