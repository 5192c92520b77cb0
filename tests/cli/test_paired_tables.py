"""``dfgctl table pairs, spread, datasets, blocks`` on real runs, and without any."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.mark.parametrize("where", [(), ("--registry", "nowhere/registry.sqlite")], ids=len)
@pytest.mark.parametrize("name", ["datasets", "blocks"])
def test_tables_that_need_no_runs_stand_without_a_registry(
    cli: Cli, name: str, where: tuple[str, ...]
) -> None:
    shown = cli("table", name, "--format", "json", *where)
    assert shown.code == 0
    assert "caltech256" in {record["dataset"] for record in json.loads(shown.out)}
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("name", ["pairs", "spread"])
def test_tables_of_runs_say_what_to_train(cli: Cli, name: str) -> None:
    shown = cli("table", name)
    assert shown.code == 2
    assert "dfgctl run digits" in shown.err


def test_the_data_directory_says_what_is_here(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "stl10_binary").mkdir()
    names = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
    for name in names:
        (tmp_path / "stl10_binary" / name).write_bytes(b"nothing")
    words = ("table", "datasets", "--dataset", "stl10", "--format", "json")
    assert cli(*words, "--data-dir", tmp_path).json[0]["reason"] == "broken"
    assert cli(*words, "--data-dir", tmp_path / "other").json[0]["reason"] == "not here"


def test_runs_are_compared_in_pairs(cli: Cli, trained: Any) -> None:
    where = ("--registry", trained.file, "--format", "json")
    found = {r["method"]: r for r in cli("table", "pairs", *where).json if r["units"]}
    assert set(found) == {"original", "finetune", "delta", "difa"}
    results = cli("table", "results", *where).json
    mean = {r["method"]: r["mean"] for r in results if r["n"] == 2}
    assert found["delta"]["difference"] == pytest.approx(mean["dfg"] - mean["delta"])
    assert all(r["units"] == r["pairs"] == 2 for r in found.values())
    turned = cli("table", "pairs", *where, "--against", "original").json
    (dfg,) = (r for r in turned if r["method"] == "dfg" and r["units"])
    assert dfg["difference"] == pytest.approx(-found["original"]["difference"])
    assert cli("table", "pairs", "--registry", trained.file, "--against", "dgf").code == 2


@pytest.mark.parametrize("name", ["pairs", "spread", "datasets", "blocks"])
def test_a_table_fits_a_narrow_terminal(
    cli: Cli, trained: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli("table", name, "--registry", trained.file).out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    label = {"blocks": "Up to block 4", "datasets": "Caltech-256"}.get(name, "DIFA + cMWGAN")
    assert label in shown


def test_one_seed_cannot_tell(cli: Cli, trained: Any) -> None:
    shown = cli("table", "spread", "--registry", trained.file)
    assert shown.code == 0
    assert "--seeds 2" in " ".join(shown.out.split())


def test_seeds_are_planned_for_each_combination(cli: Cli) -> None:
    words = ("run", "digits", "--method", "original", "--repeats", "3", "--dry-run", "--json")
    one, two = (cli(*words, "--seeds", n).json for n in (1, 2))
    assert len(two) == 2 * len(one) == 6
    assert cli(*words, "--imbalance", "1:1", "--seeds", "2").code == 2
