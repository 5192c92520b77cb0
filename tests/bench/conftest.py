"""Packs of the built-in data set that are quick to measure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.bench import planning
from dfgctl.bench.records import Effort, Job

Jobs = Callable[..., list[Job]]


@pytest.fixture
def make_jobs(tmp_path: Path) -> Jobs:
    """Plan packs on the CPU, as ``dfgctl bench`` with these options does."""

    def make(*methods: str, **options: Any) -> list[Job]:
        name, backbone = options.pop("dataset", None), options.pop("backbone", None)
        settings, synthetic = options.pop("settings", ()), options.pop("synthetic", False)
        found = planning.subject(
            *planning.recipe_of(name, backbone), tmp_path / "data", tmp_path, synthetic
        )
        choice = planning.Choice(
            devices=("cpu",),
            precisions=options.pop("precisions", ("fp32",)),
            packs=options.pop("packs", (1,)),
            eager=False,
            threads=1,
            effort=Effort(rounds=2, steps=1),
            data_dir=tmp_path / "data",
            folder=tmp_path,
            **options,
        )
        runs = choice.most(found.recipe.backbone)
        return planning.jobs(found, planning.checked(found, methods, settings, runs), choice)

    return make
