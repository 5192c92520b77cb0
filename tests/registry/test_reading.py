"""What goes into the registry comes out equal, in the order of the plan, and is found by its id."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfgctl.errors import InputError
from dfgctl.records import Claim, Measurement, PlannedRun
from dfgctl.registry import Registry

Make = Callable[..., Any]
PROVENANCE = {"commit": None, "dirty": True, "packages": {"torch": "2.11"}, "threads": 2}


def claimed(registry: Registry, runs: list[PlannedRun]) -> Claim:
    taken = registry.claim(
        registry.keep_plan([r.id for r in runs]), len(runs), "host:7", "CPU", PROVENANCE
    )
    assert taken is not None
    return taken


def test_a_planned_run_comes_out_as_it_went_in(registry: Registry, planned: Make) -> None:
    run = planned(3)
    registry.enqueue([run])
    stored = registry.run(run.id)
    assert stored.spec == run.spec
    assert stored.class_counts == run.class_counts
    assert stored.id == run.id == stored.spec.identity()
    assert (stored.status, stored.attempts, stored.result_attempt) == ("queued", 0, None)
    assert (stored.outcome, stored.error, stored.metrics) == (None, None, None)
    assert (stored.device, stored.dirty) == (None, None)


def test_a_balanced_run_without_source_comes_out_as_it_went_in(
    registry: Registry, planned: Make
) -> None:
    run = planned(
        method="original",
        source=None,
        source_identity=None,
        ratio="1:1",
        majority=0,
        combination=(),
    )
    registry.enqueue([run])
    assert registry.run(run.id).spec == run.spec


def test_results_come_out_as_they_went_in(
    registry: Registry, planned: Make, metrics: Make, measured: Make
) -> None:
    run = planned()
    registry.enqueue([run])
    taken = claimed(registry, [run])
    rows = [measured(0), replace(measured(2), val_accuracy=0.125, losses={}), measured(3)]
    for row in rows:
        registry.record(taken, {0: row})
    final = replace(metrics(0.1 + 0.2), accuracy_val=0.7, val_step=2, accuracy_unseen=1 / 7)
    registry.finish(taken, 0, final, 5 * 2**30)  # more bytes than 32 bits can count

    stored = registry.run(run.id)
    assert stored.metrics == final
    assert registry.measurements(run.id, 1) == rows
    assert registry.measurements(run.id, 2) == []
    assert (stored.status, stored.outcome) == ("finished", "finished")
    assert (stored.device, stored.dirty) == ("CPU", True)
    assert (stored.result_device, stored.pack_size, stored.peak_bytes) == ("CPU", 1, 5 * 2**30)
    assert [a.peak_bytes for a in registry.attempts(run.id)] == [5 * 2**30]


def test_curves_are_the_evaluations_of_the_attempts_that_results_are_of(
    registry: Registry, planned: Make, metrics: Make, measured: Make
) -> None:
    first, again, bare, waiting = runs = [planned(seed) for seed in range(4)]
    registry.enqueue(runs)
    for run, steps in ((first, (0, 2, 3)), (again, (0, 3))):
        taken = claimed(registry, [run])
        for step in steps:
            registry.record(taken, {0: measured(step, step / 10)})
        registry.finish(taken, 0, metrics())
    registry.finish(claimed(registry, [bare]), 0, metrics())
    # A second attempt under way is no result yet.
    registry.enqueue([again], force=True)
    registry.record(claimed(registry, [again]), {0: measured(0, 0.9)})
    ids = [run.id for run in (waiting, bare, again, first, first)]
    assert registry.curves(ids) == {
        first.id: [measured(step, step / 10) for step in (0, 2, 3)],
        again.id: [measured(step, step / 10) for step in (0, 3)],
    }
    assert registry.curves([]) == {}


def test_metrics_from_before_the_validated_accuracy_was_kept_are_read(
    registry: Registry, planned: Make, metrics: Make, sql: Make
) -> None:
    run = planned()
    registry.enqueue([run])
    registry.finish(claimed(registry, [run]), 0, metrics(0.5))
    older = asdict(metrics(0.5))
    for newer in ("accuracy_val", "val_step", "accuracy_unseen", "confusion"):
        del older[newer]
    sql("UPDATE attempts SET metrics = ?", json.dumps(older))
    assert registry.run(run.id).metrics == metrics(0.5)


def test_an_attempt_keeps_the_whole_error_and_what_it_ran_on(
    registry: Registry, planned: Make
) -> None:
    run, error = planned(), "Traceback:\n  File “x.py”\nValueError: ∇L is no number"
    registry.enqueue([run])
    registry.fail(claimed(registry, [run]), 0, "failed", error)
    (attempt,) = registry.attempts(run.id)
    assert (attempt.outcome, attempt.error, attempt.provenance) == ("failed", error, PROVENANCE)
    assert (attempt.worker, attempt.device, attempt.pack_size) == ("host:7", "CPU", 1)
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at >= registry.run(run.id).created_at
    assert (registry.run(run.id).outcome, registry.run(run.id).error) == ("failed", error)


def test_equal_provenance_is_stored_once(registry: Registry, planned: Make, sql: Make) -> None:
    for seed in (0, 1):
        registry.enqueue([planned(seed)])
        claimed(registry, [planned(seed)])
    assert sql("SELECT count(*) FROM provenance") == [(1,)]


def test_lists_keep_the_order_of_the_plan(registry: Registry, planned: Make) -> None:
    first = [planned(s, method=m) for s in (7, 2, 5) for m in ("original", "dfg", "delta")]
    second = [planned(s) for s in (9, 0)]
    registry.enqueue(first)
    registry.enqueue([*second, *first])
    wanted = [r.id for r in first + second]
    assert [r.id for r in registry.runs()] == wanted
    assert [r.id for r in registry.runs(reversed(wanted))] == wanted
    assert [r.id for r in registry.runs(dataset="digits")] == wanted
    assert registry.runs(dataset="fmnist") == []
    assert registry.runs([]) == []


def test_runs_are_asked_for_by_what_they_are(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    runs = [
        planned(0),
        planned(1, method="dfg"),
        planned(2, dataset="svhn"),
        planned(3),
        planned(4),
    ]
    registry.enqueue(runs)
    registry.finish(claimed(registry, runs[:1]), 0, metrics())
    registry.fail(claimed(registry, runs[1:2]), 0, "diverged", "no number")
    registry.release(claimed(registry, runs[2:3]), "lost")
    registry.release(claimed(registry, runs[3:4]), "lost")
    registry.cancel([runs[3].id])
    for asked, wanted in (
        ({}, [0, 1, 2, 3, 4]),
        ({"dataset": "svhn"}, [2]),
        ({"method": "finetune"}, [0, 2, 3, 4]),
        ({"status": "queued"}, [2, 4]),
        ({"outcome": "diverged"}, [1]),
        ({"outcome": "lost"}, [2]),
        ({"outcome": "lost", "dataset": "digits"}, []),
        ({"since": registry.run(runs[2].id).created_at}, [0, 1, 2, 3, 4]),
        ({"since": registry.attempts(runs[2].id)[0].started_at}, [2, 3]),
    ):
        found = [runs[i].id for i in wanted]
        assert [r.id for r in registry.runs(**asked)] == found
        assert list(registry.matching(**asked)) == found
        assert [r.id for r in registry.runs([r.id for r in runs], **asked)] == found
        assert [r.id for r in registry.runs(newest=2, **asked)] == found[-2:]
    assert registry.matching(method="dfg") == {runs[1].id: "failed"}
    assert registry.names() == ({"digits", "svhn"}, {"finetune", "dfg"})


def test_more_runs_than_sqlite_takes_variables_can_be_asked_for(
    registry: Registry, planned: Make
) -> None:
    run = planned()
    registry.enqueue([run])
    unknown = [f"{i:064x}" for i in range(40_000)]
    assert [r.id for r in registry.runs([*unknown, run.id])] == [run.id]
    assert registry.statuses([*unknown, run.id]) == {run.id: "queued"}


def test_a_run_is_found_by_any_unique_start_of_its_id(registry: Registry, planned: Make) -> None:
    run = planned()
    registry.enqueue([run])
    for start in (run.id, run.id[:10], run.id[:1], run.id[:10].upper()):
        assert registry.find(start).id == run.id


@pytest.mark.parametrize("start", ["zz", "%", "_", "0" * 65])
def test_an_unknown_start_is_refused_with_a_remedy(
    registry: Registry, planned: Make, start: str
) -> None:
    registry.enqueue([planned()])
    with pytest.raises(InputError, match=r"There is no run '.*dfgctl runs list"):
        registry.find(start)


def test_a_start_of_several_ids_is_refused(registry: Registry, planned: Make) -> None:
    runs = [planned(s) for s in range(17)]  # 16 digits, so that two share their first
    registry.enqueue(runs)
    starts = [r.id[0] for r in runs]
    shared = next(s for s in starts if starts.count(s) > 1)
    with pytest.raises(InputError, match=r"several run ids: write more"):
        registry.find(shared)


def test_an_unknown_whole_id_is_refused(registry: Registry) -> None:
    with pytest.raises(InputError, match="dfgctl runs list"):
        registry.run("0" * 64)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
reals = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(reals, st.integers(-(2**53), 2**53), st.booleans(), names)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.fixed_dictionaries(
        {
            "combination": st.lists(st.integers(0, 99), unique=True).map(
                lambda c: tuple(sorted(c))
            ),
            "seed": st.integers(0, 2**63),
            "steps": st.integers(1, 2**31),
            "validation": st.floats(0, 0.5),
            "settings": st.dictionaries(names, st.dictionaries(names, values, max_size=3)),
            "source": st.none() | names,
        }
    ),
    measurement=st.builds(
        Measurement,
        step=st.integers(0, 2**31),
        accuracy=reals,
        loss=reals,
        val_accuracy=st.none() | reals,
        losses=st.dictionaries(names, reals, max_size=3),
        seconds=reals,
    ),
)
def test_any_spec_and_any_evaluation_come_out_as_they_went_in(
    registry: Registry, planned: Make, changes: dict[str, Any], measurement: Measurement
) -> None:
    run = planned(**changes)
    registry.enqueue([run])
    stored = registry.run(run.id)
    assert stored.spec == run.spec
    assert stored.spec.identity() == run.id
    if stored.status == "queued":
        taken = claimed(registry, [run])
        registry.record(taken, {0: measurement})
        registry.fail(taken, 0, "diverged", "the end of this example")
        assert registry.measurements(run.id, 1) == [measurement]


def test_the_attempt_that_made_a_result_is_known(
    registry: Registry, planned: Make, metrics: Make
) -> None:
    again, once, never = (planned(seed) for seed in range(3))
    registry.enqueue([again, once, never])
    for run in (again, once):
        registry.finish(claimed(registry, [run]), 0, metrics(0.5))
    registry.enqueue([again], force=True)
    registry.fail(claimed(registry, [again]), 0, "failed", "boom")
    makings = registry.makings()
    assert makings == {run.id: registry.attempts(run.id)[0] for run in (again, once)}
    assert makings[once.id].provenance == PROVENANCE
