"""``dfgctl plot``: figures of trained runs, and what is said where there are none."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cli = Callable[..., Any]

OF_ROWS = ["curves", "confusion", "combinations"]
KINDS = ["rho", *OF_ROWS]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def ids(file: Path) -> set[str]:
    with Image.open(file) as picture:
        return set(json.loads(picture.text["Description"])["runs"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_drawn_and_its_numbers_name_the_runs(
    cli: Cli, trained: Any, tmp_path: Path, kind: str
) -> None:
    file, data = tmp_path / f"{kind}.png", tmp_path / "data.csv"
    result = cli("plot", kind, "-o", file, "--data", data)
    assert result.code == 0, result.err
    assert result.out.strip() == str(file)
    known = {run["id"] for run in trained.plain.json + trained.swept.json}
    named = {row["run"] for row in rows(data)}
    assert named == ids(file)
    assert named
    assert named <= known


def test_curves_end_in_what_the_registry_has(cli: Cli, trained: Any, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    cli("plot", "curves", "--method", "delta", "--data", data, "-o", tmp_path / "c.svg")
    last = {
        row["run"]: float(row["value"])
        for row in rows(data)
        if (row["quantity"], row["step"]) == ("accuracy", "3")
    }
    stored = {r["id"]: r["metrics"]["accuracy_last"] for r in trained.plain.json}
    assert last == {i: stored[i] for i in last}
    assert len(last) == 2


def test_a_confusion_of_one_combination_is_asked_for(
    cli: Cli, trained: Any, tmp_path: Path
) -> None:
    (run, *_) = [r for r in trained.plain.json if r["method"] == "delta"]
    wanted = ",".join(map(str, run["combination"]))
    words = ("plot", "confusion", "--method", "delta", "-o", tmp_path / "c.png")
    result = cli(*words, "--combinations", wanted)
    assert result.code == 0, result.err
    assert ids(tmp_path / "c.png") == {run["id"]}
    refused = cli(*words, "--combinations", "0,1;2,3")
    assert (refused.code, refused.out) == (2, "")
    assert "one combination, or all" in refused.err


@pytest.mark.parametrize("kind", OF_ROWS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "dgf"], "did you mean 'dfg'?"),
        (["--dataset", "fmnist"], "train some with dfgctl run fmnist"),
        (["--imbalance", "40:1"], "--imbalance 40:1"),
        (["--imbalance", "ten"], "is no imbalance"),
        (["--majority", "3"], "--majority 3"),
        (["--protocol", "released"], "no finished runs"),
        (["--protocol", "ours"], "Unknown protocol"),
        (["-o", "figure.gif"], ".png, .svg or .pdf"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_said_in_a_sentence(
    cli: Cli, trained: Any, kind: str, words: list[str], said: str
) -> None:
    result = cli("plot", kind, *words)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "."], "is a folder: name a file in it with --data"),
        (["--data", "there/data.csv"], "there is a file, no folder: name another with --data"),
        (["--data", "a.png", "-o", "a.png"], "give them a file each"),
    ],
)
def test_numbers_that_cannot_be_kept_are_said_before_anything_is_drawn(
    cli: Cli, trained: Any, words: list[str], said: str
) -> None:
    Path("there").touch()
    result = cli("plot", "rho", "-o", "rho.png", *words)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())
    assert not Path("rho.png").exists()


@pytest.mark.parametrize("kind", OF_ROWS)
def test_without_a_registry_it_is_said_what_to_run(cli: Cli, kind: str) -> None:
    result = cli("plot", kind)
    assert (result.code, result.out) == (2, "")
    assert "dfgctl run digits" in result.err


def test_the_structure_needs_no_runs(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "layers.csv"
    result = cli("plot", "structure", "fmnist", "-o", tmp_path / "s.pdf", "--data", data)
    assert result.code == 0, result.err
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    assert sum(int(row["parameters"]) for row in rows(data)) == 616_207
    assert "616,207 parameters" in result.err
    assert cli("plot", "structure", "nothing").code == 2
    assert cli("plot", "structure", "fmnist", "--split", "block2").code == 2
