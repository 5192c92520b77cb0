"""A registry with a run in every state, made by hand, and files beside it as workers name them."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from specs import spec

from dfgctl.records import Claim, Measurement, Metrics, PlannedRun
from dfgctl.registry import Registry

SOURCE = "5" * 64
STRANGER = "e" * 64
STATES = ("finished", "forced", "running", "queued", "failed", "diverged", "cancelled")
METRICS = Metrics(0.5, 0.75, 2, 1 / 3, 0.1, 0.0, (0.25, 1.0), 0.25, None, ((1, 3), (0, 4)), 1, 1)


def planned(seed: int, steps: int = 4) -> PlannedRun:
    """Make a run that starts from a source network."""
    return PlannedRun(
        spec("finetune", seed=seed, steps=steps, source="glyphs", source_identity=SOURCE), (80, 8)
    )


@dataclass
class Filled:
    """A registry and its folder.

    Attributes:
        registry: the open registry.
        folder: where its files lie.
        runs: a run in each state, by the state's name; ``forced`` was finished twice.
    """

    registry: Registry
    folder: Path
    runs: dict[str, PlannedRun]

    def id(self, state: str) -> str:
        """Return the id of the run in a state."""
        return self.runs[state].id

    def write(self, path: str, age: float = 0.0) -> Path:
        """Write a file below the folder that is so many seconds old."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 100)
        at = time.time() - age
        os.utime(file, (at, at))
        return file

    def claim(self, run: PlannedRun) -> Claim:
        """Claim one run."""
        claim = self.registry.claim(
            self.registry.keep_plan([run.id]), 1, "host:1:a", "CPU", {"commit": "abc"}
        )
        assert claim is not None
        return claim

    def finish(self, run: PlannedRun) -> None:
        """Claim a run, measure and finish it."""
        claim = self.claim(run)
        last = Measurement(run.spec.steps, 0.5, 1.0, None, {}, 1.0)
        self.registry.record(claim, {0: last})
        self.registry.finish(claim, 0, METRICS)


def fill(where: str) -> Filled:
    """Make a registry with a run in every state."""
    registry = Registry(where)
    made = Filled(registry, registry.folder, {s: planned(i) for i, s in enumerate(STATES)})
    enders: dict[str, Callable[[PlannedRun], object]] = {
        "finished": made.finish,
        "forced": made.finish,
        "running": made.claim,
        "failed": lambda run: registry.fail(made.claim(run), 0, "failed", "it broke"),
        "diverged": lambda run: registry.fail(made.claim(run), 0, "diverged", "not finite"),
        "cancelled": lambda run: registry.cancel([run.id]),
    }
    for state, run in made.runs.items():
        registry.enqueue([run])
        if state in enders:
            enders[state](run)
    registry.enqueue([made.runs["forced"]], force=True)
    made.finish(made.runs["forced"])
    return made


def add_files(made: Filled) -> dict[str, Path]:
    """Write all kinds of files that workers leave, for every run; return them by their paths."""
    paths = []
    for run_id in [*(run.id for run in made.runs.values()), STRANGER]:
        paths += [f"checkpoints/{run_id}/{step:08d}.safetensors" for step in (2, 4)]
        paths += [f"weights/{run_id}.1.safetensors", f"logs/{run_id}.log"]
    paths.append(f"weights/{made.id('forced')}.2.safetensors")
    paths += [f"sources/{SOURCE}.safetensors", f"sources/{STRANGER}.safetensors"]
    return {path: made.write(path) for path in paths}
