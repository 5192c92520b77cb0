"""The commands that tables tell one to type plan the runs that they speak of."""

import shlex
from dataclasses import replace
from typing import Any

import pytest
import typer

from dfgctl.cli import app
from dfgctl.data.manifest import Manifest
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch.request import Request, check
from dfgctl.report.commands import command

DIGITS = Manifest("digits", "d" * 64, (80,) * 10, (90,) * 10)
GLYPHS = Manifest("glyphs", "g" * 64, (600,) * 10, (100,) * 10)

WAYS: list[dict[str, Any]] = [
    {},
    {"imbalance": "5:1", "majority": 8},
    {"imbalance": "1:1"},
    {"protocol": "released", "settings": ("fidelity.F05=paper",)},
    {"steps": 30, "eval_every": 7, "validation": 0.1},
    {"settings": ("dfg.rho=0.5", "source.steps=20"), "precision": "bf16"},
    {"settings": ("imbalance.majority_count=70",)},
]


def planned(methods: tuple[str, ...], way: dict[str, Any]) -> plans.Plan:
    return plans.make(check(Request("digits", methods=methods, repeats=1, **way)), DIGITS, GLYPHS)


def read(text: str) -> dict[str, Any]:
    """Read a command's words as the command line does."""
    words = shlex.split(text)
    assert words[:2] == ["dfgctl", "run"]
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    given = run.make_context("run", words[2:]).params
    names = ("imbalance", "majority", "protocol", "precision", "steps", "eval_every", "validation")
    way = {name: given[name] for name in names}
    return {**way, "settings": tuple(given["settings"] or ()), "source": given["source"]}


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("method", ["original", "dfg"])
def test_a_command_plans_the_run_that_it_was_made_of(
    make_run: Any, method: str, way: dict[str, Any]
) -> None:
    (run,) = planned((method,), way).runs
    text = command(replace(make_run(method), spec=run.spec))
    assert [r.id for r in planned((method,), read(text)).runs] == [run.id]


def test_what_the_recipe_says_is_left_out(make_run: Any) -> None:
    assert command(make_run(), "--method dfg") == "dfgctl run digits --method dfg"
    odd = make_run(source="file:0123456789")
    assert command(odd) == "dfgctl run digits --source-weights FILE"
