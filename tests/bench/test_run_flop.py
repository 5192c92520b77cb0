"""The FLOP of a run, from a few steps on small batches, are those of all of its steps."""

import json
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from specs import spec

from dfgctl.bench import flops
from dfgctl.bench.flop_cache import FlopCache, key_of, swept_images
from dfgctl.bench.pictures import random_pictures, random_source
from dfgctl.bench.run_flop import flop_of
from dfgctl.contenders import RIVALS
from dfgctl.data.views import VIEWS
from dfgctl.ledger import readings_of
from dfgctl.lookup import CLASSES
from dfgctl.methods import dfg
from dfgctl.records import RunSpec
from dfgctl.training import Trainer

COUNTS = (5, 5, 4, 4, 4, 4, 4, 4, 4, 4)
QUICK = {"dfg": {"n_W": 5, "n_C1": 2, "n_C2": 3, "n_D": 1}, "difa": {"n_D": 1}}


def small(method: str, **changes: object) -> RunSpec:
    own = {"batch_size": 8, **QUICK.get(method, {}), **changes.pop("own", {})}  # type: ignore[dict-item]
    if method not in ("original", *RIVALS):
        changes |= {"source": "glyphs", "source_identity": "5" * 64}
    return spec(method, own=own, steps=11, combination=(0, 1), **changes)


def whole(run: RunSpec) -> int:
    """Count all steps of a run as they are."""
    source = random_source("lenet5", readings_of(run), 10) if run.source_identity else None
    pictures = random_pictures(COUNTS, (2,) * 10, VIEWS["lenet5"])
    cpu = torch.device("cpu")
    made = Trainer([run], [COUNTS], pictures, source, cpu, torch.float32, graphs=False)
    with closing(made) as trainer:
        return sum(flops.count(partial(trainer.step, step)) for step in range(1, run.steps + 1))


@pytest.mark.parametrize("method", CLASSES)
def test_they_are_those_of_the_full_count(method: str) -> None:
    run = small(method)
    assert flop_of(run, COUNTS) == pytest.approx(whole(run), rel=1e-12)


def test_those_of_original_are_worked_out_by_hand() -> None:
    conv1, conv2 = 28**2 * 6 * 25, 10**2 * 16 * 6 * 25
    dense = 400 * 120 + 120 * 84 + 84 * 10
    step = 2 * 8 * (2 * conv1 + 3 * conv2 + 3 * dense)
    assert flop_of(small("original"), COUNTS) == 11 * step


def test_images_that_are_held_out_and_limits_of_a_class_are_not_gone_through() -> None:
    run = small("dfg")
    assert swept_images(run, COUNTS) == sum(COUNTS)
    assert swept_images(replace(run, validation=0.25), COUNTS) == sum(COUNTS) - 10
    assert swept_images(small("dfg", own={"weight_images": 4}), COUNTS) == 40
    released = replace(run, protocol="released")
    assert swept_images(released, (80,) * 10) == 10 * dfg.RELEASED_IMAGES


def test_what_changes_values_alone_has_the_same_flop() -> None:
    run = small("dfg")
    same = [
        replace(run, combination=(2, 3), seed=7, ratio="40:1", source="mnist"),
        replace(run, settings={**run.settings, "numerics": {"precision": "bf16"}}),
        replace(run, settings={**run.settings, "tuned": {"trials": 8, "found": "f" * 64}}),
    ]
    assert {key_of(other, COUNTS) for other in same} == {key_of(run, COUNTS)}
    others = [replace(run, steps=12), small("dfg", own={"n_D": 2}), small("finetune")]
    assert len({key_of(other, COUNTS) for other in (run, *others)}) == 4


def test_a_cache_remembers_and_a_broken_one_is_as_none(tmp_path: Path) -> None:
    run, file = small("original"), tmp_path / "flop.json"
    FlopCache(file).keep(run, COUNTS, 5.0)
    assert FlopCache(file).get(run, COUNTS) == 5.0
    assert FlopCache(file).get(small("finetune"), COUNTS) is None
    key = key_of(run, COUNTS)
    for text in ("{", "[1]", "\x00", json.dumps({key: "many"}), json.dumps({key: -1})):
        file.write_text(text)
        assert FlopCache(file).get(run, COUNTS) is None
    nowhere = FlopCache(tmp_path / "file" / "flop.json")
    (tmp_path / "file").write_text("")
    nowhere.keep(run, COUNTS, 5.0)
    assert nowhere.get(run, COUNTS) == 5.0
