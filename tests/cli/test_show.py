"""The command that remakes a run, also of a method or reading that no recipe has."""

from contextlib import closing
from dataclasses import replace
from typing import Any

from dfgctl.cli.show import command_of
from dfgctl.registry import Registry


def test_protocol_switches_and_a_method_of_ones_own_are_named(trained: Any) -> None:
    with closing(Registry(str(trained.file))) as registry:
        run = next(r for r in registry.runs() if r.spec.method == "original")
    settings = {
        "mine": {"lr": 0.1, "kind": "soft", "batch_size": 8},
        "code": {
            "class": "my.package:Mine",
            "title": "Mine",
            "defaults": {"steps": 500, "lr": 0.2, "kind": "hard", "batch_size": 8},
        },
        "fidelity": {"F05": "paper"},
    }
    spec = replace(run.spec, method="mine", protocol="released", settings=settings, steps=3)
    words = command_of(replace(run, spec=spec), None)
    assert words.startswith("dfgctl run digits --method my.package:Mine ")
    assert " --protocol released --steps 3" in words
    assert words.endswith(" --set mine.lr=0.1 --set mine.kind=soft --set fidelity.F05=paper")
