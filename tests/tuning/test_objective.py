"""A trial: what a run would measure on its held-out images, and nothing of the test images."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dfgctl.data.arrays import ImageArrays
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import StoppedError, TrialFailedError
from dfgctl.events import Evaluated
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import backbone
from dfgctl.training import train
from dfgctl.tuning import objective
from dfgctl.tuning.objective import Training
from dfgctl.tuning.task import Task

CPU = torch.device("cpu")
Make = Callable[..., Task]


class Poison(np.ndarray):  # type: ignore[type-arg]
    """Test images that may be counted, cut to none, and nothing else."""

    def __getitem__(self, key: Any) -> Any:
        if key != slice(None, 0):
            raise AssertionError("the test images were looked at")
        return np.asarray(self)[key]

    def __array_finalize__(self, found: Any) -> None:
        pass


def poisoned(data: ImageArrays) -> ImageArrays:
    """Return data whose test labels are wrong and whose test images must not be touched."""
    return replace(
        data, test=data.test.view(Poison), test_labels=np.full(len(data.test), 99).view(Poison)
    )


@pytest.fixture
def small(make_task: Make) -> Task:
    """Two pairs, trained for 6 steps and looked at every 2."""
    return make_task(combinations="0,4;1,7", steps=6, eval_every=2)


def measured(task: Task, data: ImageArrays, **values: float) -> np.ndarray:  # type: ignore[type-arg]
    """Train a task's runs as ``dfgctl run --validation`` does: (evaluations, pairs)."""
    rows = []
    for run in task.runs({f"balanced.{key}": value for key, value in values.items()}):
        events = train([run.spec], [run.class_counts], data, None, CPU)
        looks = [e.measurements[0].val_accuracy for e in events if isinstance(e, Evaluated)]
        rows.append(looks)
    return np.array(rows, dtype=float).T


def test_a_trial_is_what_runs_measure_on_their_held_out_images(
    small: Task, digits: ImageArrays
) -> None:
    expected = measured(small, digits)
    reported: list[tuple[float, float]] = []
    steps: list[int] = []
    training = Training(small, poisoned(digits), None, CPU, 1, Stop(), stepped=steps.append)
    found = training(small.own, lambda share, value: reported.append((share, value)))
    assert list(found.values) == expected[-1].tolist()
    assert found.notes == {}
    assert [share for share, _ in reported] == pytest.approx([2 / 6, 4 / 6])
    assert [value for _, value in reported] == pytest.approx(expected[1:3].mean(1))
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_pack_finds_what_runs_alone_find(small: Task, digits: ImageArrays) -> None:
    together = Training(small, poisoned(digits), None, CPU, 2, Stop())(small.own, lambda *_: None)
    assert together.values == pytest.approx(measured(small, digits)[-1], abs=0.03)


def test_with_val_each_runs_best_step_counts(make_task: Make, digits: ImageArrays) -> None:
    task = make_task(select="val", combinations="0,4;1,7", steps=11, eval_every=1)
    expected = measured(task, digits, lr=0.005)
    found = Training(task, digits, None, CPU, 1, Stop())({"balanced.lr": 0.005}, lambda *_: None)
    best = expected[1:].max(0)
    assert list(found.values) == best.tolist()
    assert (best > expected[-1]).any()


def test_a_pair_that_diverges_counts_as_chance(small: Task, digits: ImageArrays) -> None:
    class Broken(Training):
        def _evaluations(self, runs: Any, tell: bool) -> Any:
            for look in super()._evaluations(runs, tell):
                gone = 0 in look.measurements and runs[0].spec.combination == (1, 7)
                kept = {} if gone and look.step > 2 else look.measurements
                yield replace(look, measurements=kept)

    found = Broken(small, digits, None, CPU, 1, Stop())(small.own, lambda *_: None)
    expected = measured(small, digits)
    assert list(found.values) == [expected[-1][0], 0.1]
    assert found.notes == {"diverged": 1}


def test_where_all_runs_diverge_training_ends_and_chance_is_left(
    make_task: Make, digits: ImageArrays
) -> None:
    task = make_task("finetune", combinations="0,4;1,7", steps=6, eval_every=2)
    lenet = backbone("lenet5")
    parts = {"E": lenet.extractor(), "C": lenet.classifier(10)}
    state = {f"{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
    state["C.head.bias"] = torch.full((10,), torch.nan)
    steps: list[int] = []
    source = SourceWeights(state, 10)
    training = Training(task, digits, source, CPU, 2, Stop(), stepped=steps.append)
    found = training(task.own, lambda *_: None)
    assert list(found.values) == [0.1, 0.1]
    assert found.notes == {"diverged": 2}
    assert steps == [1, 2]


def test_settings_that_cannot_go_together_count_as_chance(
    make_task: Make, digits: ImageArrays
) -> None:
    task = make_task("difa", combinations="0,4", steps=6)
    values = {**task.own, "difa.share_0": 0.6, "difa.share_1": 0.5}
    found = Training(task, digits, None, CPU, 1, Stop())(values, lambda *_: None)
    assert list(found.values) == [0.1]
    assert "must be below 1" in found.notes["refused"]


def test_a_stop_is_heard_after_a_step(small: Task, digits: ImageArrays) -> None:
    stop, steps = Stop(), []

    def stepped(step: int) -> None:
        steps.append(step)
        stop.request("interrupted")

    with pytest.raises(StoppedError):
        Training(small, digits, None, CPU, 1, stop, stepped=stepped)(small.own, lambda *_: None)
    assert steps == [1]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("tried to allocate"), "ran out of memory in packs of 2: type"),
        (RuntimeError("shapes\nand more"), r"A trial of balanced failed .*RuntimeError: shapes\)"),
    ],
)
def test_what_breaks_a_trial_is_one_sentence(
    small: Task, digits: ImageArrays, monkeypatch: pytest.MonkeyPatch, error: Any, says: str
) -> None:
    def broken(*args: Any, **named: Any) -> Any:
        raise error
        yield

    monkeypatch.setattr(objective, "train", broken)
    with pytest.raises(TrialFailedError, match=says) as caught:
        Training(small, digits, None, CPU, 2, Stop())(small.own, lambda *_: None)
    assert "\n" not in str(caught.value)
