"""Recipes for pictures of one's own: what they take from the paper's, and how they are written."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfgctl import recipe as recipes
from dfgctl import templates
from dfgctl.contenders import METHODS
from dfgctl.data.catalog import DATASETS
from dfgctl.departures import departures
from dfgctl.errors import UnknownNameError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.recipe import PicturesSettings
from dfgctl.records import AS_IS, Run, RunSpec
from dfgctl.templates import recipe_for, recipe_of, recipes_of, text

MODELS = {"lenet5": "fmnist", "vgg16": "cinic10", "resnet50": "caltech256"}


def spec_of(dataset: str, backbone: str = "lenet5") -> RunSpec:
    return RunSpec(
        dataset=dataset,
        source=None,
        source_identity=None,
        method="original",
        backbone=backbone,
        protocol="paper",
        ratio=AS_IS,
        majority=0,
        majority_count=0,
        combination=(),
        seed=0,
        steps=1,
        eval_every=1,
        validation=0.0,
        settings={},
        data_digest="d" * 64,
    )


@pytest.fixture
def run_of() -> Callable[..., Run]:
    """Make a run of a data set."""

    def make(dataset: str, backbone: str = "lenet5") -> Run:
        spec = spec_of(dataset, backbone)
        nothing: dict[str, Any] = dict.fromkeys(
            ("outcome", "error", "metrics", "result_attempt", "device", "dirty")
        )
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return Run(spec.identity(), spec, "queued", (4, 4), now, 0, **nothing)

    return make


# What is in them


def test_there_is_a_template_for_every_network() -> None:
    assert set(templates.MODELS) == set(templates.SOURCES) == set(BACKBONES)
    assert templates.MODELS == MODELS


@pytest.mark.parametrize("backbone", MODELS)
def test_a_recipe_has_the_papers_settings_for_its_network(backbone: str) -> None:
    made, model = recipe_for("mine", backbone), recipes.load(MODELS[backbone])
    assert (made.name, made.backbone) == ("mine", backbone)
    for section in (*METHODS, "reg", "source"):
        assert getattr(made, section) == getattr(model, section)
    assert made.run.eval_every == model.run.eval_every


@pytest.mark.parametrize("backbone", MODELS)
def test_the_imbalance_is_taken_as_it_is_with_five_seeds(backbone: str) -> None:
    made = recipe_for("mine", backbone, fewest=17)
    assert made.imbalance.values() == {"ratio": AS_IS, "majority": 1, "majority_count": 17}
    assert made.run.repeats == 5


@pytest.mark.parametrize("backbone", MODELS)
def test_measurements_of_another_data_set_are_left_out(backbone: str) -> None:
    made = recipe_for("mine", backbone)
    assert (made.tuning, made.cost, made.pictures) == (None, None, None)


@pytest.mark.parametrize("backbone", MODELS)
def test_every_source_can_be_a_source_and_the_papers_is_the_first(backbone: str) -> None:
    made = recipe_for("mine", backbone)
    assert made.sources[0] == recipes.load(MODELS[backbone]).sources[0]
    assert all("source" in DATASETS[source].roles for source in made.sources)


def test_a_network_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'lenet6': did you mean 'lenet5'"):
        recipe_for("mine", "lenet6")


# How they are written


def written(file: Path, made: recipes.Recipe) -> recipes.Recipe:
    file.write_text(text(made), encoding="utf-8")
    return recipes.read(file)


@pytest.mark.parametrize("fraction", [None, 0.25, 1 / 3])
@pytest.mark.parametrize("backbone", MODELS)
def test_a_recipe_is_read_back_as_it_was(
    backbone: str, fraction: float | None, tmp_path: Path
) -> None:
    pictures = PicturesSettings(folder="/home/me/mine", test_fraction=fraction)
    made = recipe_for("mine", backbone, pictures, fewest=9)
    assert written(tmp_path / "my.toml", made) == made


@pytest.mark.parametrize(
    "folder",
    [
        "/home/me/my pictures",
        '/home/me/"mine"',
        "C:\\Users\\new\\table",
        "/home/Jürgen/Bäume und Sträucher",
        "/home/me/图片 📷",
        "/home/me/it's #1 [x] = y",
        "/home/me/a\ttab",
        "/home/me/line\nbreak",
        "/home/me/\x7f",
    ],
)
def test_a_folders_name_is_read_back_whatever_is_in_it(folder: str, tmp_path: Path) -> None:
    made = recipe_for("mine", "lenet5", PicturesSettings(folder=folder))
    assert written(tmp_path / "my.toml", made).pictures == made.pictures


@given(folder=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_folders_name_is_read_back(folder: str, tmp_path: Path) -> None:
    made = recipe_for("mine", "lenet5", PicturesSettings(folder=folder))
    assert written(tmp_path / "my.toml", made).pictures == made.pictures


@pytest.mark.parametrize("backbone", MODELS)
def test_a_written_recipe_says_what_it_is_and_what_to_type(backbone: str) -> None:
    head = text(recipe_for("mine", backbone)).partition("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    for part in ("mine", BACKBONES[backbone].title, MODELS[backbone], "dfgctl run"):
        assert part in head


def test_what_a_recipe_leaves_open_is_not_written() -> None:
    made = text(recipe_for("mine", "resnet50"))
    for absent in ("[tuning]", "[cost]", "[pictures]", "null", "None"):
        assert absent not in made


def test_an_edited_recipe_departs_where_it_was_edited(tmp_path: Path) -> None:
    made = recipe_for("mine", "lenet5", PicturesSettings(folder="/home/me/mine"))
    file = tmp_path / "my.toml"
    file.write_text(text(made).replace("rho = 0.75", "rho = 0.5"), encoding="utf-8")
    edited = recipes.read(file)
    assert departures(made, {"dfg": edited.dfg.values()}) == ["dfg.rho=0.5"]


# Which recipe a run is held against


def test_a_run_of_a_published_set_is_held_against_its_recipe() -> None:
    assert recipe_of(spec_of("digits")) == recipes.load("digits")


@pytest.mark.parametrize("backbone", MODELS)
def test_a_run_of_ones_own_pictures_is_held_against_its_networks(backbone: str) -> None:
    assert recipe_of(spec_of("mine", backbone)) == recipe_for("mine", backbone)


def test_recipes_of_runs_are_the_published_ones_and_then_those_of_pictures(
    run_of: Callable[..., Run],
) -> None:
    runs = [run_of("zebras"), run_of("digits"), run_of("apes", "vgg16"), run_of("zebras")]
    found = recipes_of(runs)
    assert list(found) == [*recipes.names(), "apes", "zebras"]
    assert found["digits"] == recipes.load("digits")
    assert found["apes"] == recipe_for("apes", "vgg16")


def test_without_runs_there_are_the_published_recipes() -> None:
    assert list(recipes_of([])) == recipes.names()


def test_recipes_of_names_are_those_in_their_order(run_of: Callable[..., Run]) -> None:
    runs = [run_of("apes"), run_of("digits")]
    assert list(recipes_of(runs, ["fmnist", "apes"])) == ["fmnist", "apes"]


def test_a_name_without_recipe_and_run_is_refused(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        recipes_of([run_of("apes")], ["digit"])


def test_a_name_like_that_of_ones_own_pictures_is_offered(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'zebras'"):
        recipes_of([run_of("zebras")], ["zebra"])
