"""What lies in results/paper is what the runs that are kept there give."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl import RESULTS_VERSION

PAPER = Path(__file__).parents[2] / "results" / "paper"
COMMANDS = PAPER / "commands.txt"

if not COMMANDS.is_file():
    pytest.skip("not in a checkout", allow_module_level=True)

LINES = [shlex.split(line) for line in COMMANDS.read_text().splitlines()]
TABLES = [words for words in LINES if words[0] == "table" and words[1] != "datasets"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]) -> Path:
    """A registry with the runs that are kept."""
    folder = tmp_path_factory.mktemp("paper")
    shutil.copy(PAPER / "flop.json", folder)
    for file in sorted(PAPER.glob("runs/*.jsonl")):
        imported = cli("runs", "import", file, "--registry", folder / "registry.sqlite")
        assert imported.code == 0, imported.err
    return folder / "registry.sqlite"


@pytest.mark.parametrize("words", TABLES, ids=lambda words: Path(words[-1]).stem)
def test_a_table_is_what_the_runs_give(
    words: list[str], registry: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    *command, option, kept = words
    assert option == "-o"
    made = tmp_path / Path(kept).name
    shown = cli(*command, "-o", made, "--registry", registry)
    assert shown.code == 0, shown.err
    assert made.read_text() == (PAPER.parents[1] / kept).read_text()


def test_every_table_is_there_and_has_a_command() -> None:
    kept = {str(file.relative_to(PAPER.parents[1])) for file in PAPER.glob("tables/*")}
    assert kept == {words[-1] for words in LINES if words[0] == "table"}


def test_every_figure_is_there_and_has_a_command() -> None:
    kept = {str(file.relative_to(PAPER.parents[1])) for file in PAPER.glob("figures/*")}
    by_weights = (PAPER / "figures.txt").read_text().splitlines()
    lines = [*LINES, *(shlex.split(line, comments=True) for line in by_weights)]
    assert kept == {words[-1] for words in lines if words and words[0] == "plot"}


@pytest.mark.parametrize("file", sorted(PAPER.glob("runs/*.jsonl")), ids=lambda file: file.stem)
def test_runs_were_trained_by_this_version_of_results_from_a_clean_tree(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    made_by = [line["data"]["content"] for line in lines if line["kind"] == "provenance"]
    assert made_by
    assert {entry["results_version"] for entry in made_by} == {RESULTS_VERSION}
    assert {entry["dirty"] for entry in made_by} == {False}
    runs = [line["data"] for line in lines if line["kind"] == "run"]
    assert {run["status"] for run in runs} == {"finished"}


def what(run: dict[str, Any]) -> str:
    """Say what a run trains, beside its data and source network."""
    names = ("method", "source", "protocol", "ratio", "combination", "seed", "steps", "settings")
    return json.dumps({name: run[name] for name in names}, sort_keys=True)


@pytest.mark.parametrize("dataset", ["digits", pytest.param("fmnist", marks=pytest.mark.data)])
def test_every_run_that_is_kept_is_one_that_train_txt_names(
    dataset: str,
    cli: Callable[..., Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    data = () if dataset == "digits" else ("--data-dir", request.getfixturevalue("real_data"))
    shutil.copytree(PAPER / "tuned", tmp_path / "tuned")
    named = set()
    for line in (PAPER / "train.txt").read_text().splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["run", dataset]:
            plan = cli(*words, *data, "--dry-run", "--json", "--registry", tmp_path / "r.sqlite")
            assert plan.code == 0, plan.err
            named |= {what(run) for run in plan.json}
    export = (PAPER / "runs" / f"{dataset}.jsonl").read_text().splitlines()
    runs = [line["data"] for line in map(json.loads, export) if line["kind"] == "run"]
    assert {what(run["spec"]) for run in runs} <= named
