"""A worker's desk: what it does now, for whoever looks at the registry."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dfgctl.dispatch.events import Observer, described
from dfgctl.dispatch.lease import JOIN_SECONDS
from dfgctl.errors import DfgctlError
from dfgctl.records import Claim, Measurement, Metrics, Run, RunSpec, SourceSpec, WorkerState
from dfgctl.registry import Registry

SIGN_SECONDS = 2.0
"""Time between signs of life."""


class Desk(Observer):
    """Keeps a worker's row in the registry up to date, in a thread of its own.

    Args:
        registry: the registry.
        worker: the worker, as it starts.
    """

    def __init__(self, registry: Registry, worker: WorkerState) -> None:
        self.registry, self.worker = registry, worker
        self._doing: dict[str, Any] = {"what": "starting", "ended": 0}
        self._began = time.monotonic()
        self._first = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Sign on, sign while the block runs, and sign off."""
        self.registry.sign_on(self.worker)
        done = threading.Event()

        def signs() -> None:
            while not done.wait(SIGN_SECONDS):
                self._sign()

        thread = threading.Thread(target=signs, name="desk", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(JOIN_SECONDS)
            with contextlib.suppress(DfgctlError):
                self.registry.sign_off(self.worker)

    def _sign(self) -> None:
        doing = dict(self._doing)
        steps = doing.get("step", 0) - self._first
        spent = time.monotonic() - self._began
        if steps > 1 and spent > 0.5:
            doing["rate"] = steps / spent
        # What others see of a worker is worth no wait and no end: the next sign comes soon.
        with contextlib.suppress(Exception):
            self.registry.sign(replace(self.worker, doing=doing))

    def _begin(self, what: str, steps: int, step: int = 0, runs: tuple[str, ...] = ()) -> None:
        ended = self._doing["ended"]
        self._began, self._first = time.monotonic(), step
        self._doing = {"what": what, "step": step, "steps": steps, "runs": runs, "ended": ended}

    def data_prepared(self, name: str, done: int, total: int) -> None:
        """So many of a data set's pictures are decoded."""
        what = f"decoding the pictures of {name}, once"
        if self._doing["what"] != what:
            self._begin(what, total)
        self._doing["step"] = done

    def source_started(self, spec: SourceSpec) -> None:
        """The pre-training of a source network begins."""
        self._begin(f"source network {spec.dataset}, {spec.backbone}", int(spec.settings["steps"]))

    def source_stepped(self, step: int) -> None:
        """The source network has done a step."""
        self._doing["step"] = step

    def measuring(self, spec: RunSpec, pack: int) -> None:
        """The memory that runs take is measured."""
        self._begin(f"measuring memory: {described(spec, pack)}", 0)

    def pack_started(self, claim: Claim, step: int) -> None:
        """The training of a pack begins."""
        runs = tuple(run.id for run in claim.runs)
        self._begin(pack_name(claim), claim.runs[0].spec.steps, step, runs)

    def stepped(self, step: int) -> None:
        """The pack has done a step."""
        self._doing["step"] = step

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated."""
        if measurements:
            accuracies = [m.accuracy for m in measurements.values()]
            self._doing["accuracy"] = sum(accuracies) / len(accuracies)
            self._doing["losses"] = dict(next(iter(measurements.values())).losses)

    def run_finished(self, run: Run, metrics: Metrics) -> None:
        """A run of the pack has finished."""
        self._doing["ended"] += 1

    def run_failed(self, run: Run, outcome: str, error: str) -> None:
        """A run of the pack has failed."""
        self._doing["ended"] += 1

    def stopping(self) -> None:
        """A stop was asked for."""
        self._doing["stopping"] = True

    def waiting(self, running: int) -> None:
        """All that is left is being trained by other processes."""
        self._begin(f"waiting for {running} that other processes train", 0)


def pack_name(claim: Claim) -> str:
    """Name a pack in a line."""
    first = claim.runs[0].spec
    if len(claim.runs) > 1:
        return f"{first.dataset} {first.method}, pack of {len(claim.runs)}"
    classes = ", ".join(map(str, first.combination))
    majority = f"{{{classes}}}" if first.combination else first.ratio
    return f"{first.dataset} {first.method} {majority} seed {first.seed}"
