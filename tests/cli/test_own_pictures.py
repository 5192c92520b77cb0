"""``dfgctl run ./folder``: pictures of one's own get all that a published data set gets."""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from refusals import refused

from dfgctl.contenders import METHODS
from dfgctl.networks import vgg16

Cli = Callable[..., Any]
Make = Callable[..., Path]
LENET5 = ("--backbone", "lenet5")
QUICK = ("--repeats", "1", "--steps", "1", "--device", "cpu")
GLYPHS = ("--source", "glyphs", "--set", "source.steps=2")
ORIGINAL = (*LENET5, "--method", "original", *QUICK)
"""What needs no source network."""


@pytest.fixture
def mine(own_pictures: Make) -> Path:
    """A folder with 6 cats and 4 dogs for training, and 2 of each for testing."""
    root = own_pictures()
    for i in (4, 5):
        add(root / "train" / "cat" / f"picture {i}.png", i)
    return root


def add(file: Path, value: int) -> None:
    Image.new("L", (20, 30), value).save(file)


def ids(result: Any) -> list[str]:
    assert result.code == 0, result.err
    return [run["id"] for run in result.json]


def planned(cli: Cli, *words: object) -> list[str]:
    return ids(cli(*words, "--dry-run", "--json"))


def flat(text: str) -> str:
    """Join what was folded to fit a narrow terminal."""
    return " ".join(text.split())


def label(table: str) -> str:
    """Return the first column of a table, joined without blanks."""
    rows = [line[:24].strip() for line in table.splitlines()]
    return "".join(rows)


# From a folder to a table


def test_all_methods_train_on_a_folder_as_it_is(cli: Cli, mine: Path) -> None:
    result = cli("run", "./mine", *LENET5, *QUICK, *GLYPHS, "--json")
    assert result.code == 0, result.err
    runs = {run["method"]: run for run in result.json}
    assert tuple(runs) == tuple(METHODS)
    for run in runs.values():
        assert (run["dataset"], run["backbone"], run["status"]) == ("mine", "lenet5", "finished")
        assert (run["ratio"], run["majority"], run["combination"]) == ("as-is", 0, [])
        assert run["class_counts"] == [6, 4]
        assert [sum(row) for row in run["metrics"]["confusion"]] == [2, 2]
    assert {m: run["source"] for m, run in runs.items()} == {
        m: None if m == "original" else "glyphs" for m in METHODS
    }
    for run in runs.values():
        command = cli("runs", "show", run["id"], "--json").json["command"]
        assert planned(cli, *shlex.split(command)[1:]) == [run["id"]]
    assert "mine(as-is)†" in label(cli("table").out).replace(" ", "")


def test_the_command_shows_a_table_and_what_it_does(cli: Cli, mine: Path) -> None:
    shown = cli("run", "./mine", *ORIGINAL)
    assert shown.code == 0
    assert shown.out.startswith("Results")
    assert "mine (as-is)" in shown.out
    assert "1 to train" in shown.err


def test_a_table_with_one_method_alone_shows_all_columns_at_80(cli: Cli, mine: Path) -> None:
    shown = cli("run", "./mine", *LENET5, "--method", "finetune", *QUICK, *GLYPHS)
    assert shown.code == 0, shown.err
    assert max(map(len, shown.out.splitlines())) <= 80
    head, _, body = shown.out.partition("───")
    for title in ("Original", "Fine-tuning", "DELTA", "cMWGAN", "DFG"):
        assert title in head
    assert body.split().count("planned") == 4


def test_typed_again_it_has_nothing_left_to_do(cli: Cli, mine: Path) -> None:
    first = cli("run", "./mine", *ORIGINAL, "--json")
    again = cli("run", "mine/", *ORIGINAL, "--json")
    assert ids(first) == ids(again)
    assert "0 to train" in again.err
    assert again.json[0]["attempts"] == 1


