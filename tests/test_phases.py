"""Which steps stand for which."""

from collections import Counter
from itertools import islice

import pytest
import torch
from specs import spec

from dfgctl.bench.pictures import random_pictures, random_source
from dfgctl.data.views import VIEWS
from dfgctl.ledger import PAPER_READINGS
from dfgctl.phases import Phase, evaluations, phases, stretches
from dfgctl.records import RunSpec
from dfgctl.training import Trainer


def dfg(steps: int, **own: int) -> RunSpec:
    return spec("dfg", steps=steps, own={"n_C1": 2, "n_C2": 10, "n_W": 5000, **own})


STAGED = (("difa", 90), ("crt", 90), ("smote", 20), ("crt", 3))


def trainer(run: RunSpec) -> Trainer:
    counts = (3,) * 10
    data = random_pictures(counts, counts, VIEWS["lenet5"])
    source = random_source("lenet5", PAPER_READINGS, 10)
    return Trainer([run], [counts], data, source, torch.device("cpu"), torch.float32)


def phases_of(run: RunSpec, most: int) -> list[Phase]:
    return phases(trainer(run).method.phase, run.steps, most)


# Stretches


def test_dfg_repeats_its_work_and_updates_filter_weights_now_and_then() -> None:
    (usual,), rare = stretches(dfg(20_000))
    assert (usual.cycle, usual.count, usual.skip) == (10, 19_996, 5000)
    assert rare is not None
    assert (rare.first, rare.count) == (5000, 4)


def test_the_usual_steps_of_dfg_have_no_update_among_them() -> None:
    (usual,), _ = stretches(dfg(400, n_W=100))
    starts = {cycle[0] for cycle in islice(usual.cycles(), 80)}
    assert starts == {s for s in range(1, 392, 10) if (s + 9) % 100}


def test_updates_that_are_as_frequent_as_the_rest_belong_to_the_cycle() -> None:
    (usual,), rare = stretches(dfg(600, n_W=4))
    assert (usual.cycle, usual.skip, rare) == (20, 0, None)


def test_a_run_that_ends_before_an_update_has_none() -> None:
    (usual,), rare = stretches(dfg(50))
    assert (usual.count, rare) == (50, None)


def test_a_cycle_is_no_longer_than_the_run() -> None:
    (usual,), _ = stretches(dfg(7))
    assert [list(cycle) for cycle in islice(usual.cycles(), 2)] == [[1, 2, 3, 4, 5, 6, 7]] * 2


@pytest.mark.parametrize("steps", [10, 999, 1000])
def test_difas_stages_are_the_methods_own(steps: int) -> None:
    made = trainer(spec("difa", steps=steps))
    found, rare = stretches(made.specs[0])
    assert rare is None
    assert [s.last for s in found] == [made.method.end_0, made.method.end_1, steps]
    assert [s.first for s in found] == [1, made.method.end_0 + 1, made.method.end_1 + 1]
    assert sum(s.count for s in found) == steps


@pytest.mark.parametrize(
    "run",
    [
        *(dfg(400, n_W=100), dfg(600, n_W=4), dfg(300, n_C1=3, n_C2=4, n_W=50)),
        *(spec(method, steps=steps) for method, steps in STAGED),
    ],
    ids=lambda run: run.method,
)
def test_each_cycle_has_the_phases_that_the_method_tells_of(run: RunSpec) -> None:
    phase = trainer(run).method.phase
    found, rare = stretches(run)
    for part in found:
        counts = [Counter(map(phase, cycle)) for cycle in islice(part.cycles(), 40)]
        assert all(count == counts[0] for count in counts)
    if rare is not None:
        assert phase(rare.first) is None


def test_other_methods_do_the_same_in_each_step() -> None:
    (usual,), rare = stretches(spec("original", steps=30))
    assert (usual.cycle, usual.count, rare) == (1, 30, None)
    assert [cycle[0] for cycle in islice(usual.cycles(), 32)] == [*range(1, 31), 1, 2]


@pytest.mark.parametrize(("steps", "every", "count"), [(400, 50, 9), (410, 50, 10), (3, 50, 2)])
def test_evaluations_are_at_the_start_in_between_and_at_the_end(
    steps: int, every: int, count: int
) -> None:
    assert evaluations(spec(steps=steps, eval_every=every)) == count


# Phases


def test_dfg_s_phases_are_those_of_its_three_counters() -> None:
    found = phases_of(dfg(20_000), most=3)
    assert [p.steps for p in found] == [(1, 3, 5), (2, 4, 6), (10, 20, 30), (5000, 10000, 15000)]
    assert [p.share for p in found] == pytest.approx([0.5, 0.4, 0.0998, 0.0002])


def test_a_phase_that_never_comes_is_none() -> None:
    assert [p.steps for p in phases_of(dfg(9), most=2)] == [(1, 3), (2, 4)]


def test_difa_s_phases_are_its_stages() -> None:
    made = spec("difa", steps=100, own={"share_0": 0.4, "share_1": 0.3})
    assert phases_of(made, most=2) == [
        Phase(0.4, (1, 2)),
        Phase(0.3, (41, 42)),
        Phase(0.3, (71, 72)),
    ]


def test_a_falling_rate_makes_a_phase_of_its_own() -> None:
    made = spec("original", steps=10, own={"lr_decay_step": 8})
    assert phases_of(made, most=2) == [Phase(0.8, (1, 2)), Phase(0.2, (9, 10))]


@pytest.mark.parametrize("method", ["original", "finetune", "delta", "difa", "dfg"])
def test_all_steps_are_in_a_phase(method: str) -> None:
    found = phases_of(spec(method, steps=137), most=2)
    assert sum(phase.share for phase in found) == pytest.approx(1)


def test_a_method_that_says_nothing_of_phases_has_one() -> None:
    assert phases(lambda step: None, 50, most=3) == [Phase(1.0, (1, 2, 3))]
