"""Table 1: the paper's numbers beside what is published and what is here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.data.catalog import DATASETS
from dfgctl.records import DatasetCard, Run
from dfgctl.report import published
from dfgctl.report.datasets import make
from dfgctl.report.rendering import render
from dfgctl.report.table import Table
from dfgctl.report.view import View
from dfgctl.templates import recipes_of

RECIPES = {name: recipes.load(name) for name in recipes.names()}


def table(tmp_path: Path, runs: list[Run] | None = None, recipes: Any = RECIPES) -> Table:
    return make(View(runs=runs or [], recipes=recipes, data_dir=tmp_path))


def record(shown: Table, name: str) -> Any:
    return next(r for r in shown.records if r["dataset"] == name)


def test_without_any_runs_every_data_set_is_there(tmp_path: Path) -> None:
    shown = table(tmp_path)
    assert [r["dataset"] for r in shown.records] == recipes.names()
    svhn = record(shown, "svhn")
    assert (svhn["train"], svhn["test"], svhn["paper_train"]) == (73_257, 26_032, 73_237)
    assert (svhn["classifier"], svhn["paper_classifier"]) == ("LeNet-5", "LeNet5")
    assert (svhn["reason"], svhn["remedy"]) == ("not here", "dfgctl data fetch svhn")
    assert any("dfgctl data fetch svhn" in note for note in shown.notes)


def test_what_is_built_in_is_counted(tmp_path: Path) -> None:
    shown = table(tmp_path, recipes={"digits": RECIPES["digits"]})
    digits = record(shown, "digits")
    assert (digits["here_train"], digits["here_test"]) == (896, 901)
    assert digits["paper_train"] is None
    assert shown.notes == []
    assert shown.rows[0][6].lines == ["896", "test 901"]


def test_numbers_that_do_not_agree_have_their_footnotes(tmp_path: Path) -> None:
    notes = table(tmp_path).notes
    for number in ("73,237", "18,000", "30,607", "5:1"):
        assert any(number in note for note in notes), number
    fmnist = table(tmp_path, recipes={"fmnist": RECIPES["fmnist"]})
    assert not any("73,237" in note for note in fmnist.notes)


def test_every_number_of_table_1_that_is_not_the_published_one_has_a_footnote() -> None:
    printed = published.everything()["datasets"]
    names = [name for name in printed if name not in ("place", "footnotes")]
    off = {name for name in names if printed[name][1] != DATASETS[name].train}
    assert off == {"svhn", "cinic10", "caltech256"}
    assert off <= set(printed["footnotes"])
    caltech = DATASETS["caltech256"]
    assert printed["caltech256"][1] == caltech.train + caltech.test
    assert 60 * caltech.class_count == 15_420  # as the footnote says


def test_runs_say_what_they_train_on(make_run: Any, tmp_path: Path) -> None:
    counts = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
    runs = [
        make_run(class_counts=counts),
        make_run(class_counts=(*counts[:9], 7), seed=1),
        make_run(class_counts=(80,) * 10, ratio="1:1", majority=0, combination=()),
    ]
    shown = table(tmp_path, runs)
    assert record(shown, "digits")["trained_on"] == ["1:1: 800", "10:1: 223 to 224"]
    assert record(shown, "svhn")["trained_on"] == []


def test_a_broken_data_set_is_said_to_be_broken(tmp_path: Path) -> None:
    for name in ("train_32x32.mat", "test_32x32.mat"):
        (tmp_path / name).write_bytes(b"nothing")
    shown = table(tmp_path, recipes={"svhn": RECIPES["svhn"]})
    assert record(shown, "svhn")["reason"] == "broken"
    assert any("train_32x32.mat" in note for note in shown.notes)


@pytest.mark.parametrize("here", [True, False])
def test_pictures_of_ones_own_are_counted_where_they_lie(
    make_run: Any, tmp_path: Path, here: bool
) -> None:
    folder = tmp_path / "flowers"
    for name in ("train/a", "train/b", "test/a", "test/b") if here else ():
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").touch()
    card = DatasetCard("d" * 64, "flowers", "Flowers", ("a", "b"), str(folder))
    run = make_run("original", dataset="digits")
    run = replace(run, spec=replace(run.spec, dataset="flowers"), card=card)
    shown = table(tmp_path, [run], recipes_of([run], ["flowers"]))
    found = record(shown, "flowers")
    assert (found["title"], found["classes"], found["train"]) == ("Flowers", 2, None)
    assert (found["here_train"], found["here_test"]) == ((2, 2) if here else (None, None))
    assert found["reason"] == ("" if here else "not here")


@pytest.mark.parametrize("kind", ["md", "latex", "csv", "json", "html"])
def test_it_can_be_written(tmp_path: Path, kind: str) -> None:
    assert "Caltech-256" in render(table(tmp_path), kind)