def test_it_is_reported_after_the_folder_has_gone(cli: Cli, mine: Path) -> None:
    dfg = (*LENET5, "--method", "dfg", *QUICK, *GLYPHS, "--set", "dfg.rho=0,1")
    before = cli("run", "./mine", *dfg, "--json")
    place = str(mine.resolve())
    shutil.rmtree(mine)
    assert [run["id"] for run in cli("runs", "list", "--dataset", "mine", "--json").json] == ids(
        before
    )
    shown = cli("runs", "show", ids(before)[0])
    assert shown.code == 0
    assert re.search(r"^ ?0 cat +6 ", shown.out, re.MULTILINE)
    assert re.search(r"^ ?1 dog +4 ", shown.out, re.MULTILINE)
    assert place in shown.out
    table = cli("table", "--dataset", "mine", "--format", "md")
    assert table.code == 0
    assert table.out.count("mine (as-is)") == 2
    plot = cli("plot", "rho", "-o", "rho.png")
    assert plot.code == 0, plot.err
    assert "mine" in plot.err
    assert Path("rho.png").stat().st_size > 1000


def test_the_title_of_a_table_is_the_folders_name(cli: Cli, own_pictures: Make) -> None:
    own_pictures("my cats & dogs")
    (run,) = cli("run", "./my cats & dogs", *ORIGINAL, "--json").json
    assert run["dataset"] == "my-cats-dogs"
    assert "my-cats-dogs (as-is)" in cli("table", "--format", "md").out


def test_a_copy_under_another_name_leaves_the_first_its_name(cli: Cli, mine: Path) -> None:
    first = ids(cli("run", "./mine", *ORIGINAL, "--json"))
    shutil.copytree(mine, "copy")
    second = ids(cli("run", "./copy", *ORIGINAL, "--json"))
    assert first != second
    table = cli("table", "--format", "md").out
    assert "mine (as-is)" in table
    assert "copy (as-is)" in table
    command = cli("runs", "show", first[0], "--json").json["command"]
    assert planned(cli, *shlex.split(command)[1:]) == first


# Identity


def test_content_is_part_of_the_identity_and_times_are_not(cli: Cli, mine: Path) -> None:
    plan = ("run", "./mine", *ORIGINAL)
    before = planned(cli, *plan)
    file = mine / "train" / "dog" / "picture 0.png"
    os.utime(file, ns=(1, 1))
    assert planned(cli, *plan) == before
    add(mine / "train" / "dog" / "new.png", 9)
    more = planned(cli, *plan)
    assert more != before
    (mine / "train" / "dog" / "new.png").unlink()
    assert planned(cli, *plan) == before
    add(mine / "test" / "dog" / "picture 0.png", 9)
    assert planned(cli, *plan) not in (before, more)


def test_pictures_that_change_after_the_plan_are_not_trained_on(
    cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(*_: Any, **__: Any) -> None:
        add(mine / "train" / "dog" / "new.png", 9)

    monkeypatch.setattr("dfgctl.cli.summary.announce", change)
    result = cli("run", "./mine", *ORIGINAL, "--json")
    assert result.code != 0
    assert "mine" in result.err
    assert [r["status"] for r in cli("runs", "list", "--json").json] != ["finished"]


def test_results_of_other_pictures_are_told_apart(cli: Cli, mine: Path) -> None:
    cli("run", "./mine", *ORIGINAL)
    add(mine / "train" / "dog" / "new.png", 9)
    cli("run", "./mine", *ORIGINAL)
    rows = [line for line in cli("table", "--format", "md").out.splitlines() if "mine" in line]
    assert len(rows) == 2
    assert len({re.findall("data [0-9a-f]{7}", row)[0] for row in rows}) == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--imbalance", "2:1", "--majority", "1", "--combinations", "1"),
        ("--imbalance", "1:1"),
        ("--validation", "0.25"),
        ("--eval-every", "3", "--seed", "7"),
        ("--protocol", "released", "--set", "original.lr=0.1"),
    ],
    ids=" ".join,
)
def test_the_command_of_a_run_remakes_it(cli: Cli, mine: Path, words: tuple[str, ...]) -> None:
    (run_id,) = ids(cli("run", "./mine", *ORIGINAL, *words, "--json"))
    command = cli("runs", "show", run_id, "--json").json["command"]
    assert planned(cli, *shlex.split(command)[1:]) == [run_id]


