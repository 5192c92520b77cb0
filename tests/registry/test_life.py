"""The life of runs, driven at random and held against a model of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.orm import Session

from dfgctl.errors import InputError, LeaseLostError
from dfgctl.records import Claim, PlannedRun
from dfgctl.registry import Registry
from dfgctl.registry.database import LEASE
from dfgctl.registry.queue import MAX_LOSSES

Make = Callable[..., Any]
RUNS = 3


class Clocked(Registry):
    """A registry whose clock can be put forward."""

    ahead = timedelta(0)

    def _now(self, session: Session) -> datetime:
        return super()._now(session) + self.ahead


@dataclass
class Fate:
    """What the model knows of a run."""

    group: int
    status: str = "queued"
    outcomes: list[str | None] = field(default_factory=list)
    order: int = 0
    step: int = 0
    limit: int | None = None
    losses: int = 0
    pack: int = 0
    """Of its newest attempt."""
    holder: int | None = None
    until: timedelta = timedelta(0)
    result: int | None = None
    """The attempt that its result is of."""
    points: dict[int, set[int]] = field(default_factory=dict)
    """Steps of the evaluations of each attempt."""

    def fits(self, other: "Fate") -> bool:
        """Say whether both may share a pack."""
        return (self.group, self.step, self.limit) == (other.group, other.step, other.limit)

    def end(self, outcome: str, status: str) -> None:
        """End its attempt."""
        self.outcomes[-1] = outcome
        self.status, self.holder = status, None


class Life(RuleBasedStateMachine):
    """Workers and users at one registry."""

    claims = Bundle("claims")
    some = st.sets(st.integers(0, RUNS - 1), min_size=1)

    def __init__(
        self, registry: Clocked, planned: list[PlannedRun], metrics: Make, measured: Make
    ) -> None:
        super().__init__()
        self.registry, self.planned = registry, planned
        self.metrics, self.measured = metrics, measured
        self.place = {run.id: i for i, run in enumerate(planned)}
        self.fates: dict[int, Fate] = {}
        self.made: list[Claim] = []
        self.queued_so_far = 0
        self.time = timedelta(0)

    def _next(self) -> int:
        self.queued_so_far += 1
        return self.queued_so_far

    def _held(self, number: int) -> list[int]:
        """The runs that a claim still holds, by its order."""
        runs = [self.place[run.id] for run in self.made[number].runs]
        return [r for r in runs if r in self.fates and self.fates[r].holder == number]

    @contextmanager
    def _refused_unless(self, allowed: bool) -> Iterator[None]:
        if allowed:
            yield
            return
        with pytest.raises(LeaseLostError):
            yield

    @initialize()
    def begin(self) -> None:
        self.enqueue(runs=set(range(RUNS)), force=False)

    # Users

    @rule(runs=some, force=st.booleans())
    def enqueue(self, runs: set[int], force: bool) -> None:
        self.registry.enqueue([self.planned[r] for r in sorted(runs)], force)
        for r in sorted(runs):
            fate = self.fates.get(r)
            if fate is None:
                self.fates[r] = Fate(group=r // 2, order=self._next())
                continue
            ended = fate.status == "finished" or (
                fate.status == "failed" and fate.outcomes[-1:] == ["diverged"]
            )
            if fate.status in ("finished", "failed", "cancelled") and (force or not ended):
                fate.status, fate.order, fate.limit, fate.losses = "queued", self._next(), None, 0
                if ended:
                    fate.step = 0

    @rule(runs=some)
    def cancel(self, runs: set[int]) -> None:
        cancelled = self.registry.cancel([self.planned[r].id for r in runs])
        expected = set()
        for r in runs & self.fates.keys():
            fate = self.fates[r]
            if fate.status == "running":
                fate.end("cancelled", "cancelled")
                expected.add(r)
            elif fate.status == "queued":
                fate.status = "cancelled"
                expected.add(r)
        assert {self.place[i] for i in cancelled} == expected

    @rule(runs=some)
    def retry(self, runs: set[int]) -> None:
        again = self.registry.retry([self.planned[r].id for r in runs])
        expected = [
            r for r in runs & self.fates.keys() if self.fates[r].status in ("failed", "cancelled")
        ]
        assert {self.place[i] for i in again} == set(expected)
        for run_id in again:
            fate = self.fates[self.place[run_id]]
            fate.status, fate.order, fate.limit, fate.losses = "queued", self._next(), None, 0
            if fate.outcomes[-1:] == ["diverged"]:
                fate.step = 0

    @rule(runs=some)
    def remove(self, runs: set[int]) -> None:
        known = runs & self.fates.keys()
        ids = [self.planned[r].id for r in known]
        if any(self.fates[r].status == "running" for r in known):
            with pytest.raises(InputError):
                self.registry.remove(ids)
            return
        self.registry.remove(ids)
        for r in known:
            del self.fates[r]

    # Time

    @rule(seconds=st.sampled_from([5, 20, 31]))
    def wait(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)
        self.registry.ahead = self.time

    @rule()
    def sleep_long(self) -> None:
        self.wait(seconds=31)
        self.expire()

    @rule()
    def expire(self) -> None:
        late = [
            fate
            for fate in self.fates.values()
            if fate.status == "running" and fate.until < self.time
        ]
        assert self.registry.expire() == len(late)
        for fate in late:
            self._lose(fate)

    @staticmethod
    def _lose(fate: Fate) -> None:
        fate.losses += 1
        fate.end("lost", "queued" if fate.losses < MAX_LOSSES else "failed")
        if 1 < fate.losses < MAX_LOSSES:
            fate.limit = max(1, fate.pack // 2)

    # Workers

    @rule(target=claims, pack=st.integers(1, 3))
    def claim_any(self, pack: int) -> Any:
        return self._claim(pack, None)

    @rule(target=claims, pack=st.integers(1, 3), only=some)
    def claim(self, pack: int, only: set[int]) -> Any:
        return self._claim(pack, only)

    def _claim(self, pack: int, only: set[int] | None) -> Any:
        wanted = set(self.fates) if only is None else only & self.fates.keys()
        plan = None
        if only is not None:
            plan = self.registry.keep_plan([self.planned[r].id for r in sorted(wanted)])
        taken = self.registry.claim(plan, pack, f"worker {len(self.made)}", "CPU", {"a": 1})
        ready = sorted(
            (r for r in wanted if self.fates[r].status == "queued"),
            key=lambda r: self.fates[r].order,
        )
        if not ready:
            assert taken is None
            return multiple()
        assert taken is not None
        first = self.fates[ready[0]]
        chosen = [r for r in ready if self.fates[r].fits(first)][: min(pack, first.limit or pack)]
        assert [self.place[run.id] for run in taken.runs] == chosen
        assert taken.step == first.step
        number = len(self.made)
        self.made.append(taken)
        for i, r in enumerate(chosen):
            fate = self.fates[r]
            fate.status, fate.holder, fate.until = "running", number, self.time + LEASE
            fate.outcomes.append(None)
            fate.pack = len(chosen)
            assert taken.attempts[i] == len(fate.outcomes)
            fate.points[taken.attempts[i]] = set()
        return number

    @rule(number=claims)
    def beat(self, number: int) -> None:
        held = self._held(number)
        with self._refused_unless(bool(held)):
            left = self.registry.beat(self.made[number])
            assert {self.place[self.made[number].runs[i].id] for i in left} == set(held)
        for r in held:
            self.fates[r].until = self.time + LEASE

    @rule(number=claims, step=st.integers(0, 3))
    def record(self, number: int, step: int) -> None:
        claim, held = self.made[number], self._held(number)
        places = [i for i, run in enumerate(claim.runs) if self.place[run.id] in held]
        every = range(len(claim.runs))
        with self._refused_unless(bool(held)):
            self.registry.record(claim, {i: self.measured(step) for i in every})
        for i in places:
            fate = self.fates[self.place[claim.runs[i].id]]
            fate.points[claim.attempts[i]].add(step)

    @rule(number=claims, step=st.integers(1, 3))
    def checkpoint(self, number: int, step: int) -> None:
        held = self._held(number)
        with self._refused_unless(bool(held)):
            self.registry.checkpointed(self.made[number], step)
        for r in held:
            self.fates[r].step, self.fates[r].losses = step, 0

    @rule(number=claims, which=st.integers(0, 3))
    def finish(self, number: int, which: int) -> None:
        claim = self.made[number]
        i = which % len(claim.runs)
        r = self.place[claim.runs[i].id]
        again = self._did(number, i, "finished")
        with self._refused_unless(r in self._held(number) or again):
            self.registry.finish(claim, i, self.metrics(claim.attempts[i] / 10))
        if r in self._held(number):
            fate = self.fates[r]
            fate.end("finished", "finished")
            fate.result, fate.step, fate.losses = claim.attempts[i], 0, 0

    @rule(number=claims, which=st.integers(0, 3), outcome=st.sampled_from(["failed", "diverged"]))
    def fail(self, number: int, which: int, outcome: str) -> None:
        claim = self.made[number]
        i = which % len(claim.runs)
        r = self.place[claim.runs[i].id]
        again = self._did(number, i, outcome)
        with self._refused_unless(r in self._held(number) or again):
            self.registry.fail(claim, i, outcome, "boom")
        if r in self._held(number):
            self.fates[r].end(outcome, "failed")

    def _did(self, number: int, i: int, outcome: str) -> bool:
        """Whether a claim's attempt ended so before: saying it again is no error."""
        claim = self.made[number]
        fate = self.fates.get(self.place[claim.runs[i].id])
        attempt = claim.attempts[i]
        if fate is None or len(fate.outcomes) < attempt:
            return False
        # A run that was removed and put in again has other attempts of these numbers.
        worker = self.registry.attempts(claim.runs[i].id)[attempt - 1].worker
        return fate.outcomes[attempt - 1] == outcome and worker == f"worker {number}"

    @rule(number=claims)
    def run_out_of_memory(self, number: int) -> None:
        claim, held = self.made[number], self._held(number)
        self.registry.out_of_memory(claim, "too large")
        for r in held:
            self.fates[r].end("out-of-memory", "queued" if len(claim.runs) > 1 else "failed")

    @rule(number=claims)
    def release(self, number: int) -> None:
        held = self._held(number)
        assert self.registry.release(self.made[number], "preempted") == len(held)
        for r in held:
            self.fates[r].end("preempted", "queued")

    @rule(number=claims)
    def die(self, number: int) -> None:
        held = self._held(number)
        assert self.registry.lose(f"worker {number}", "killed") == len(held)
        for r in held:
            self._lose(self.fates[r])

    # What must always hold

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        runs = {self.place[run.id]: run for run in self.registry.runs()}
        assert runs.keys() == self.fates.keys()
        for r, run in runs.items():
            fate = self.fates[r]
            assert (run.status, run.attempts, run.checkpoint_step) == (
                fate.status,
                len(fate.outcomes),
                fate.step,
            )
            assert run.result_attempt == fate.result
            if fate.result is not None:
                assert run.metrics is not None
                assert run.metrics.accuracy_last == fate.result / 10
        counts = self.registry.counts()
        for status in ("queued", "running", "finished", "failed", "cancelled"):
            assert counts[status] == sum(f.status == status for f in self.fates.values())

    @precondition(lambda self: self.fates)
    @rule(data=st.data())
    def attempts_are_all_kept(self, data: st.DataObject) -> None:
        r = data.draw(st.sampled_from(sorted(self.fates)))
        fate, run_id = self.fates[r], self.planned[r].id
        assert [a.outcome for a in self.registry.attempts(run_id)] == fate.outcomes
        for attempt, steps in fate.points.items():
            points = self.registry.measurements(run_id, attempt)
            assert [m.step for m in points] == sorted(steps)


def test_whatever_workers_and_users_do_the_registry_is_as_the_model_says(
    empty_registry: Callable[[type[Registry]], Any],
    planned: Make,
    metrics: Make,
    measured: Make,
) -> None:
    runs = [planned(seed=i, method=("finetune", "original")[i // 2]) for i in range(RUNS)]
    opened: list[Clocked] = []

    def life() -> Life:
        if not opened:
            opened.append(empty_registry(Clocked))
        registry = opened[0]
        registry.ahead = timedelta(0)
        registry.cancel([run.id for run in runs])
        registry.remove([run.id for run in runs])
        return Life(registry, runs, metrics, measured)

    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=30,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
