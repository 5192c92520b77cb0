"""Packs are measured by true training; no test looks at how fast it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tape import Tape

from dfgctl.bench.measure import evaluated, measure, spread
from dfgctl.bench.pictures import load
from dfgctl.bench.records import Effort, Job, compared
from dfgctl.training import Trainer

Jobs = Callable[..., list[Job]]
QUICK_DFG = ("dfg.n_C1=1", "dfg.n_C2=2", "dfg.batch_size=4")


class Spy(Trainer):
    """A trainer that remembers which steps it took."""

    made: "Spy"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.taken: list[int] = []
        Spy.made = self

    def step(self, step: int) -> None:
        super().step(step)
        self.taken.append(step)


def test_a_pack_of_dfg_is_measured_and_two_runs_are_twice_the_work(make_jobs: Jobs) -> None:
    rows = compared([measure(j) for j in make_jobs("dfg", packs=(1, 2), settings=QUICK_DFG)])
    one, two = rows
    assert [r.pack for r in rows] == [1, 2]
    for row in rows:
        assert row.status == "ok"
        assert row.steps == 400
        assert row.rare_steps == 4
        assert row.rounds is not None
        assert len(row.rounds) == 2
        assert row.steps_timed == 2 * 2  # a round is a cycle at the least
        assert min(row.rounds) <= row.seconds_per_step <= max(row.rounds)
        assert row.run_steps_per_second == pytest.approx(row.pack / row.seconds_per_step)
        steps = 396 * row.seconds_per_step + 4 * row.rare_seconds
        rest = row.setup_seconds + row.evaluations * row.evaluation_seconds
        assert row.run_seconds == pytest.approx(steps + rest)
        assert row.runs_per_hour == pytest.approx(3600 * row.pack / row.run_seconds)
        assert 0 <= row.idle_share <= 1
        assert row.waiting_share == 0
        assert 0 < row.evaluation_share < 1
        assert row.reserved_memory is None
        assert row.peak_share > 0
    assert one.against_one == 1
    assert two.flop_per_step == pytest.approx(2 * one.flop_per_step, rel=1e-6)


@pytest.mark.parametrize("method", ["original", "finetune", "delta", "difa"])
def test_every_method_is_measured(make_jobs: Jobs, method: str) -> None:
    (job,) = make_jobs(method, settings=(f"{method}.batch_size=4",))
    row = measure(job)
    assert (row.status, row.method, row.batch_size, row.threads) == ("ok", method, 4, 1)
    assert row.flop_per_step is not None
    assert row.flop_per_step > 0


def test_a_small_step_of_original_is_worked_out_by_hand(make_jobs: Jobs) -> None:
    # LeNet-5 on 32x32: two convolutions of 5x5 and three dense layers, forward, and backward to
    # all weights and to all inputs but the images.
    (job,) = make_jobs("original", settings=("original.batch_size=4",))
    conv1, conv2 = 28**2 * 6 * 25, 10**2 * 16 * 6 * 25
    dense = 400 * 120 + 120 * 84 + 84 * 10
    assert measure(job).flop_per_step == 2 * 4 * (2 * conv1 + 3 * conv2 + 3 * dense)


def test_steps_are_taken_in_order_in_every_stage_and_at_the_update(make_jobs: Jobs) -> None:
    (job,) = make_jobs("dfg", settings=QUICK_DFG)
    measure(job, Spy)
    taken = Spy.made.taken
    assert taken[:4] == [1, 2, 3, 4]
    assert taken.count(100) == 1
    (job,) = make_jobs("difa", settings=("difa.batch_size=4",))
    measure(job, Spy)
    assert {1, 501, 801} <= set(Spy.made.taken)


def test_a_method_that_cannot_be_recorded_is_no_row_of_graphs(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(Tape):
        def record(self, work: Callable[[], None]) -> Callable[[], None]:
            raise RuntimeError("it looks at its losses")

    (job,) = make_jobs("original", settings=("original.batch_size=4",))
    job = replace(job, graphs=True)
    monkeypatch.setattr("dfgctl.training.recorder_for", lambda *_: Refusing())
    row = measure(job)
    assert row.status == "no-graphs"
    assert row.error == "its steps cannot be recorded (RuntimeError: it looks at its losses)"
    monkeypatch.setattr("dfgctl.training.recorder_for", lambda *_: None)
    why = "its steps cannot be recorded (nothing says which of its steps are alike)"
    assert measure(job).error == why
    monkeypatch.setattr("dfgctl.data.batches.DEVICE_BYTES", 0)
    why = "its steps cannot be recorded (its pictures lie in the host's memory)"
    assert measure(job).error == why


def test_graphs_are_recorded_before_steps_are_timed(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape, asked = Tape(), []

    def recorder_for(device: torch.device, graphs: bool, at_hand: bool) -> Tape | None:
        asked.append(graphs)
        return tape if graphs else None

    monkeypatch.setattr("dfgctl.training.recorder_for", recorder_for)
    (job,) = make_jobs("dfg", settings=QUICK_DFG)
    row = measure(replace(job, graphs=True))
    assert (row.status, row.graphs, row.flop_per_step) == ("ok", True, None)
    assert (tape.warmed, tape.recorded) == (2, 2)
    assert tape.replayed >= row.steps_timed
    assert measure(job).flop_per_step > 0
    assert asked == [True, False]


def test_a_trainer_is_closed_also_where_memory_runs_out(make_jobs: Jobs) -> None:
    closed = []

    class Closing(Spy):
        def step(self, step: int) -> None:
            raise torch.OutOfMemoryError("full")

        def close(self) -> None:
            closed.append(True)

    (job,) = make_jobs("original", settings=("original.batch_size=4",))
    with pytest.raises(torch.OutOfMemoryError):
        measure(job, Closing)
    assert closed == [True]


def test_what_training_waited_is_a_share_of_the_rounds(make_jobs: Jobs) -> None:
    class Waiting(Spy):
        @property
        def waited(self) -> float:
            return 1e6 * len(self.taken)  # as if each step had waited for days

    (job,) = make_jobs("original", settings=("original.batch_size=4",))
    assert measure(job, Waiting).waiting_share == 1


def test_seconds_say_how_many_steps_a_round_has(make_jobs: Jobs) -> None:
    (job,) = make_jobs("original", settings=("original.batch_size=4",))
    short = measure(replace(job, effort=Effort(rounds=3, seconds=0.0)))
    assert short.steps_timed == 3
    fixed = measure(replace(job, effort=Effort(rounds=3, steps=4)))
    assert fixed.steps_timed == 12


def test_the_time_of_all_test_images_follows_from_that_of_some(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make_jobs("original")
    run = job.runs[0]
    trainer = Trainer(
        [run.spec], [run.class_counts], load(job), None, torch.device("cpu"), torch.float32
    )
    seen = []
    tested = trainer.evaluator.tested

    def counted(classify: Any) -> Any:
        seen.append(len(trainer.evaluator.test.labels))
        return tested(classify)

    monkeypatch.setattr(trainer.evaluator, "tested", counted)
    trainer.evaluator.chunk = 100
    clock = iter([10.0, 12.0, 20.0, 21.0])
    monkeypatch.setattr("dfgctl.bench.measure.synchronised", lambda _: next(clock))
    assert evaluated(trainer, torch.device("cpu")) == pytest.approx(2.0 * 901 / 400)
    assert evaluated(trainer, torch.device("cpu"), 5000) == pytest.approx(1.0 * 5000 / 400)
    assert seen == [400] * 4
    assert len(trainer.evaluator.test.labels) == 901


def test_a_data_set_that_is_not_here_is_measured_on_random_pictures(make_jobs: Jobs) -> None:
    (job,) = make_jobs("finetune", dataset="stl10", backbone="lenet5")
    assert job.synthetic
    data = load(job)
    assert data.train.shape == (5000, 1, 32, 32)
    assert data.test.shape == (8000, 1, 32, 32)
    assert data.train.min() == 0
    assert data.train.max() == 255
    row = measure(replace(job, effort=Effort(rounds=1, steps=1)))
    assert (row.status, row.dataset, row.synthetic) == ("ok", "stl10", True)
    assert row.spread is None


def test_the_spread_is_the_interquartile_range_over_the_median() -> None:
    assert spread([1.0]) is None
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == pytest.approx(2 / 3)