def test_the_command_of_a_run_quotes_the_folder_and_has_the_fraction(
    cli: Cli, own_pictures: Make
) -> None:
    own_pictures('my "cats" & it\'s dogs', train=6, test=0)
    words = ("run", './my "cats" & it\'s dogs', *ORIGINAL, "--test-fraction", "0.4")
    (run_id,) = ids(cli(*words, "--json"))
    command = cli("runs", "show", run_id, "--json").json["command"]
    assert planned(cli, *shlex.split(command)[1:]) == [run_id]


# What is made of a folder


def test_an_imbalance_is_made(cli: Cli, mine: Path) -> None:
    made = ("--imbalance", "2:1", "--majority", "1", "--repeats", "2")
    result = cli("run", "./mine", *ORIGINAL, *made, "--json")
    assert result.code == 0, result.err
    assert [(r["combination"], r["class_counts"]) for r in result.json] == [
        ([0], [4, 2]),
        ([1], [2, 4]),
    ]
    assert {r["ratio"] for r in result.json} == {"2:1"}


def test_tables_agree_on_what_a_made_imbalance_is(cli: Cli, mine: Path) -> None:
    made = cli("run", "./mine", *ORIGINAL, "--imbalance", "2:1")
    assert made.out == cli("table").out


def test_a_share_of_a_folder_tests(cli: Cli, own_pictures: Make) -> None:
    own_pictures(train=5, test=0)
    result = cli("run", "./mine", *ORIGINAL, "--test-fraction", "0.4", "--json")
    assert result.code == 0, result.err
    (run,) = result.json
    assert run["class_counts"] == [3, 3]
    assert [sum(row) for row in run["metrics"]["confusion"]] == [2, 2]


def test_colour_pictures_train_vgg16(
    cli: Cli, mine: Path, small_data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg16, "DENSE", (64, 32))
    small_data("cifar10", train=2, test=1)
    few = ("--set", "source.steps=1", "--set", "source.batch_size=2")
    few += ("--set", "finetune.batch_size=2")
    words = ("--backbone", "vgg16", "--method", "finetune", *QUICK, *few)
    (run,) = cli("run", "./mine", *words, "--json").json
    assert (run["backbone"], run["source"], run["status"]) == ("vgg16", "cifar10", "finished")
    assert run["class_counts"] == [6, 4]


def test_two_networks_on_one_folder_are_two_rows(
    cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg16, "DENSE", (64, 32))
    small = ("--method", "original", *QUICK, "--set", "original.batch_size=2")
    first = ids(cli("run", "./mine", *LENET5, *small, "--json"))
    second = ids(cli("run", "./mine", "--backbone", "vgg16", *small, "--json"))
    assert first != second
    rows = [line for line in cli("table", "--format", "md").out.splitlines() if "mine" in line]
    assert len(rows) == 2
    assert sum("network" in row for row in rows) == 1
    for run_id, network in ((first, "lenet5"), (second, "vgg16")):
        assert f"on {network}" in cli("runs", "show", run_id[0]).out


# Broken pictures


