"""``dfgctl table frontier`` and ``plot frontier`` on real runs, the FLOP counted and remembered."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dfgctl.bench import run_flop
from dfgctl.bench.flop_cache import FlopCache

Cli = Callable[..., Any]
OWN = Path(__file__).parents[1] / "support" / "own_method.py"


def refuse(*_: object) -> float:
    raise AssertionError("counted once more")


def test_flop_are_counted_once_and_remembered_beside_the_registry(
    cli: Cli, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = cli("table", "frontier", "--format", "json")
    assert "Counting the FLOP of 7 kinds of runs, once." in shown.err
    flop = {r["method"]: r["flop"] for r in shown.json if "dfg.rho=0" not in r["settings"]}
    # Three steps of 32 images: the convolutions and dense layers of LeNet-5, forward and backward.
    conv1, conv2 = 28**2 * 6 * 25, 10**2 * 16 * 6 * 25
    dense = 400 * 120 + 120 * 84 + 84 * 10
    assert flop["original"] == 3 * 2 * 32 * (2 * conv1 + 3 * conv2 + 3 * dense)
    assert flop["finetune"] < flop["original"] < flop["delta"] < flop["dfg"]
    monkeypatch.setattr(run_flop, "flop_of", refuse)
    again = cli("table", "frontier", "--format", "json")
    assert (again.json, again.err) == (shown.json, "")


def test_a_figure_names_its_runs_and_a_cache_that_cannot_be_written_is_no_error(
    cli: Cli, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained.file.parent / "flop.json").mkdir()
    file, data = tmp_path / "f.png", tmp_path / "f.csv"
    done = cli("plot", "frontier", "--cost", "flop", "-o", file, "--data", data)
    assert done.code == 0, done.err
    assert "On the Pareto front, the line:" in done.err
    with Image.open(file) as picture:
        ids = json.loads(picture.text["Description"])["runs"]
    assert set(ids) == {run["id"] for run in trained.plain.json}
    assert data.read_text().startswith("device,pack,method,")
    monkeypatch.setattr(run_flop, "flop_of", refuse)
    assert cli("plot", "frontier", "-o", file).code == 0  # seconds need no FLOP
    assert cli("plot", "frontier", "--method", "paper", "-o", file).code == 0


def test_a_figure_of_one_method_takes_no_group(cli: Cli, trained: Any) -> None:
    refused = cli("plot", "confusion", "--method", "paper")
    assert refused.code == 2
    assert "unknown method 'paper'" in refused.err.lower()


def test_a_method_of_ones_own_is_counted_where_its_class_can_be_imported(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copy(OWN, tmp_path / "frontier_method.py")
    words = ("run", "digits", "--steps", "2", "--repeats", "1", "--device", "cpu")
    done = cli(*words, "--method", "original", "--method", "frontier_method:BalancedDemo")
    assert done.code == 0, done.err
    assert "1 repeat tells nothing apart among 2 methods" in " ".join(done.out.split())
    counted = {r["method"]: r["flop"] for r in cli("table", "frontier", "--format", "json").json}
    assert counted["balanced_demo"] == counted["original"]
    Path("results/flop.json").unlink()
    with (tmp_path / "frontier_method.py").open("a") as opened:
        opened.write("# changed\n")
    shown = cli("table", "frontier", "--format", "json")
    assert {r["method"]: r["flop"] for r in shown.json} == {**counted, "balanced_demo": None}
    assert "has changed since this run was planned" in shown.err
    pairs = cli("table", "pairs", "--against", "balanced_demo", "--format", "json").json
    (own,) = [record for record in pairs if record["method"] == "original"]
    assert own["units"] == 1
    assert own["remedy"].endswith(
        "--method frontier_method:BalancedDemo --method original --repeats 10"
    )


def test_a_page_counts_nothing_and_says_how(
    cli: Cli, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgctl.cli.report_parts.FIGURES", {})
    asked: list[Any] = []
    monkeypatch.setattr(FlopCache, "get", lambda *a: asked.append(a))
    monkeypatch.setattr(run_flop, "flop_of", refuse)
    assert cli("report", "-o", "page.html").code == 0
    assert asked
    text = Path("page.html").read_text()
    assert "dfgctl table frontier counts them, once" in text
    assert text.index("2 repeats tell nothing apart among 5 methods") < text.index(": DFG ")
