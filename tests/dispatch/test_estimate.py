"""What a plan will take: by earlier runs, else by the recipe, else unknown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from dfgctl.dispatch.estimate import estimate
from dfgctl.dispatch.plan import Plan
from dfgctl.recipe import CostSettings
from dfgctl.records import Metrics, PlannedRun, Run

Make = Callable[..., Plan]


def earlier(planned: PlannedRun, train: float, evaluation: float, **changes: Any) -> Run:
    metrics = Metrics(0.5, 0.5, 0, 0.5, 0.5, 0.5, (), None, None, (), train, evaluation)
    return Run(
        id=planned.id,
        spec=replace(planned.spec, **changes),
        status="finished",
        class_counts=planned.class_counts,
        created_at=datetime(2026, 1, 1),
        attempts=1,
        outcome="finished",
        error=None,
        metrics=metrics,
        result_attempt=1,
        device="CPU",
        dirty=False,
    )


def test_earlier_runs_tell_the_time_of_a_step_and_of_an_evaluation(make_plan: Make) -> None:
    plan = make_plan(methods=("original",), repeats=2, steps=100)  # evaluated at 0, 50, 100
    known = earlier(plan.runs[0], train=20.0, evaluation=4.0, steps=150)  # 4 evaluations
    guess = estimate(plan.runs, [known], plan.recipe)
    assert guess.seconds == pytest.approx(2 * (100 * 20 / 150 + 3 * 1.0))
    assert guess.basis == "earlier runs in this registry"


def test_runs_with_the_same_settings_tell_more_than_others(make_plan: Make) -> None:
    (run,) = make_plan(methods=("original",), repeats=1, steps=100).runs
    other = {"original": {**run.spec.settings["original"], "batch_size": 512}}
    same, unlike = earlier(run, 10.0, 0.0), earlier(run, 1000.0, 0.0, settings=other)
    recipe = make_plan(repeats=1).recipe
    assert estimate([run], [unlike, same, unlike], recipe).seconds == pytest.approx(10)
    assert estimate([run], [unlike], recipe).seconds == pytest.approx(1000)


@pytest.mark.parametrize("change", [{"method": "dfg"}, {"dataset": "x"}, {"backbone": "vgg16"}])
def test_runs_of_another_kind_tell_nothing(make_plan: Make, change: dict[str, str]) -> None:
    plan = make_plan(methods=("original",), repeats=1, steps=100)
    recipe = plan.recipe.model_copy(update={"cost": None})
    assert estimate(plan.runs, [earlier(plan.runs[0], 1, 1, **change)], recipe).seconds is None


def test_without_earlier_runs_the_recipe_s_measurement_serves(make_plan: Make) -> None:
    plan = make_plan(methods=("original", "dfg"), repeats=1, steps=100)
    cost = CostSettings(
        machine="a CPU", original=0.5, finetune=9, delta=9, difa=9, dfg=2.0, evaluation=0.25
    )
    guess = estimate(plan.runs, [], plan.recipe.model_copy(update={"cost": cost}))
    assert guess.seconds == pytest.approx(100 * 0.5 + 100 * 2.0 + 2 * 3 * 0.25)
    assert guess.basis == "the recipe's measurement (a CPU)"


def test_without_anything_to_go_by_the_time_is_unknown(make_plan: Make) -> None:
    plan = make_plan(methods=("original", "dfg"), repeats=1)
    recipe = plan.recipe.model_copy(update={"cost": None})
    known = [earlier(plan.runs[0], 1, 1)]
    assert estimate(plan.runs[:1], known, recipe).seconds is not None
    assert estimate(plan.runs, known, recipe).seconds is None


def test_a_run_with_more_networks_takes_more_of_the_disk(make_plan: Make) -> None:
    ways: list[dict[str, Any]] = [
        {"methods": ("original",)},
        {"methods": ("original",), "protocol": "released"},  # F09: larger dense layers
        {"methods": ("dfg",)},
        {"methods": ("difa",)},
    ]
    plans = [make_plan(**way, repeats=1) for way in ways]
    disk = [estimate(p.runs, [], p.recipe).disk for p in plans]
    assert disk == sorted(disk)
    assert [round(d / 4, -5) for d in disk] == [100_000, 500_000, 600_000, 700_000]


def test_nothing_to_train_takes_nothing(make_plan: Make) -> None:
    guess = estimate([], [], make_plan(repeats=1).recipe)
    assert (guess.seconds, guess.disk) == (0, 0)
