"""A claimed pack: memory, disks, cancelled members, stops, checkpoints that do not fit."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from dfgctl.cli.planning import enqueue
from dfgctl.dispatch import packs, worker
from dfgctl.dispatch.packs import Cadence
from dfgctl.dispatch.stopping import PREEMPTED, Stop
from dfgctl.dispatch.worker import Worker
from dfgctl.errors import RegistryUnavailableError, StoppedError
from dfgctl.events import Kept, Noted, Stepped
from dfgctl.registry import Registry
from dfgctl.state import StateError
from dfgctl.training import train

Make = Callable[..., Any]
SMALL: dict[str, Any] = {"methods": ("original",), "steps": 6, "eval_every": 2}


def work(registry: Registry, plan: Any, place: Any, observer: Any, **how: Any) -> list[str]:
    queued = enqueue(registry, plan, force=False, weights=None)
    Worker(registry, place, observer, queued, **how).work()
    statuses = registry.statuses(r.id for r in plan.runs)
    return [statuses[r.id] for r in plan.runs]


def outcomes(registry: Registry, plan: Any) -> list[list[str | None]]:
    return [[a.outcome for a in registry.attempts(run.id)] for run in plan.runs]


def test_a_pack_that_does_not_fit_is_made_smaller_until_it_does(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def training(specs: Any, *rest: Any, **named: Any) -> Iterator[Any]:
        for event in train(specs, *rest, **named):
            yield event
            if isinstance(event, Stepped) and len(specs) > 2:
                raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(packs, "train", training)
    plan = make_plan(repeats=5, **SMALL)
    assert work(registry, plan, place(pack=5), recorder) == ["finished"] * 5
    assert [len(claim.runs) for claim, _ in recorder.of("pack_started")] == [5, 3, 2, 2, 1]
    twice = ["out-of-memory", "out-of-memory", "finished"]
    assert outcomes(registry, plan) == [twice] * 3 + [["out-of-memory", "finished"]] * 2
    assert all("in smaller packs" in why for _, why in recorder.of("pack_returned"))

    more = make_plan(repeats=10, **SMALL)  # what was learnt holds for runs queued later
    later = type(recorder)()
    assert work(registry, more, place(pack=5), later) == ["finished"] * 10
    assert [len(claim.runs) for claim, _ in later.of("pack_started")] == [2, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("too large"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: too large"),
    ],
)
def test_memory_of_the_machine_may_run_out_too(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any, error: Any
) -> None:
    def training(specs: Any, *rest: Any, **named: Any) -> Iterator[Any]:
        if len(specs) > 1:
            raise error
        yield from train(specs, *rest, **named)

    monkeypatch.setattr(packs, "train", training)
    plan = make_plan(repeats=2, **SMALL)
    assert work(registry, plan, place(pack=2), recorder) == ["finished"] * 2
    assert outcomes(registry, plan) == [["out-of-memory", "finished"]] * 2


def test_a_member_that_is_cancelled_leaves_and_the_others_go_on(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    plan = make_plan(repeats=3, **SMALL)
    middle = plan.runs[1].id

    def stepped(step: int) -> None:
        if step == 3:
            registry.cancel([middle])

    recorder.stepped = stepped
    assert work(registry, plan, place(pack=3), recorder) == ["finished", "cancelled", "finished"]
    assert outcomes(registry, plan) == [["finished"], ["cancelled"], ["finished"]]
    assert [m.step for m in registry.measurements(middle, 1)] == [0, 2]
    assert not (registry.folder / "checkpoints" / middle).exists()


def test_a_worker_notices_at_a_beat_that_all_of_its_pack_was_cancelled(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("dfgctl.dispatch.lease.BEAT_SECONDS", 0.01)
    plan = make_plan(repeats=1, **{**SMALL, "steps": 100_000})
    cancelled = []

    def stepped(step: int) -> None:
        if step >= 3 and not cancelled:
            cancelled.extend(registry.cancel([plan.runs[0].id]))

    recorder.stepped = stepped
    assert work(registry, plan, place(), recorder) == ["cancelled"]
    assert outcomes(registry, plan) == [["cancelled"]]


@pytest.mark.parametrize("reason", ["interrupted", PREEMPTED])
def test_a_stop_keeps_checkpoints_and_says_why(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, reason: str
) -> None:
    stop = Stop()
    recorder.stepped = lambda step: stop.request(reason) if step == 3 else None
    plan = make_plan(repeats=3, **SMALL)
    with pytest.raises(StoppedError) as stopped:
        work(registry, plan, place(pack=2), recorder, stop=stop)
    assert stopped.value.reason == reason
    assert outcomes(registry, plan) == [[reason], [reason], []]
    runs = [registry.run(r.id) for r in plan.runs]
    assert [r.status for r in runs] == ["queued"] * 3
    assert [r.checkpoint_step for r in runs] == [3, 3, 0]

    again = type(recorder)()
    assert work(registry, plan, place(pack=2), again) == ["finished"] * 3
    assert [step for _, step in again.of("pack_started")] == [3, 0]
    points = [m.step for m in registry.measurements(plan.runs[0].id, 2)]
    assert points == [0, 2, 4, 6]
    assert not list((registry.folder / "checkpoints").rglob("*.safetensors"))


def test_a_method_without_checkpoints_stops_all_the_same(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def training(*values: Any, **named: Any) -> Iterator[Any]:
        return (event for event in train(*values, **named) if not isinstance(event, Kept))

    def closable(*values: Any, **named: Any) -> Iterator[Any]:
        yield from training(*values, **named)

    monkeypatch.setattr(packs, "train", closable)
    stop = Stop()
    recorder.stepped = lambda step: stop.request("interrupted") if step == 3 else None
    plan = make_plan(repeats=1, **SMALL)
    with pytest.raises(StoppedError):
        work(registry, plan, place(), recorder, stop=stop)
    assert registry.run(plan.runs[0].id).checkpoint_step == 0
    assert outcomes(registry, plan) == [["interrupted"]]


def test_checkpoints_that_do_not_fit_the_code_cost_time_but_no_run(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    stop = Stop()
    recorder.stepped = lambda step: stop.request("interrupted") if step == 3 else None
    plan = make_plan(repeats=1, **SMALL)
    with pytest.raises(StoppedError):
        work(registry, plan, place(), recorder, stop=stop)

    def training(*values: Any, resume: Any, **named: Any) -> Iterator[Any]:
        if resume is not None:
            raise StateError("of another kind")
        yield from train(*values, resume=None, **named)

    monkeypatch.setattr(packs, "train", training)
    again = type(recorder)()
    assert work(registry, plan, place(), again) == ["finished"]
    assert "of another kind" in again.of("trouble")[0][0]
    attempt = registry.attempts(plan.runs[0].id)[1]
    assert (attempt.outcome, attempt.resumed_step) == ("finished", 0)
    assert [m.step for m in registry.measurements(plan.runs[0].id, 2)] == [0, 2, 4, 6]


def test_a_disk_that_is_full_costs_a_checkpoint_and_is_waited_for_at_the_end(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def no_room(*_: Any) -> None:
        raise full

    write, failures = packs.write, [full, full]

    def later(*values: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        write(*values, **named)

    monkeypatch.setattr(packs.Checkpoints, "write", no_room)
    monkeypatch.setattr(packs, "write", later)
    monkeypatch.setattr(packs, "DISK_PAUSE", 0.0)
    plan = make_plan(repeats=1, **SMALL)
    assert work(registry, plan, place(checkpoint_every=3), recorder) == ["finished"]
    said = [text for (text,) in recorder.of("trouble")]
    assert said == [
        "No checkpoint at step 3: No space left on device.",
        *[f"{registry.folder / 'weights'}: No space left on device."] * 2,
    ]
    assert registry.run(plan.runs[0].id).checkpoint_step == 0


def test_a_disk_that_stays_full_fails_the_run_and_its_checkpoint_serves_later(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = make_plan(repeats=1, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "PATIENCE", 0.0)
        patch.setattr(packs, "write", full)
        assert work(registry, plan, place(checkpoint_every=4), recorder) == ["failed"]
    run = registry.run(plan.runs[0].id)
    assert "No space left on device" in (run.error or "")
    assert run.checkpoint_step == 4
    assert work(registry, plan, place(), recorder) == ["finished"]
    assert registry.attempts(run.id)[1].resumed_step == 4


def test_a_registry_that_is_away_for_a_while_loses_no_evaluation(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("dfgctl.registry.database.FIRST_PAUSE", 0.0)
    writing, tries = registry._writing, iter(range(10_000))

    def now_and_then(*values: Any) -> Any:
        if next(tries) % 3 == 1:
            raise RegistryUnavailableError("away")
        return writing(*values)

    monkeypatch.setattr(registry, "_writing", now_and_then)
    plan = make_plan(repeats=2, **SMALL)
    queued = enqueue_patiently(registry, plan)
    Worker(registry, place(pack=2, checkpoint_every=2), recorder, queued).work()
    assert registry.counts(queued) == {"finished": 2}
    for run in plan.runs:
        assert [m.step for m in registry.measurements(run.id, 1)] == [0, 2, 4, 6]
    assert {str(error) for (error,) in recorder.of("trouble")} == {"away"}


def enqueue_patiently(registry: Registry, plan: Any) -> str:
    while True:
        try:
            return enqueue(registry, plan, force=False, weights=None)
        except RegistryUnavailableError:
            continue


def test_a_registry_that_stays_away_ends_the_worker(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    plan = make_plan(repeats=1, **SMALL)
    queued = enqueue(registry, plan, force=False, weights=None)

    def away(*_: Any) -> Any:
        raise RegistryUnavailableError("away")

    def stepped(step: int) -> None:
        monkeypatch.setattr(registry, "_writing", away)

    recorder.stepped = stepped
    with pytest.raises(RegistryUnavailableError):
        Worker(registry, place(), recorder, queued).work()
    monkeypatch.undo()
    assert registry.counts(queued) == {"running": 1}  # until its lease ends
    assert [m.step for m in registry.measurements(plan.runs[0].id, 1)] == [0]


def test_checkpoints_are_due_at_their_steps_or_when_they_cost_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [step for step in range(1, 13) if Cadence(5).due(step)] == [5, 10]
    assert not any(Cadence(0).due(step) for step in range(1, 100))
    now = [0.0]
    monkeypatch.setattr(packs.time, "monotonic", lambda: now[0])
    cadence = Cadence(None)
    now[0] = packs.SHORTEST
    assert not cadence.due(1)
    now[0] += 1
    assert cadence.due(2)
    with cadence.writing():
        now[0] += 2.0  # of which half a per cent is 400 seconds
    now[0] += 399
    assert not cadence.due(3)
    now[0] += 2
    assert cadence.due(4)


def test_what_a_training_notes_is_told_and_harms_nothing(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def training(*args: Any, **named: Any) -> Iterator[Any]:
        for event in train(*args, **named):
            if event == Stepped(2):
                yield Noted("Steps take longer.")
            yield event

    monkeypatch.setattr(packs, "train", training)
    plan = make_plan(repeats=1, **SMALL)
    assert work(registry, plan, place(), recorder) == ["finished"]
    assert recorder.of("trouble") == [("Steps take longer.",)]