@pytest.fixture
def broken(mine: Path) -> Path:
    """A folder with a broken picture for training and one for testing."""
    (mine / "train" / "cat" / "broken.png").write_bytes(b"no picture")
    (mine / "test" / "dog" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    return mine


def test_broken_pictures_are_named_counted_and_left_out(cli: Cli, broken: Path) -> None:
    result = cli("run", "./mine", *ORIGINAL, "--json")
    assert result.code == 0
    assert "2 broken pictures" in flat(result.err)
    assert "test/dog/cut.jpg" in result.err
    assert "train/cat/broken.png" in result.err
    assert "--strict" in result.err
    assert result.json[0]["class_counts"] == [6, 4]
    with_them = ids(result)
    (broken / "train" / "cat" / "broken.png").unlink()
    (broken / "test" / "dog" / "cut.jpg").unlink()
    assert planned(cli, "run", "./mine", *ORIGINAL) == with_them


def test_strict_stops_at_broken_pictures(cli: Cli, broken: Path) -> None:
    result = cli("run", "./mine", *ORIGINAL, "--strict")
    refused(result, "2 pictures in ", "test/dog/cut.jpg", "train/cat/broken.png", "--strict")
    assert cli("runs", "list", "--json").json == []


def test_strict_is_content_with_whole_pictures(cli: Cli, mine: Path) -> None:
    assert planned(cli, "run", "./mine", *ORIGINAL, "--strict") == planned(
        cli, "run", "./mine", *ORIGINAL
    )


def test_a_new_recipe_counts_broken_pictures(cli: Cli, broken: Path) -> None:
    made = cli("recipe", "new", "./mine", *LENET5)
    assert made.code == 0
    assert "2 broken pictures" in made.err
    refused(cli("recipe", "new", "./mine", *LENET5, "--strict"), "2 pictures", "cut.jpg")


# A look before training


def test_a_dry_run_shows_the_plan_and_leaves_nothing(cli: Cli, mine: Path) -> None:
    shown = cli("run", "./mine", *LENET5, *GLYPHS, "--repeats", "2", "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert "mine: 10 runs" in shown.out
    assert "10 to train" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    for run in cli("run", "./mine", *LENET5, *GLYPHS, "--repeats", "2", "--dry-run", "--json").json:
        assert (run["dataset"], run["ratio"], run["status"]) == ("mine", "as-is", "new")
        assert run["class_counts"] == [6, 4]
    assert list(Path().iterdir()) == [Path("mine")]


def test_classes_as_they_are_are_not_called_balanced(cli: Cli, mine: Path) -> None:
    assert "balanced" not in cli("run", "./mine", *ORIGINAL, "--dry-run").out
    (run_id,) = ids(cli("run", "./mine", *ORIGINAL, "--json"))
    assert "balanced" not in cli("runs", "list").out
    assert "classes balanced" not in cli("runs", "show", run_id).out


def test_by_default_all_methods_have_five_seeds_and_the_papers_steps(cli: Cli, mine: Path) -> None:
    plan = cli("run", "./mine", *LENET5, "--source", "glyphs", "--dry-run", "--json").json
    assert len(plan) == 5 * len(METHODS)
    assert {run["seed"] for run in plan} == set(range(5))
    assert {run["steps"] for run in plan if run["method"] == "dfg"} == {20_000}


# A recipe of one's own


@pytest.fixture
def recipe(cli: Cli, mine: Path) -> Path:
    """The recipe that ``recipe new`` writes."""
    made = cli("recipe", "new", "./mine", *LENET5)
    assert (made.code, made.err) == (0, "")
    file = Path("my.toml")
    file.write_text(made.out, encoding="utf-8")
    return file


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("words", [(), ("--imbalance", "2:1"), ("--imbalance", "1:1")])
def test_a_new_recipe_plans_what_the_folder_does(
    cli: Cli, recipe: Path, words: tuple[str, ...]
) -> None:
    plan = ("--source", "glyphs", *words)
    assert planned(cli, "run", recipe, *plan) == planned(cli, "run", "./mine", *LENET5, *plan)


def test_a_new_recipe_of_a_folder_without_test_has_the_fraction(
    cli: Cli, own_pictures: Make
) -> None:
    own_pictures("flat", train=6, test=0)
    fraction = ("--test-fraction", "0.3")
    made = cli("recipe", "new", "./flat", *LENET5, *fraction)
    Path("my.toml").write_text(made.out)
    plan = ("--method", "original")
    assert planned(cli, "run", "my.toml", *plan) == planned(
        cli, "run", "./flat", *LENET5, *fraction, *plan
    )


def test_an_edited_recipe_departs_and_tables_say_where(cli: Cli, recipe: Path) -> None:
    plain = planned(cli, "run", recipe, *ORIGINAL[2:])
    before, section, rest = recipe.read_text(encoding="utf-8").partition("[original]\n")
    assert "\nlr = 0.001" in rest.partition("[finetune]")[0]
    changed = rest.replace("\nlr = 0.001", "\nlr = 0.25", 1)
    recipe.write_text(before + section + changed, encoding="utf-8")
    shown = cli("run", recipe, *ORIGINAL[2:])
    assert shown.code == 0, shown.err
    runs = cli("runs", "list", "--json").json
    assert [run["settings"]["original"]["lr"] for run in runs] == [0.25]
    assert [run["id"] for run in runs] != plain
    assert "original.lr=0.25" in cli("table", "--format", "md").out
    command = cli("runs", "show", runs[0]["id"], "--json").json["command"]
    assert planned(cli, *shlex.split(command)[1:]) == [runs[0]["id"]]
    assert "original.lr=0.25" in label(shown.out)


def test_a_recipe_of_a_published_set_can_be_edited(cli: Cli) -> None:
    Path("my.toml").write_text(cli("recipe", "show", "digits").out, encoding="utf-8")
    plan = ("--repeats", "2", "--steps", "1", "--method", "original")
    assert planned(cli, "run", "my.toml", *plan) == planned(cli, "run", "digits", *plan)
    result = cli("run", "my.toml", *plan, "--device", "cpu", "--json")
    assert {run["dataset"] for run in result.json} == {"digits"}


def test_a_recipe_whose_pictures_have_moved_is_edited(cli: Cli, recipe: Path) -> None:
    before = planned(cli, "run", recipe, *ORIGINAL[2:])
    Path("deeper").mkdir()
    Path("mine").rename("deeper/mine")
    refused(cli("run", recipe, *ORIGINAL[2:], "--dry-run"), "There is no folder")
    edit(recipe, str(Path("mine").resolve()), str(Path("deeper/mine").resolve()))
    assert planned(cli, "run", recipe, *ORIGINAL[2:]) == before


@pytest.mark.parametrize("name", ["other", "digits", "svhn"])
def test_a_name_that_is_not_the_folders_is_trained_or_refused_and_mixed_with_nothing(
    cli: Cli, recipe: Path, name: str
) -> None:
    edit(recipe, 'name = "mine"', f'name = "{name}"')
    result = cli("run", recipe, *ORIGINAL[2:], "--json")
    if result.code == 0:
        assert name == "other"
        assert [(r["dataset"], r["class_counts"]) for r in result.json] == [("other", [6, 4])]
    else:
        refused(result, name)
        assert cli("runs", "list", "--json").json == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "mine"', "name = ", ["my.toml is no TOML", "line 7"]),
        ("rho = 0.75", "roh = 0.75", ["my", "dfg.roh"]),
        ("rho = 0.75", "rho = 2", ["my", "dfg.rho", "less than or equal to 1"]),
        ("[pictures]", "colour = 1\n[pictures]", ["my", "colour"]),
        ('"glyphs"]', '"glyfs"]', ["'glyfs'", "did you mean 'glyphs'"]),
        ('backbone = "lenet5"', 'backbone = "lenet"', ["'lenet'", "did you mean 'lenet5'"]),
        ('ratio = "as-is"', 'ratio = "asis"', ["'asis'", "as-is"]),
        ("[dfg]\n", "[dfg]\n[dgf]\n", ["my"]),
    ],
    ids=["no TOML", "key", "range", "top key", "source", "network", "ratio", "section"],
)
def test_a_mistake_in_a_recipe_is_one_sentence(
    cli: Cli, recipe: Path, old: str, new: str, says: list[str]
) -> None:
    edit(recipe, old, new)
    refused(cli("run", recipe, "--dry-run"), *says)


