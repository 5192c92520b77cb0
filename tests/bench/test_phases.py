"""Which steps stand for which."""

from itertools import islice

import pytest
import torch
from specs import spec

from dfgctl.bench.phases import evaluations, phases
from dfgctl.bench.pictures import random_pictures, random_source
from dfgctl.data.views import VIEWS
from dfgctl.ledger import PAPER_READINGS
from dfgctl.records import RunSpec
from dfgctl.training import Trainer


def dfg(steps: int, **own: int) -> RunSpec:
    return spec("dfg", steps=steps, own={"n_C1": 2, "n_C2": 10, "n_W": 5000, **own})


def test_dfg_repeats_its_work_and_updates_filter_weights_now_and_then() -> None:
    (usual,), rare = phases(dfg(20_000))
    assert (usual.cycle, usual.count, usual.skip) == (10, 19_996, 5000)
    assert rare is not None
    assert (rare.first, rare.count) == (5000, 4)


def test_the_usual_steps_of_dfg_have_no_update_among_them() -> None:
    (usual,), _ = phases(dfg(400, n_W=100))
    starts = {cycle[0] for cycle in islice(usual.cycles(), 80)}
    assert starts == {s for s in range(1, 392, 10) if (s + 9) % 100}


def test_updates_that_are_as_frequent_as_the_rest_belong_to_the_cycle() -> None:
    (usual,), rare = phases(dfg(600, n_W=4))
    assert (usual.cycle, usual.skip, rare) == (20, 0, None)


def test_a_run_that_ends_before_an_update_has_none() -> None:
    (usual,), rare = phases(dfg(50))
    assert (usual.count, rare) == (50, None)


def test_a_cycle_is_no_longer_than_the_run() -> None:
    (usual,), _ = phases(dfg(7))
    assert [list(cycle) for cycle in islice(usual.cycles(), 2)] == [[1, 2, 3, 4, 5, 6, 7]] * 2


@pytest.mark.parametrize("steps", [10, 999, 1000])
def test_difas_stages_are_the_methods_own(steps: int) -> None:
    run = spec("difa", steps=steps)
    counts = (3,) * 10
    data = random_pictures(counts, counts, VIEWS["lenet5"])
    source = random_source("lenet5", PAPER_READINGS, 10)
    trainer = Trainer([run], [counts], data, source, torch.device("cpu"), torch.float32)
    stages, rare = phases(run)
    assert rare is None
    assert [s.last for s in stages] == [trainer.method.end_0, trainer.method.end_1, steps]
    assert [s.first for s in stages] == [1, trainer.method.end_0 + 1, trainer.method.end_1 + 1]
    assert sum(s.count for s in stages) == steps


def test_other_methods_do_the_same_in_each_step() -> None:
    (usual,), rare = phases(spec("original", steps=30))
    assert (usual.cycle, usual.count, rare) == (1, 30, None)
    assert [cycle[0] for cycle in islice(usual.cycles(), 32)] == [*range(1, 31), 1, 2]


@pytest.mark.parametrize(("steps", "every", "count"), [(400, 50, 9), (410, 50, 10), (3, 50, 2)])
def test_evaluations_are_at_the_start_in_between_and_at_the_end(
    steps: int, every: int, count: int
) -> None:
    assert evaluations(spec(steps=steps, eval_every=every)) == count
