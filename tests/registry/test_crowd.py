"""Many processes at one registry: nothing lost, nothing twice, whoever is killed whenever."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dfgctl.registry import Registry

Make = Callable[..., Any]

DRAIN = """
import sys, time
from datetime import timedelta
from dfgctl.registry import database, outcomes, queue, roster
lease = timedelta(seconds=float(sys.argv[3]))
for module in (database, queue, roster):
    module.LEASE = lease
from dfgctl.records import Measurement, Metrics, PlannedRun, RunSpec
from dfgctl.registry import Registry

def planned(seed):
    spec = RunSpec("digits", None, None, "original", "lenet5", "paper", "10:1", 2, 80, (0, 4), seed,
                   3, 2, 0.0, {"original": {"lr": 0.001}}, "d" * 64)
    return PlannedRun(spec, (80, 8))

metrics = Metrics(0.5, 0.75, 2, 0.3, 0.1, 0.0, (0.25, 1.0), 0.25, None, ((1, 3), (0, 4)), 1.5, 0.25)
sys.stdin.readline()
registry = Registry(sys.argv[1])
registry.patience = 60
plan = registry.enqueue([planned(seed) for seed in range(int(sys.argv[2]))])
name = sys.argv[4]
while True:
    registry.expire()
    claim = registry.claim(plan, 3, name, "CPU", {"a": 1})
    if claim is None:
        counts = registry.counts(plan)
        if not counts["queued"] and not counts["running"]:
            break
        time.sleep(0.05)
        continue
    try:
        for step in (0, 2):
            registry.record(claim, {i: Measurement(step, 0.5, 1.0, None, {}, 0.0)
                                    for i in range(len(claim.runs))})
        registry.beat(claim)
        for i in range(len(claim.runs)):
            registry.finish(claim, i, metrics)
    except queue.LeaseLostError:
        pass
registry.close()
"""


class Crowd:
    """Processes that drain a plan of runs."""

    def __init__(self, where: str, runs: int, lease: float) -> None:
        self.words = [sys.executable, "-W", "error", "-c", DRAIN, where, str(runs), str(lease)]
        self.members: list[subprocess.Popen[str]] = []
        self.started = 0

    def start(self, count: int) -> None:
        """Start processes at the same moment."""
        new = []
        for _ in range(count):
            self.started += 1
            new.append(
                subprocess.Popen(
                    [*self.words, f"worker {self.started}"],
                    stdin=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        for child in new:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        self.members += new

    def end(self, seconds: float) -> None:
        """Wait until all have ended in order."""
        for child in self.members:
            _, errors = child.communicate(timeout=seconds)
            assert (child.returncode, errors) == (0, "")


@pytest.fixture
def crowd(where: str) -> Iterator[Callable[[int, float], Crowd]]:
    """Make a crowd at a registry that does not exist yet."""
    made: list[Crowd] = []

    def make(runs: int, lease: float = 30.0) -> Crowd:
        made.append(Crowd(where, runs, lease))
        return made[-1]

    yield make
    for one in made:
        for child in one.members:
            child.kill()
            child.communicate()


def outcomes_of(registry: Registry) -> Counter[tuple[str | None, ...]]:
    """Count how the attempts of each run ended."""
    return Counter(
        tuple(attempt.outcome for attempt in registry.attempts(run.id)) for run in registry.runs()
    )


def test_a_crowd_at_a_registry_that_is_not_there_yet_drains_it_once(
    crowd: Make, where: str, crowd_size: tuple[int, int]
) -> None:
    processes, runs = crowd_size
    workers = crowd(runs)
    workers.start(processes)
    workers.end(300)
    registry = Registry(where)
    assert outcomes_of(registry) == {("finished",): runs}
    for run in registry.runs()[::20]:
        assert [m.step for m in registry.measurements(run.id, 1)] == [0, 2]
    registry.close()


def test_a_crowd_whose_members_are_killed_at_any_moment_finishes_all(
    crowd: Make, where: str, crowd_size: tuple[int, int]
) -> None:
    processes, runs = crowd_size
    workers = crowd(runs, 2.0)
    workers.start(processes)
    chance = random.Random(0)
    time.sleep(0.7)
    for _ in range(processes):
        time.sleep(chance.uniform(0.0, 0.4))
        victim = chance.choice(workers.members)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        workers.members.remove(victim)
        workers.start(1)
    workers.end(300)
    registry = Registry(where)
    assert {run.status for run in registry.runs()} == {"finished"}
    assert len(registry.runs()) == runs
    for outcomes in outcomes_of(registry):
        assert outcomes[-1] == "finished"
        assert set(outcomes[:-1]) <= {"lost"}
    registry.close()


@pytest.fixture(
    params=[(4, 120), pytest.param((8, 400), marks=pytest.mark.soak)], ids=["some", "many"]
)
def crowd_size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many processes, and how many runs."""
    size: tuple[int, int] = request.param
    return size
