"""How runs and classes are named in a figure."""

from typing import Any

import pytest

from dfgctl.report.names import fit, in_legend, of_one


def test_a_run_is_named_with_where_it_departs_from_its_recipe(make_run: Any) -> None:
    run = make_run(changed={"dfg.rho": 0.25})
    assert of_one(run) == (
        "DFG on Digits (10:1, majority {0, 4}, seed 0, source glyphs), "
        f"run {run.id[:10]}, dfg.rho=0.25"
    )


def test_long_names_keep_their_ends() -> None:
    assert fit("short") == "short"
    assert fit("Long Name of Class 12") == "Long Nam… Class 12"
    assert len(fit("x" * 99)) == 18


@pytest.mark.parametrize(
    ("name", "shown"), [("plain", "plain"), ("_noise_", " _noise_"), ("$5 or $6", r"\$5 or \$6")]
)
def test_a_legend_shows_odd_names_as_they_are(name: str, shown: str) -> None:
    assert in_legend(name) == shown
