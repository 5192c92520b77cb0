"""Runs as a registry would hand them out, made directly."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.records import Metrics, Run, RunSpec
from dfgctl.settings import METHOD_SECTIONS

MakeRun = Callable[..., Run]


def _metrics(accuracy: float, **others: Any) -> Metrics:
    metrics = Metrics(
        accuracy_last=accuracy,
        accuracy_best=accuracy,
        best_step=50,
        balanced_accuracy=accuracy,
        macro_f1=accuracy,
        gmean=accuracy,
        recalls=(accuracy,) * 10,
        majority_recall=accuracy,
        minority_recall=accuracy,
        confusion=((1,) * 10,) * 10,
        train_seconds=1.0,
        eval_seconds=0.1,
    )
    return replace(metrics, **others)


@pytest.fixture
def make_run() -> MakeRun:
    """Make a run by the recipe, in what is not said otherwise; finished if it has an accuracy.

    ``changed`` gives ``section.key`` settings, ``numerics`` the precision, ``metrics`` what they
    have beside the accuracy, and the rest are fields of the spec or the run.
    """

    def make(
        method: str = "dfg",
        accuracy: float | None = 0.5,
        changed: dict[str, Any] | None = None,
        dataset: str = "digits",
        metrics: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Run:
        recipe = recipes.load(dataset).with_settings(changed or {})
        settings = {name: recipe.section(name).values() for name in METHOD_SECTIONS[method]}
        steps = settings[method].pop("steps")
        if "numerics" in fields:
            settings["numerics"] = {"precision": fields.pop("numerics")}
        own = {n: fields.pop(n) for n in ("status", "class_counts") if n in fields}
        sourced = method != "original"
        spec = RunSpec(
            dataset=dataset,
            source=recipe.sources[0] if sourced else None,
            source_identity="5" * 64 if sourced else None,
            method=method,
            backbone=recipe.backbone,
            protocol="paper",
            ratio=recipe.imbalance.ratio,
            majority=recipe.imbalance.majority,
            majority_count=recipe.imbalance.majority_count,
            combination=(0, 4),
            seed=0,
            steps=steps,
            eval_every=recipe.run.eval_every,
            validation=0.0,
            settings=settings,
            data_digest="d" * 64,
        )
        spec = replace(spec, **fields)
        done = accuracy is not None
        return Run(
            id=spec.identity(),
            spec=spec,
            status=own.get("status", "finished" if done else "queued"),
            class_counts=own.get("class_counts", (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)),
            created_at=datetime(2025, 1, 1, tzinfo=UTC),
            attempts=1,
            outcome="finished" if done else None,
            error=None,
            metrics=None if accuracy is None else _metrics(accuracy, **(metrics or {})),
            result_attempt=1 if done else None,
            device="CPU" if done else None,
            dirty=False if done else None,
            result_device="CPU" if done else None,
            pack_size=1 if done else None,
        )

    return make
