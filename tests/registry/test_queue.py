"""The registry as the queue: who gets what, who may write, and what becomes of late runs."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dfgctl.errors import InputError, LeaseLostError, RegistryUnavailableError
from dfgctl.records import PRECISIONS, Claim, PlannedRun, Run
from dfgctl.registry import Registry, database
from dfgctl.registry.queue import MAX_LOSSES

Make = Callable[..., Any]
LATE = "UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE status = 'running'"


def claim(registry: Registry, runs: list[PlannedRun], pack: int = 1) -> Claim | None:
    plan = registry.keep_plan([r.id for r in runs if r.id in registry.statuses([r.id])])
    return registry.claim(plan, pack, "host:1", "CPU", {"commit": "abc"})


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


def test_a_claim_takes_one_group_in_the_queue_s_order_and_no_more_than_a_pack(
    registry: Registry, planned: Make
) -> None:
    tuned = [planned(s) for s in (5, 3, 9, 1)]
    other = [planned(s, method="original") for s in (2, 8)]
    wanted = [tuned[0], other[0], tuned[1], other[1], tuned[2], tuned[3]]
    registry.enqueue([planned(7)])  # of another plan
    registry.enqueue(wanted)

    packs = []
    while (taken := claim(registry, wanted, pack=3)) is not None:
        packs.append([r.id for r in taken.runs])
    assert packs == [
        [tuned[0].id, tuned[1].id, tuned[2].id],
        [other[0].id, other[1].id],
        [tuned[3].id],
    ]
    assert seen(registry, planned(7)).status == "queued"


def test_without_a_plan_any_queued_run_is_claimed(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned(0)])
    registry.enqueue([planned(1)])
    claims = [registry.claim(None, 1, "host:1", "CPU", {}) for _ in range(3)]
    assert [c and c.runs[0].id for c in claims] == [planned(0).id, planned(1).id, None]


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


def test_a_pack_s_size_may_depend_on_the_group_and_other_groups_stay(
    registry: Registry, planned: Make
) -> None:
    first, second = ([planned(s, method=m) for s in range(3)] for m in ("original", "finetune"))
    plan = registry.enqueue([*first, *second])
    sizes = {second[0].spec.group(): 2}
    taken = registry.claim(plan, sizes, "host:1", "CPU", {})
    assert taken is not None
    assert [r.id for r in taken.runs] == [r.id for r in second[:2]]
    assert registry.claim(plan, {"0" * 64: 2}, "host:1", "CPU", {}) is None
    assert registry.claim(plan, {}, "host:1", "CPU", {}) is None


def test_the_first_queued_run_is_looked_at_with_how_many_may_share_its_pack(
    registry: Registry, planned: Make
) -> None:
    assert registry.next_queued(None) is None
    runs = [planned(0, method="original"), *(planned(s) for s in range(4))]
    plan, other = registry.enqueue(runs), registry.enqueue([planned(9)])
    claimed(registry, runs[:1])
    checkpointed = claimed(registry, runs[1:2])
    registry.checkpointed(checkpointed, 2)
    registry.release(checkpointed)
    for of, expected in ((plan, (runs[1].id, 1)), (other, (planned(9).id, 1))):
        found = registry.next_queued(of)
        assert found is not None
        assert (found[0].id, found[1]) == expected
    registry.cancel([runs[1].id])
    found = registry.next_queued(plan)
    assert found is not None
    assert (found[0].id, found[0].status, found[1]) == (runs[2].id, "queued", 3)
    assert registry.next_queued(plan) == found  # it is left there
    everything = registry.next_queued(None)
    assert everything is not None
    assert everything[1] == 4


def test_runs_that_were_lost_twice_are_counted_as_far_as_their_halves_go(
    registry: Registry, planned: Make
) -> None:
    plan = registry.enqueue([planned(s) for s in range(4)])
    for _ in range(2):
        assert registry.claim(plan, 4, "host:1", "CPU", {}) is not None
        registry.lose("host:1", "gone")
    found = registry.next_queued(plan)
    assert found is not None
    assert found[1] == 2


def test_several_claimers_get_each_run_once(where: str, planned: Make) -> None:
    runs = [planned(s) for s in range(12)]
    first = Registry(where)
    first.enqueue(runs)
    start, got, errors = threading.Barrier(3), [], []

    def work() -> None:
        registry = Registry(where)
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


def test_an_evaluation_is_stored_for_those_of_a_pack_that_are_still_held(
    registry: Registry, planned: Make, measured: Make
) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    assert registry.cancel([runs[1].id]) == [runs[1].id]
    registry.record(taken, {0: measured(0), 1: measured(0)})
    assert registry.measurements(runs[0].id, 1) == [measured(0)]
    assert registry.measurements(runs[1].id, 1) == []
    registry.record(taken, {0: measured(0)})  # said again: the answer was lost on the way
    assert registry.measurements(runs[0].id, 1) == [measured(0)]


def test_a_claim_of_a_run_that_was_removed_does_not_fit_one_put_in_anew(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    old = claimed(registry, runs)
    registry.cancel([runs[0].id])
    registry.remove([runs[0].id])
    registry.enqueue(runs)
    claimed(registry, runs)
    for write in (
        lambda: registry.finish(old, 0, metrics()),
        lambda: registry.beat(old),
        lambda: registry.checkpointed(old, 3),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert registry.release(old) == 0


def test_a_run_that_was_removed_is_claimed_again_by_the_same_plan(
    registry: Registry, planned: Make
) -> None:
    runs = [planned(0), planned(1)]
    plan = registry.enqueue(runs)
    registry.remove([runs[0].id])
    assert registry.enqueue(runs) == plan
    assert registry.counts(plan) == {"queued": 2}


# Checkpoints


def test_only_runs_at_the_same_step_share_a_pack(registry: Registry, planned: Make) -> None:
    runs = [planned(s) for s in range(3)]
    plan = registry.enqueue(runs)
    first = registry.claim(plan, 2, "host:1", "CPU", {})
    assert first is not None
    registry.checkpointed(first, 2)
    registry.release(first)
    packs = [registry.claim(plan, 3, "host:1", "CPU", {}) for _ in range(2)]
    assert [[r.spec.seed for r in p.runs] for p in packs if p] == [[0, 1], [2]]
    assert [p.step for p in packs if p] == [2, 0]


def test_a_resumed_attempt_has_the_evaluations_up_to_its_checkpoint(
    registry: Registry, planned: Make, metrics: Make, measured: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    first = claimed(registry, runs)
    for step in (0, 2, 4):
        registry.record(first, {0: measured(step, step / 10)})
    registry.checkpointed(first, 2)
    registry.release(first)
    second = claimed(registry, runs)
    assert second.step == 2
    for _ in range(2):  # said twice: the answer was lost on the way
        registry.resumed(second, 2, [1])
    registry.record(second, {0: measured(4, 0.5)})
    registry.finish(second, 0, metrics())
    run_id = runs[0].id
    assert registry.measurements(run_id, 1) == [measured(s, s / 10) for s in (0, 2, 4)]
    points = [measured(0, 0.0), measured(2, 0.2), measured(4, 0.5)]
    assert registry.measurements(run_id, 2) == points
    assert [a.resumed_step for a in registry.attempts(run_id)] == [0, 2]
    assert seen(registry, runs[0]).checkpoint_step == 0


def test_a_run_whose_checkpoints_are_gone_starts_anew(registry: Registry, planned: Make) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    first = claimed(registry, runs)
    registry.checkpointed(first, 2)
    registry.release(first)
    registry.resumed(claimed(registry, runs), 0, [])
    assert seen(registry, runs[0]).checkpoint_step == 0


def test_force_starts_anew_and_a_failed_run_goes_on(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned()]
    registry.enqueue(runs)
    taken = claimed(registry, runs)
    registry.checkpointed(taken, 2)
    registry.fail(taken, 0, "failed", "boom")
    registry.enqueue(runs)
    taken = claimed(registry, runs)
    assert taken.step == 2
    registry.fail(taken, 0, "diverged", "not finite")
    registry.enqueue(runs, force=True)
    assert claimed(registry, runs).step == 0


# Memory


def test_a_pack_that_does_not_fit_goes_back_and_no_run_of_it_is_bound_to_a_size(
    registry: Registry, planned: Make
) -> None:
    runs = [planned(s) for s in range(7)]
    plan = registry.enqueue(runs)
    sizes = []
    for pack in (5, 2, 7):  # the last one on a larger device, say
        taken = registry.claim(plan, pack, "host:1", "CPU", {})
        assert taken is not None
        sizes.append(len(taken.runs))
        registry.out_of_memory(taken, "too large")
    assert sizes == [5, 2, 7]
    outcomes = [a.outcome for a in registry.attempts(runs[0].id)]
    assert outcomes == ["out-of-memory"] * 3
    assert {r.status for r in registry.runs()} == {"queued"}


def test_a_run_that_does_not_fit_alone_has_failed(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned()])
    registry.out_of_memory(claimed(registry, [planned()]), "too large")
    run = seen(registry, planned())
    assert (run.status, run.outcome, run.error) == ("failed", "out-of-memory", "too large")


# Users


def test_cancelling_takes_runs_from_the_queue_and_from_their_worker(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned(s) for s in range(3)]
    plan = registry.enqueue(runs)
    taken = registry.claim(plan, 2, "host:1", "CPU", {})
    assert taken is not None
    assert set(registry.cancel([runs[1].id, runs[2].id])) == {runs[1].id, runs[2].id}
    assert [seen(registry, r).status for r in runs] == ["running", "cancelled", "cancelled"]
    assert registry.beat(taken) == {0}
    with pytest.raises(LeaseLostError):
        registry.finish(taken, 1, metrics())
    assert seen(registry, runs[1]).outcome == "cancelled"
    registry.finish(taken, 0, metrics())
    assert registry.cancel([r.id for r in runs]) == []
    assert set(registry.retry([r.id for r in runs])) == {runs[1].id, runs[2].id}
    assert [seen(registry, r).status for r in runs] == ["finished", "queued", "queued"]


def test_a_run_that_is_being_trained_cannot_be_removed(registry: Registry, planned: Make) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    claimed(registry, runs[:1])
    with pytest.raises(InputError, match="cancel it first"):
        registry.remove([r.id for r in runs])
    assert len(registry.runs()) == 2


def test_a_dead_worker_s_runs_come_back_at_once(registry: Registry, planned: Make) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    claimed(registry, runs, pack=2)
    assert registry.lose("another", "gone") == 0
    assert registry.lose("host:1", "Its worker died: SIGKILL.") == 2
    assert {r.status for r in registry.runs()} == {"queued"}
    assert seen(registry, runs[0]).error == "Its worker died: SIGKILL."


def test_a_checkpoint_is_progress_so_a_run_may_be_lost_again(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(2 * MAX_LOSSES):
        taken = claimed(registry, [planned()])
        registry.checkpointed(taken, 2)
        sql(LATE)
        registry.expire()
    assert seen(registry, planned()).status == "queued"


def test_a_lease_that_a_wrong_clock_wrote_ends(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    claimed(registry, [planned()])
    sql("UPDATE runs SET lease_until = '2999-01-01 00:00:00.000000' WHERE status = 'running'")
    assert registry.expire() == 1


# Patience


def test_a_registry_that_is_away_for_a_while_is_waited_for(
    registry: Registry, planned: Make, metrics: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.enqueue([planned()])
    taken = claimed(registry, [planned()])
    failures, told = [RegistryUnavailableError("away")] * 3, []
    held = registry._held

    def away(*values: Any) -> Any:
        if failures:
            raise failures.pop()
        return held(*values)

    monkeypatch.setattr(registry, "_held", away)
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    with pytest.raises(RegistryUnavailableError):
        registry.finish(taken, 0, metrics())
    registry.patience, registry.on_trouble = 60.0, told.append
    registry.finish(taken, 0, metrics())
    assert (len(told), seen(registry, planned()).status) == (2, "finished")


def test_an_end_that_is_said_twice_is_said_once(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [planned(0), planned(1)]
    registry.enqueue(runs)
    taken = claimed(registry, runs, pack=2)
    for _ in range(2):
        registry.finish(taken, 0, metrics())
        registry.fail(taken, 1, "failed", "boom")
    assert [seen(registry, r).status for r in runs] == ["finished", "failed"]
    with pytest.raises(LeaseLostError):
        registry.fail(taken, 0, "failed", "boom")


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
    for _ in range(MAX_LOSSES):
        claimed(registry, [planned()])
        sql(LATE)
        registry.expire()
        statuses.append(registry.runs()[0].status)
    assert statuses == ["queued"] * (MAX_LOSSES - 1) + ["failed"]
    assert registry.runs()[0].outcome == "lost"
    assert claim(registry, [planned()]) is None


def test_interrupted_attempts_do_not_count_as_vanished_workers(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(MAX_LOSSES):
        registry.release(claimed(registry, [planned()]))
    claimed(registry, [planned()])
    sql(LATE)
    registry.expire()
    assert registry.runs()[0].status == "queued"


def test_a_failed_run_that_is_asked_for_again_gets_a_fair_chance(
    registry: Registry, sql: Make, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(MAX_LOSSES):
        registry.fail(claimed(registry, [planned()]), 0, "failed", "a full disk")
        registry.enqueue([planned()])
    claimed(registry, [planned()])
    sql(LATE)
    registry.expire()
    assert registry.runs()[0].status == "queued"


def test_a_worker_that_the_user_ended_counts_as_interrupted(
    registry: Registry, planned: Make
) -> None:
    registry.enqueue([planned()])
    for _ in range(2 * MAX_LOSSES):
        claimed(registry, [planned()])
        assert registry.lose("host:1", "Stopped at once.", "interrupted") == 1
    run = seen(registry, planned())
    assert (run.status, run.outcome) == ("queued", "interrupted")


def test_a_pack_that_is_lost_again_is_tried_in_halves(registry: Registry, planned: Make) -> None:
    runs = [planned(s) for s in range(4)]
    plan = registry.enqueue(runs)
    sizes = []
    for _ in range(3):
        taken = registry.claim(plan, 4, "host:1", "CPU", {})
        assert taken is not None
        sizes.append(len(taken.runs))
        registry.lose("host:1", "gone")
    assert sizes == [4, 4, 2]


def test_after_an_outage_nothing_expires_until_leases_could_be_renewed(
    registry: Registry, planned: Make, sql: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.enqueue([planned()])
    taken = claimed(registry, [planned()])
    failures = [RegistryUnavailableError("away")]
    writing = registry._writing

    def away() -> Any:
        if failures:
            raise failures.pop()
        return writing()

    monkeypatch.setattr(registry, "_writing", away)
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    registry.patience = 60.0
    registry.beat(taken)
    sql(LATE)
    assert registry.expire() == 0
    monkeypatch.setattr(registry, "_trouble_at", float("-inf"))
    assert registry.expire() == 1


def test_what_waited_for_each_other_is_done_again(
    registry: Registry, planned: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [RegistryUnavailableError("undid this (deadlock detected)")] * 2
    writing = registry._writing

    def undone() -> Any:
        if failures:
            raise failures.pop()
        return writing()

    monkeypatch.setattr(registry, "_writing", undone)
    registry.enqueue([planned()])
    assert len(registry.runs()) == 1


def in_precision(planned: Make, seed: int, precision: str) -> PlannedRun:
    settings = {"finetune": {"batch_size": 32}, "numerics": {"precision": precision}}
    return planned(seed, settings=settings)


def test_runs_of_a_precision_that_a_device_has_not_are_passed_by(
    registry: Registry, planned: Make
) -> None:
    tf32 = [in_precision(planned, seed, "tf32") for seed in (0, 1)]
    runs = [*tf32, in_precision(planned, 0, "bf16"), planned(0)]
    plan = registry.enqueue(runs)
    cpu = ("fp32", "bf16")
    assert registry.passed_by(plan, cpu) == {"tf32": 2}
    assert registry.passed_by(None, ("fp32",)) == {"tf32": 2, "bf16": 1}
    claims = [registry.claim(plan, 4, "w", "CPU", {}, cpu) for _ in range(3)]
    assert [[r.id for r in c.runs] for c in claims if c] == [[runs[2].id], [runs[3].id]]
    assert claims[2] is None
    assert registry.passed_by(plan, PRECISIONS) == {}
    taken = registry.claim(plan, 4, "w", "GPU", {}, PRECISIONS)
    assert taken is not None
    assert {r.id for r in taken.runs} == {r.id for r in tf32}
    assert registry.passed_by(plan, cpu) == {}


def test_a_precision_that_this_dfgctl_does_not_know_is_passed_by(
    registry: Registry, planned: Make
) -> None:
    registry.enqueue([in_precision(planned, 0, "fp8")])
    assert registry.claim(None, 1, "w", "GPU", {}) is None
    assert registry.passed_by(None, PRECISIONS) == {"fp8": 1}


def test_runs_of_several_precisions_share_no_pack(registry: Registry, planned: Make) -> None:
    registry.enqueue([planned(0), in_precision(planned, 1, "bf16"), planned(2)])
    claims = [registry.claim(None, 9, "w", "GPU", {}) for _ in range(2)]
    assert [[r.spec.precision for r in c.runs] for c in claims if c] == [["fp32"] * 2, ["bf16"]]
