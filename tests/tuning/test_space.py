"""What is searched is what settings declare, around the recipe's own values."""

from typing import Any

import pytest
from pydantic import Field

from dfgctl import plugins
from dfgctl.dispatch.request import Request, check
from dfgctl.settings import METHOD_SECTIONS, PlainSettings, searched
from dfgctl.tuning.space import Parameter, space, with_shorter_schedules


def found(method: str, *fixed: str, **options: Any) -> dict[str, Parameter]:
    checked = check(Request("digits", methods=(method,)))
    variant = checked.variants[0]
    return {p.key: p for p in space(variant, checked.methods[0], fixed, **options)}


def test_rates_are_searched_in_two_decades_around_the_recipes_and_steps_by_shares() -> None:
    plain = found("original")
    assert list(plain) == ["original.steps", "original.lr"]
    assert plain["original.steps"].choices == (150, 300, 600)
    assert (plain["original.lr"].low, plain["original.lr"].high) == (1e-2 / 10, 1e-2 * 10)
    assert plain["original.lr"].log


def test_what_is_fixed_is_not_searched() -> None:
    assert list(found("original", "original.lr")) == ["original.steps"]
    assert list(found("original", whole=True)) == ["original.lr"]


@pytest.mark.parametrize("method", METHOD_SECTIONS)
@pytest.mark.parametrize("dataset", ["digits", "fmnist", "cinic10", "caltech256"])
def test_the_recipes_own_values_lie_in_every_space_and_all_values_are_allowed(
    method: str, dataset: str
) -> None:
    checked = check(Request(dataset, methods=(method,)))
    variant = checked.variants[0]
    parameters = space(variant, checked.methods[0])
    assert not any(p.key.endswith(".init") for p in parameters)
    ends: list[dict[str, Any]] = [{}, {}]
    for p in parameters:
        if p.choices:
            assert p.own in p.choices
            ends[0][p.key], ends[1][p.key] = p.choices[0], p.choices[-1]
        else:
            assert p.low is not None
            assert p.high is not None
            assert p.low <= p.own <= p.high
            ends[0][p.key], ends[1][p.key] = p.low, p.high
    for values in ends:
        changed = variant.with_values(values)
        for key, value in values.items():
            section, _, name = key.partition(".")
            assert getattr(changed.section(section), name) == value


def test_a_methods_own_parameters_are_searched() -> None:
    assert found("cbloss")["cbloss.loss"].choices == ("softmax", "focal")
    assert {"reg.alpha", "reg.beta", "delta.lr"} <= set(found("delta"))
    assert {"dfg.eta_E", "dfg.eta_G", "dfg.n_C1", "dfg.rho", "dfg.delta"} <= set(found("dfg"))
    assert {"difa.share_0", "difa.eta_H"} <= set(found("difa"))
    assert found("smote")["smote.neighbours"].low == 1


def test_a_recipes_zero_has_no_neighbourhood_and_an_odd_choice_is_added() -> None:
    class OddSettings(PlainSettings):
        steps: int = Field(default=8, gt=0)
        batch_size: int = Field(default=2, gt=1)
        lr: float = searched(around=(2, 4), default=1.0, gt=0, lt=10)
        weight: float = searched(around=10, default=0.0, ge=0)
        kind: str = searched(among=("a", "b"), default="c")
        width: int = searched(between=(2, 6), default=9)

    method = plugins.MethodInfo("odd", "Odd", ("odd",), OddSettings, False)
    own = check(Request("digits", methods=("original",))).variants[0]
    variant = type(own)(own.changes, own.recipe, own.readings, {"odd": OddSettings()})
    parameters = {p.key: p for p in space(variant, method)}
    assert list(parameters) == ["odd.steps", "odd.lr", "odd.kind", "odd.width"]
    assert parameters["odd.steps"].choices == (2, 4, 8)
    assert (parameters["odd.lr"].low, parameters["odd.lr"].high) == (0.5, 4.0)
    assert parameters["odd.kind"].choices == ("c", "a", "b")
    assert (parameters["odd.width"].low, parameters["odd.width"].high) == (2, 9)


def test_what_counts_steps_is_shortened_with_them() -> None:
    checked = check(Request("cinic10", methods=("dfg", "original")))
    original, dfg = checked.methods
    variant = checked.variants[0]
    half = with_shorter_schedules(variant, original, {"original.steps": 10_000, "original.lr": 0.1})
    assert half == {
        "original.lr_decay_step": 7_500,  # of 15,000
        "original.steps": 10_000,
        "original.lr": 0.1,
    }
    assert with_shorter_schedules(variant, dfg, {"dfg.steps": 10_000})["dfg.n_W"] == 1250
    steps = {"dfg.steps": 10_000}
    assert with_shorter_schedules(variant, dfg, steps, fixed=("dfg.n_W",)) == steps
    whole = {"original.steps": 20_000}
    assert with_shorter_schedules(variant, original, whole) == whole


def test_a_value_near_an_end_of_its_range_is_at_its_edge() -> None:
    rate = Parameter("a.lr", 1e-2, 1e-3, 1e-1, log=True)
    assert [rate.at_edge(v) for v in (1e-3, 1.25e-3, 1.3e-3, 1e-2, 0.079, 0.08, 0.1)] == [
        *(True, True, False, False, False, True, True)
    ]
    assert not Parameter("a.kind", "x", choices=("x", "y")).at_edge("x")