def test_a_recipe_that_cannot_be_read_is_named(cli: Cli) -> None:
    refused(cli("run", "no.toml"), "no.toml cannot be read")
    Path("folder.toml").mkdir()
    refused(cli("run", "folder.toml"), "folder.toml")
    Path("odd.toml").write_bytes(b"name = '\xff'")
    refused(cli("run", "odd.toml"), "odd.toml is no TOML")


@pytest.mark.parametrize("words", [LENET5, ("--test-fraction", "0.2")])
def test_options_that_a_recipe_answers_are_refused(
    cli: Cli, recipe: Path, words: tuple[str, ...]
) -> None:
    refused(cli("run", recipe, *words), "change it there")


# What cannot be


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("./mine",), ["mine is a folder", "--backbone lenet5, vgg16 or resnet50"]),
        (("./mine", "--backbone", "lenet6"), ["'lenet6'", "did you mean 'lenet5'"]),
        (("./mine", *LENET5, "--source", "cifar10"), ["source of mine", "'cifar10'", "glyphs"]),
        (("./mine", *LENET5, "--source", "glyph"), ["did you mean 'glyphs'"]),
        (("./mine", *LENET5, "--test-fraction", "0.2"), ["leave --test-fraction out"]),
        (("./mine", *LENET5, "--combinations", "0"), ["leave --combinations out"]),
        (("./mine", *LENET5, "--imbalance", "2:1", "--majority", "2"), ["2 majority classes of 2"]),
        (("./mine", *LENET5, "--split", "block2"), ["leave --split out"]),
        (("./nowhere", *LENET5), ["There is no folder ./nowhere"]),
        (("digits", *LENET5), ["--backbone", "leave it out for digits"]),
        (("digits", "--test-fraction", "0.2"), ["--test-fraction", "leave it out"]),
        (("digits", "--strict"), ["--strict", "leave it out"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    cli: Cli, mine: Path, words: tuple[str, ...], says: list[str]
) -> None:
    refused(cli("run", *words), *says)
    left = {p for p in Path().rglob("*.*") if not p.is_relative_to("mine")}
    assert left <= {Path("results/manifests/checksums.json")}


@pytest.mark.parametrize("command", [("run",), ("recipe", "new")], ids=" ".join)
def test_a_folder_that_is_no_data_set_is_refused(
    cli: Cli, own_pictures: Make, command: tuple[str, ...]
) -> None:
    own_pictures("flat", test=0)
    refused(cli(*command, "./flat", *LENET5), "--test-fraction 0.2")
    own_pictures("digits")
    refused(cli(*command, "./digits", *LENET5), "published data set 'digits'", "rename")
    shutil.rmtree(own_pictures("one") / "train" / "dog")
    refused(cli(*command, "./one", *LENET5), "test/dog")
    shutil.rmtree(Path("one") / "test" / "dog")
    refused(cli(*command, "./one", *LENET5), "needs two classes")
    Path("empty").mkdir()
    refused(cli(*command, "./empty", *LENET5), "no folders train and test")
    refused(cli(*command, "./empty", *LENET5, "--test-fraction", "0.2"), "needs two classes")
    refused(cli("recipe", "new", "./nowhere", *LENET5), "There is no folder nowhere")


def test_a_published_name_is_the_published_set_also_beside_a_folder_of_that_name(
    cli: Cli, own_pictures: Make
) -> None:
    own_pictures("digits")
    plan = cli("run", "digits", "--method", "original", "--repeats", "1", "--dry-run", "--json")
    assert len(plan.json[0]["class_counts"]) == 10


def test_a_name_that_is_not_known_offers_those_of_ones_own_runs(cli: Cli, mine: Path) -> None:
    cli("run", "./mine", *ORIGINAL)
    for command in (("table",), ("runs", "list"), ("plot", "rho")):
        refused(cli(*command, "--dataset", "min"), "did you mean 'mine'")


def test_a_plot_that_lacks_runs_says_how_to_train_them_on_a_folder(cli: Cli, mine: Path) -> None:
    cli("run", "./mine", *ORIGINAL)
    shown = cli("plot", "rho", "--dataset", "mine")
    refused(shown, "dfgctl run ", "--backbone lenet5", "--set dfg.rho=")
