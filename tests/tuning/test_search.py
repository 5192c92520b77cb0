"""The search itself, on an objective that is a formula: budget, order, pruning, going on."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest

from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import StoppedError
from dfgctl.registry.studies import TRIES
from dfgctl.tuning.outcome import outcome
from dfgctl.tuning.search import COUNTED, Report, Trained, counted, open_study, search
from dfgctl.tuning.task import Task

Make = Callable[..., Task]
FACTS = {"device": "a device", "commit": "c0ffee", "dirty": False}


def hill(values: Mapping[str, Any], report: Report) -> Trained:
    """Be best at a rate of 0.03."""
    value = 0.9 - abs(math.log10(values["balanced.lr"] / 0.03)) / 10
    return Trained([value + 0.01, value - 0.01])


def run(study: optuna.Study, task: Task, trials: int, objective: Any = hill, **named: Any) -> None:
    search(study, task, trials, 900, objective, named.pop("stop", Stop()), FACTS, **named)


def parameters(study: optuna.Study) -> list[dict[str, Any]]:
    return [t.params for t in counted(study)]


def test_the_first_trial_is_the_recipes_own_and_as_many_count_as_are_wanted(
    make_task: Make, memory: Any
) -> None:
    task = make_task()
    study = open_study(task, memory)
    run(study, task, 6)
    assert len(counted(study)) == len(study.trials) == 6
    assert study.trials[0].params == {"balanced.steps": 600, "balanced.lr": 0.01}
    attributes = study.trials[0].user_attrs
    assert attributes["pairs"] == pytest.approx([0.8623, 0.8423], abs=1e-4)
    assert {name: attributes[name] for name in FACTS} == FACTS
    found = outcome(task, study, 6)
    assert found.own == pytest.approx(0.9 - 0.0477, abs=1e-4)
    assert found.best is not None
    assert found.best.value is not None
    assert found.best.value >= found.own
    run(study, task, 6)
    assert len(study.trials) == 6


def test_one_process_finds_the_same_each_time_also_in_pieces(make_task: Make) -> None:
    task = make_task()
    whole, pieces = (open_study(task, optuna.storages.InMemoryStorage()) for _ in range(2))
    run(whole, task, 14)
    for trials in (1, 5, 12, 14):
        run(pieces, task, trials)
    assert parameters(whole) == parameters(pieces)
    assert len({p["balanced.lr"] for p in parameters(whole)}) == 14
    other = open_study(task, optuna.storages.InMemoryStorage())
    search(other, task, 3, 901, hill, Stop(), FACTS)
    assert parameters(other)[1:] != parameters(whole)[1:3]


def test_a_trial_that_was_interrupted_is_tried_again(make_task: Make, memory: Any) -> None:
    task = make_task()
    whole = open_study(task, optuna.storages.InMemoryStorage())
    run(whole, task, 5)
    study, stop = open_study(task, memory), Stop()

    def stopping(values: Mapping[str, Any], report: Report) -> Trained:
        if len(counted(study)) == 3:
            stop.request("interrupted")
        stop.check()
        return hill(values, report)

    with pytest.raises(StoppedError):
        run(study, task, 5, stopping, stop=stop)
    assert [t.state.name for t in study.trials[3:]] == ["FAIL", "WAITING"]
    run(study, task, 5)
    assert parameters(study) == parameters(whole)
    found = outcome(task, study, 5)
    assert (len(found.trials), found.failed, found.interrupted) == (5, 0, 1)


def test_bad_trials_are_pruned_from_their_half_on_and_count(make_task: Make, memory: Any) -> None:
    task = make_task()
    study = open_study(task, memory)
    reported: list[list[float]] = []

    def slow(values: Mapping[str, Any], report: Report) -> Trained:
        value = 1 / (1 + len(reported))  # each is worse than those before it
        reported.append([])
        for i in range(1, 21):
            reported[-1].append(i / 20)
            report(i / 20, value)
        return Trained([value])

    run(study, task, 8, slow)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5 + ["PRUNED"] * 3
    assert [r[-1] for r in reported] == [1.0] * 5 + [0.5] * 3
    found = outcome(task, study, 8)
    assert (found.pruned, len(found.top)) == (3, 5)
    assert found.trials[-1].value == pytest.approx(1 / 8)


def test_two_that_share_a_study_make_as_many_trials_as_one(make_task: Make, memory: Any) -> None:
    task = make_task()
    study = open_study(task, memory)
    both = threading.Barrier(2, timeout=20)

    def together(values: Mapping[str, Any], report: Report) -> Trained:
        both.wait()  # for 7 trials one of them must wait for the other, and not begin an eighth
        return hill(values, report)

    errors: list[BaseException] = []

    def work(own: optuna.Study) -> None:
        try:
            run(own, task, 6, together)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(open_study(task, memory),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(counted(study)) == 6
    assert parameters(study)[0] == task.own


def test_of_two_trials_begun_at_once_only_the_first_is_wanted(make_task: Make, memory: Any) -> None:
    task = make_task()
    study = open_study(task, memory)
    trained = []

    def objective(values: Mapping[str, Any], report: Report) -> Trained:
        if not trained:  # another process begins the second trial, too late for this look
            study.ask()
            study.ask()
        trained.append(values)
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            if trial.number > 0 and len(trained) == 1 and trial.number == 1:
                study.tell(trial.number, 0.5)
            elif trial.number == 2:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return hill(values, report)

    run(study, task, 2, objective)
    assert len(trained) == 1
    assert len(counted(study)) == 2


def test_what_breaks_ends_the_search_and_the_same_settings_are_not_tried_next(
    make_task: Make, memory: Any
) -> None:
    task = make_task()
    study = open_study(task, memory)
    run(study, task, 2)

    def broken(values: Mapping[str, Any], report: Report) -> Trained:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        run(study, task, 3, broken)
    assert study.trials[-1].user_attrs["error"] == "OSError: the disk is gone"
    run(study, task, 3)
    assert study.trials[-1].params != study.trials[-2].params
    assert [t.state.name in COUNTED for t in study.trials] == [True, True, False, True]
    found = outcome(task, study, 3)
    assert (found.failed, found.interrupted) == (1, 0)


def test_what_must_not_be_mixed_has_a_study_of_its_own(make_task: Make) -> None:
    ways: list[dict[str, Any]] = [
        *({}, {"method": "original"}, {"select": "val"}, {"settings": ("init=source",)}),
        *({"settings": ("balanced.lr=0.1",)}, {"settings": ("balanced.batch_size=64",)}),
        *({"imbalance": "5:1"}, {"majority": 3}, {"combinations": "0,1"}, {"steps": 100}),
        *({"validation": 0.3}, {"precision": "bf16"}, {"protocol": "released"}),
    ]
    names = [make_task(**way).study for way in ways]
    assert len(set(names)) == len(ways)
    assert names[0].startswith("digits 10:1 balanced ")
    assert names[3].startswith("digits 10:1 balanced/source ")
    assert make_task().study == names[0]


def test_trials_that_are_begun_at_the_same_moment_are_not_the_same(
    make_task: Make, memory: Any
) -> None:
    task = make_task()
    all_begun = threading.Barrier(4, timeout=20)

    def together(values: Mapping[str, Any], report: Report) -> Trained:
        all_begun.wait()
        return hill(values, report)

    own = [open_study(task, memory) for _ in range(4)]
    threads = [threading.Thread(target=run, args=(study, task, 4, together)) for study in own]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rates = [p["balanced.lr"] for p in parameters(own[0])]
    assert len(set(rates)) == len(rates) == 4


def test_the_recipes_own_settings_are_tried_again_where_they_failed(
    make_task: Make, memory: Any
) -> None:
    task = make_task()

    def full(values: Mapping[str, Any], report: Report) -> Trained:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        run(open_study(task, memory), task, 2, full)
    study = open_study(task, memory)
    run(open_study(task, memory), task, 2)
    assert parameters(study)[0] == task.own
    assert outcome(task, study, 2).own is not None


@pytest.mark.parametrize("begun", [True, False])
def test_trials_that_are_told_to_be_lost_are_tried_again(
    make_task: Make, memory: Any, begun: bool
) -> None:
    task = make_task()
    study = open_study(task, memory)
    lost = study.ask()  # of a process that is gone
    if begun:
        for parameter in task.parameters:
            parameter.suggested(lost)
    run(study, task, 3, lost=lambda: [lost.number])
    assert [t.state.name for t in study.trials] == ["FAIL", *["COMPLETE"] * 3]
    assert study.trials[0].number == lost.number
    assert task.own in parameters(study)


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_lost_time_and_again_is_given_up(
    make_task: Make, memory: Any, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    task = make_task()
    study = open_study(task, memory)
    monkeypatch.setattr("dfgctl.tuning.search.POLL_SECONDS", 0)
    for number in range(TRIES + 1):
        lost, stop = study.ask(), Stop()
        assert lost.number == number
        if begun:
            for parameter in task.parameters:
                assert parameter.suggested(lost) == task.own[parameter.key]

        def told(lost: optuna.Trial = lost, stop: Stop = stop) -> list[int]:
            stop.request("interrupted")
            return [lost.number]

        with pytest.raises(StoppedError):
            run(study, task, 1, stop=stop, lost=told)
    run(study, task, 2)
    assert [t.state.name for t in study.trials] == ["FAIL"] * (TRIES + 1) + ["COMPLETE"] * 2
    assert task.own not in parameters(study)
