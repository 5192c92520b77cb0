"""The registry as the queue: who gets what, who may write, and what becomes of late runs."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.errors import LeaseLostError
from dfgctl.records import Claim, PlannedRun, Run
from dfgctl.registry import Registry
from dfgctl.registry.queue import MAX_ATTEMPTS

Make = Callable[..., Any]
LATE = "UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE status = 'running'"


def claim(registry: Registry, runs: list[PlannedRun], pack: int = 1) -> Claim | None:
    return registry.claim([r.id for r in runs], pack, "host:1", "CPU", {"commit": "abc"})


def claimed(registry: Registry, runs: list[PlannedRun], pack: int = 1) -> Claim:
    taken = claim(registry, runs, pack)
    assert taken is not None
    return taken


def seen(registry: Registry, run: PlannedRun) -> Run:
    return registry.run(run.id)


# Putting in


def test_enqueuing_twice_is_enqueuing_once(registry: Registry, planned: Make) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    first = registry.runs()
    registry.enqueue(runs)
    assert registry.runs() == first
    assert [r.status for r in first] == ["queued", "queued"]


def test_a_run_that_is_twice_in_a_plan_is_stored_once(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned(0), planned(0)])
    assert len(registry.runs()) == 1


def test_a_finished_run_is_not_queued_again(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    registry.finish(claimed(registry, runs), 0, metrics())
    registry.enqueue(runs)
    assert seen(registry, runs[0]).status == "finished"
    assert claim(registry, runs) is None


def test_force_keeps_the_older_result_until_the_new_one_is_there(
    registry: Registry, planned: Make, metrics: Make, measured: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    old = claimed(registry, runs)
    registry.record(old, {0: measured(3, 0.5)})
    registry.finish(old, 0, metrics(0.5))

    registry.enqueue(runs, force=True)
    assert seen(registry, runs[0]).status == "queued"
    assert seen(registry, runs[0]).metrics == metrics(0.5)
    new = claimed(registry, runs)
    registry.record(new, {0: measured(3, 0.75)})
    run = seen(registry, runs[0])
    assert (run.status, run.metrics, run.result_attempt) == ("running", metrics(0.5), 1)

    registry.finish(new, 0, metrics(0.75))
    run = seen(registry, runs[0])
    assert (run.metrics, run.result_attempt, run.attempts) == (metrics(0.75), 2, 2)
    assert [a.outcome for a in registry.attempts(run.id)] == ["finished", "finished"]
    assert registry.measurements(run.id, 1) == [measured(3, 0.5)]
    assert registry.measurements(run.id, 2) == [measured(3, 0.75)]


def test_a_forced_attempt_that_fails_leaves_the_older_result(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    registry.finish(claimed(registry, runs), 0, metrics())
    registry.enqueue(runs, force=True)
    registry.fail(claimed(registry, runs), 0, "failed", "boom")
    run = seen(registry, runs[0])
    assert (run.status, run.outcome, run.error) == ("failed", "failed", "boom")
    assert (run.metrics, run.result_attempt) == (metrics(), 1)


@pytest.mark.parametrize("outcome", ["failed", "out-of-memory", "lost"])
def test_a_failed_run_is_queued_again(registry: Registry, planned: Make, outcome: str) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    registry.fail(claimed(registry, runs), 0, outcome, "boom")
    registry.enqueue(runs)
    assert seen(registry, runs[0]).status == "queued"


def test_a_diverged_run_is_queued_again_only_by_force(registry: Registry, planned: Make) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    registry.fail(claimed(registry, runs), 0, "diverged", "not finite")
    registry.enqueue(runs)
    assert seen(registry, runs[0]).status == "failed"
    registry.enqueue(runs, force=True)
    assert seen(registry, runs[0]).status == "queued"


def test_force_leaves_a_run_that_is_being_trained_alone(registry: Registry, planned: Make) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    held = claimed(registry, runs)
    registry.enqueue(runs, force=True)
    assert seen(registry, runs[0]).status == "running"
    registry.beat(held)


# Claiming


def test_nothing_wanted_is_queued_means_no_claim(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned(0)])
    assert claim(registry, [planned(1)]) is None
    assert claim(registry, []) is None


def test_a_claim_takes_one_group_in_the_plan_s_order_and_no_more_than_a_pack(
    registry: Registry, planned: Make
) -> None:
    tuned = [planned(s) for s in (5, 3, 9, 1)]
    other = [planned(s, method="original") for s in (2, 8)]
    registry.enqueue([*other, *reversed(tuned)])
    wanted = [tuned[0], other[0], tuned[1], other[1], tuned[2], tuned[3]]

    packs = []
    while (taken := claim(registry, wanted, pack=3)) is not None:
        packs.append([r.id for r in taken.runs])
    assert packs == [
        [tuned[0].id, tuned[1].id, tuned[2].id],
        [other[0].id, other[1].id],
        [tuned[3].id],
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "original"},
        {"steps": 4},
        {"settings": {"finetune": {"batch_size": 32, "lr": 0.002}}},
        {"ratio": "20:1"},
        {"source_identity": "6" * 64},
    ],
)
def test_runs_that_differ_in_more_than_combination_and_seed_share_no_pack(
    registry: Registry, planned: Make, change: dict[str, Any]
) -> None:
    runs = [planned(0), planned(1, **change), planned(2, combination=(1, 7))]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=3)
    assert [r.id for r in taken.runs] == [runs[0].id, runs[2].id]


def test_a_claim_starts_attempts(registry: Registry, planned: Make) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    assert taken.attempts == (1, 1)
    assert [r.status for r in taken.runs] == ["running", "running"]
    for run in runs:
        (attempt,) = registry.attempts(run.id)
        assert (attempt.number, attempt.worker, attempt.device) == (1, "host:1", "CPU")
        assert (attempt.pack_size, attempt.provenance) == (2, {"commit": "abc"})
        assert (attempt.outcome, attempt.error, attempt.ended_at) == (None, None, None)


def test_several_claimers_get_each_run_once(file: Path, planned: Make) -> None:
    runs = [planned(s) for s in range(12)]
    first = Registry(str(file))
    first.enqueue(runs)
    start, got, errors = threading.Barrier(3), [], []

    def work() -> None:
        registry = Registry(str(file))
        try:
            start.wait()
            while (taken := claim(registry, runs, pack=2)) is not None:
                got.extend(r.id for r in taken.runs)
        except Exception as error:
            errors.append(error)
        finally:
            registry.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(got) == sorted(r.id for r in runs)
    assert {r.attempts for r in first.runs()} == {1}
    first.close()


# Writing under a lease


def stale(registry: Registry, sql: Make, runs: list[PlannedRun]) -> Claim:
    """Return a claim whose runs have since been claimed by another."""
    registry.enqueue(runs)
    old = claimed(registry, runs, pack=len(runs))
    sql(LATE)
    assert registry.expire() == len(runs)
    new = claimed(registry, runs, pack=len(runs))
    assert new.token > old.token
    return old


def test_a_stale_writer_is_refused_and_writes_nothing(
    registry: Registry, sql: Make, planned: Make, metrics: Make, measured: Make
) -> None:
    runs = [planned()]
    old = stale(registry, sql, runs)
    before = seen(registry, runs[0]), registry.attempts(runs[0].id)
    lease = sql("SELECT lease_until FROM runs")
    for write in (
        lambda: registry.record(old, {0: measured(0)}),
        lambda: registry.finish(old, 0, metrics()),
        lambda: registry.fail(old, 0, "failed", "boom"),
        lambda: registry.beat(old),
    ):
        with pytest.raises(LeaseLostError):
            write()
    registry.release(old)
    assert (seen(registry, runs[0]), registry.attempts(runs[0].id)) == before
    assert sql("SELECT lease_until FROM runs") == lease
    assert registry.measurements(runs[0].id, 1) == registry.measurements(runs[0].id, 2) == []


def test_a_writer_whose_run_was_only_returned_is_refused_too(
    registry: Registry, sql: Make, planned: Make, metrics: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    old = claimed(registry, runs)
    sql(LATE)
    registry.expire()
    with pytest.raises(LeaseLostError):
        registry.finish(old, 0, metrics())
    assert seen(registry, runs[0]).metrics is None


def test_an_evaluation_of_a_pack_is_written_whole_or_not_at_all(
    registry: Registry, planned: Make, measured: Make
) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    registry.fail(taken, 1, "diverged", "not finite")
    with pytest.raises(LeaseLostError):
        registry.record(taken, {0: measured(0), 1: measured(0)})
    assert registry.measurements(runs[0].id, 1) == []


def test_a_beat_renews_the_lease_of_the_runs_that_are_left(
    registry: Registry, sql: Make, planned: Make, metrics: Make
) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    registry.finish(taken, 0, metrics())
    sql(LATE)
    registry.beat(taken)
    assert registry.expire() == 0
    registry.finish(taken, 1, metrics())
    with pytest.raises(LeaseLostError):
        registry.beat(taken)


def test_a_release_gives_back_what_has_not_ended(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    registry.finish(taken, 0, metrics())
    registry.release(taken)
    assert [seen(registry, r).status for r in runs] == ["finished", "queued"]
    assert registry.attempts(runs[1].id)[0].outcome == "interrupted"
    again = claimed(registry, runs, pack=2)
    assert [r.id for r in again.runs] == [runs[1].id]
    assert again.attempts == (2,)


# Late runs


def test_a_run_in_time_does_not_expire(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned()])
    claimed(registry, [planned()])
    assert registry.expire() == 0
    assert registry.runs()[0].status == "running"


def test_a_late_run_returns_to_the_queue_and_its_attempt_is_lost(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    claimed(registry, [planned()])
    sql(LATE)
    assert registry.expire() == 1
    assert registry.runs()[0].status == "queued"
    (attempt,) = registry.attempts(planned().id)
    assert attempt.outcome == "lost"
    assert attempt.ended_at is not None
    assert "00:00:00" in (attempt.error or "")


def test_a_run_that_is_lost_too_often_fails(registry: Registry, sql: Make, planned: Make) -> None:
    registry.enqueue([planned()])
    statuses = []
    for _ in range(MAX_ATTEMPTS):
        claimed(registry, [planned()])
        sql(LATE)
        registry.expire()
        statuses.append(registry.runs()[0].status)
    assert statuses == ["queued"] * (MAX_ATTEMPTS - 1) + ["failed"]
    assert registry.runs()[0].outcome == "lost"
    assert claim(registry, [planned()]) is None


def test_interrupted_attempts_do_not_count_as_vanished_workers(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(MAX_ATTEMPTS):
        registry.release(claimed(registry, [planned()]))
    claimed(registry, [planned()])
    sql(LATE)
    registry.expire()
    assert registry.runs()[0].status == "queued"


def test_a_failed_run_that_is_asked_for_again_gets_a_fair_chance(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(MAX_ATTEMPTS):
        registry.fail(claimed(registry, [planned()]), 0, "failed", "a full disk")
        registry.enqueue([planned()])
    claimed(registry, [planned()])
    sql(LATE)
    registry.expire()
    assert registry.runs()[0].status == "queued"
