"""Which packs are measured, on which pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dfgctl.bench import planning
from dfgctl.bench.records import Job
from dfgctl.errors import InputError, UnknownNameError

Jobs = Callable[..., list[Job]]


def test_packs_are_prefixes_of_the_plans_repeats(make_jobs: Jobs) -> None:
    jobs = make_jobs("finetune", "dfg", packs=(1, 3))
    assert [(j.runs[0].spec.method, len(j.runs)) for j in jobs] == [
        ("finetune", 1),
        ("finetune", 3),
        ("dfg", 1),
        ("dfg", 3),
    ]
    assert jobs[1].runs[:1] == jobs[0].runs
    assert len({run.spec.group() for run in jobs[3].runs}) == 1
    assert len({run.spec.combination for run in jobs[3].runs}) == 3
    assert {j.source_classes for j in jobs} == {10}
    assert {j.graphs for j in jobs} == {False}


def test_original_needs_no_source(make_jobs: Jobs) -> None:
    (job,) = make_jobs("original")
    assert job.source_classes is None


def test_settings_reach_the_runs(make_jobs: Jobs) -> None:
    (job,) = make_jobs("dfg", settings=("dfg.n_D=3",))
    assert job.runs[0].spec.settings["dfg"]["n_D"] == 3


def test_a_sweep_is_refused(make_jobs: Jobs) -> None:
    with pytest.raises(InputError, match="one value of a setting"):
        make_jobs("dfg", settings=("dfg.n_D=3,4",))


@pytest.mark.parametrize(
    ("name", "backbone", "dataset", "network"),
    [
        (None, None, "digits", "lenet5"),
        (None, "vgg16", "cinic10", "vgg16"),
        (None, "resnet50", "caltech256", "resnet50"),
        ("svhn", None, "svhn", "lenet5"),
        ("svhn", "vgg16", "svhn", "vgg16"),
    ],
)
def test_a_network_goes_with_a_data_set(
    name: str | None, backbone: str | None, dataset: str, network: str
) -> None:
    recipe, info = planning.recipe_of(name, backbone)
    assert (recipe.name, info.name, recipe.backbone) == (dataset, dataset, network)


def test_unknown_networks_and_precisions_are_refused(make_jobs: Jobs) -> None:
    with pytest.raises(UnknownNameError, match="vgg16"):
        planning.recipe_of(None, "vgg")
    with pytest.raises(UnknownNameError, match="fp32"):
        make_jobs("original", precisions=("fp32", "fp16"))
    with pytest.raises(InputError, match="--precision tf32 needs an NVIDIA GPU"):
        make_jobs("original", precisions=("tf32",))


def test_random_pictures_of_a_large_data_set_are_few(tmp_path: Path) -> None:
    found = planning.subject(
        *planning.recipe_of("caltech256", None), tmp_path, tmp_path, synthetic=False
    )
    assert found.synthetic
    counts = (found.found.train_counts, found.found.test_counts)
    assert [len(c) for c in counts] == [257, 257]
    assert min(map(min, counts)) >= 2
    assert sum(map(sum, counts)) * 3 * 256**2 <= 2 * planning.RANDOM_BYTES
    assert found.note.startswith("Caltech-256 is not in ")
    assert "set-up" in found.note


def test_pictures_can_be_random_where_the_true_ones_are_here(tmp_path: Path) -> None:
    found = planning.subject(*planning.recipe_of(None, None), tmp_path, tmp_path, synthetic=True)
    assert found.synthetic
    assert found.note == "Random pictures of its shape are measured for Digits."
    assert sum(found.found.train_counts) == found.info.train


def test_another_precision_is_a_setting_of_the_run_and_fp32_is_left_out(make_jobs: Jobs) -> None:
    single, rough = make_jobs("original", precisions=("fp32", "bf16"))
    assert (single.precision, rough.precision) == ("fp32", "bf16")
    settings = rough.runs[0].spec.settings
    assert settings == {**single.runs[0].spec.settings, "numerics": {"precision": "bf16"}}
    assert "numerics" not in single.runs[0].spec.settings
