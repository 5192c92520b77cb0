"""What cannot be is said in one sentence that ends in what to type; nothing is left behind."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused

from dfgctl.data import fetch
from dfgctl.data.catalog import DATASETS
from dfgctl.registry import Registry
from dfgctl.registry.engine import VERSION_TABLE

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "digit"], ["'digit'", "did you mean 'digits'"]),
        (["run", "zzz"], ["There is: ", "digits, fmnist"]),
        (["run", "../recipes/digits"], ["There is no folder ../recipes/digits"]),
        (["run", "digits", "--imbalance", "10"], ["'10'", "R:1"]),
        (["run", "digits", "--imbalance", "0:1"], ["'0:1'", "R:1"]),
        (["run", "digits", "--imbalance", "abc"], ["'abc'", "R:1"]),
        (["run", "digits", "--imbalance", "1:10"], ["'1:10'", "R:1"]),
        (["run", "digits", "--imbalance", "1e400:1"], ["R:1"]),
        (["run", "digits", "--majority", "11"], ["11 majority classes of 10", "1 to 9"]),
        (["run", "digits", "--combinations", "3,3"], ["twice"]),
        (["run", "digits", "--combinations", "3,10"], ["0 to 9"]),
        (["run", "digits", "--method", "dgf"], ["did you mean 'dfg'"]),
        (["run", "digits", "--source", "glyph"], ["did you mean 'glyphs'"]),
        (["run", "digits", "--source-weights", "no.safetensors"], ["no.safetensors", "weights"]),
        (["run", "digits", "--set", "dfg.roh=0.5"], ["did you mean 'dfg.rho'"]),
        (["run", "digits", "--set", "dfg.rho=much"], ["dfg.rho cannot be 'much'"]),
        (["run", "digits", "--set", "dfg.rho=2"], ["dfg.rho cannot be '2'"]),
        (["run", "digits", "--set", "[bold]=2"], ["'[bold]'"]),
        (["run", "digits", "--select", "val"], ["--select val", "--validation 0.1"]),
        (["run", "digits", "--pack", "0"], ["--pack takes auto or a number"]),
        (["run", "digits", "--pack", "many"], ["--pack takes auto or a number"]),
        (["run", "digits", "--pack", "²"], ["--pack takes auto or a number"]),
        (["run", "digits", "--device", "gpu"], ["it is auto, cpu, cuda"]),
        (["runs", "show", "abc"], ["There is no run 'abc'"]),
        (["runs", "list", "--dataset", "digit"], ["did you mean 'digits'"]),
        (["runs", "list", "--method", "dgf"], ["did you mean 'dfg'"]),
        (["runs", "list", "--status", "finish"], ["did you mean 'finished'"]),
        (["runs", "list", "--registry", "no.sqlite"], ["There is no registry at no.sqlite"]),
        (["table"], ["dfgctl run digits"]),
        (["table", "--dataset", "digit"], ["did you mean 'digits'"]),
        (["table", "digits"], ["'digits' is a data set", "dfgctl table --dataset digits"]),
        (["table", "pair"], ["Unknown table 'pair': did you mean 'pairs'?"]),
        (["plot", "rho"], ["dfgctl run digits --method dfg --set dfg.rho="]),
        (["plot", "delta", "--dataset", "fmnist"], ["dfgctl run fmnist --method dfg --set"]),
        (["plot", "rho", "-o", "rho.gif"], [".png, .svg or .pdf"]),
        (["recipe", "show", "digit"], ["did you mean 'digits'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    cli: Cli, words: list[str], says: list[str], tmp_path: Path
) -> None:
    result = cli(*words)
    refused(result, *says)
    assert len(result.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--steps", "0"],
        ["--steps", "few"],
        ["--repeats", "0"],
        ["--seed", "-1"],
        ["--eval-every", "0"],
        ["--validation", "0.9"],
        ["--select", "worst"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_refused_with_the_usage(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    result = cli("run", "digits", *words)
    assert result.code == 2
    assert result.out == ""
    assert words[0] in result.err
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_cuda_without_one_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(cli("run", "digits", "--device", "cuda"), "--device cpu")
    assert list(tmp_path.iterdir()) == []


# Registries

READERS = [
    ["runs", "list"],
    ["runs", "show", "a"],
    ["runs", "compare", "a", "b"],
    ["runs", "logs", "a"],
    ["runs", "cancel", "a"],
    ["runs", "export", "-"],
    ["table"],
    ["plot", "rho"],
    ["plot", "curves"],
]
COMMANDS = [["run", "digits"], ["run", "digits", "--dry-run"], *READERS]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_registry_that_is_no_database_is_refused_and_kept(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("accuracy was fine\n" * 200)
    refused(cli(*words, "--registry", file), "is not a database", "--registry")
    assert file.read_text() == "accuracy was fine\n" * 200
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_newer_registry_is_refused(cli: Cli, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "newer.sqlite"
    Registry(str(file)).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    refused(cli(*words, "--registry", file), "newer dfgctl", "upgrade dfgctl")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_registry_below_a_file_is_refused(cli: Cli, words: list[str], tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    parent.write_text("a file")
    result = cli(*words, "--registry", parent / "r.sqlite")
    if words == ["run", "digits", "--dry-run"] and result.code == 0:
        return  # nothing is opened that is not there
    refused(result, "--registry")
    assert parent.read_text() == "a file"


def test_a_registry_is_named_by_the_environment_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFGCTL_REGISTRY", "nosuchbase://host/name")
    refused(cli("runs", "list"), "nosuchbase", "use a path")


def test_an_id_that_several_runs_start_with_is_refused(cli: Cli, trained: Any, sql: Any) -> None:
    (first,), (second,) = sql("SELECT id FROM runs LIMIT 2")
    sql("UPDATE runs SET id = ? WHERE id = ?", first[:9] + second[9:], second)
    refused(cli("runs", "show", first[:9]), "several run ids", "write more")


# Data


def _idx(path: Path, array: Any) -> None:
    magic = 0x803 if array.ndim == 3 else 0x801
    header = np.array([magic, *array.shape], dtype=">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def small_fmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small files in the place of Fashion-MNIST's; return their folder."""
    info = DATASETS["fmnist"]
    assert info.files is not None
    small = replace(
        info,
        train=40,
        test=20,
        train_counts=(),
        test_counts=(),
        files=replace(info.files, checksums={}),
    )
    monkeypatch.setitem(DATASETS, "fmnist", small)
    folder = tmp_path / "data" / info.files.folder
    folder.mkdir(parents=True)
    for (images, labels), count in ((info.files.train, 40), (info.files.test, 20)):
        classes = np.arange(count) % 10
        _idx(folder / images, np.broadcast_to(20 * classes[:, None, None], (count, 28, 28)))
        _idx(folder / labels, classes)
    return folder


FMNIST = ("run", "fmnist", "--method", "original", "--repeats", "1", "--steps", "2")
FEW = ("--imbalance", "2:1", "--set", "imbalance.majority_count=4", "--device", "cpu")


def test_whole_files_are_trained_on(cli: Cli, small_fmnist: Path) -> None:
    result = cli(*FMNIST, *FEW, "--json")
    assert result.code == 0, result.err
    (run,) = result.json
    assert run["status"] == "finished"
    assert sorted(run["class_counts"]) == [2] * 8 + [4] * 2


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ],
)
def test_a_truncated_file_is_named_and_no_run_is_stored(
    cli: Cli, small_fmnist: Path, name: str
) -> None:
    file = small_fmnist / name
    file.write_bytes(file.read_bytes()[:-1])
    refused(cli(*FMNIST, *FEW), name, "is broken", "Delete it", "--data-dir")
    assert cli("runs", "list", "--json").json == []


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"no idx file at all, but long enough"])
def test_a_file_of_another_kind_is_named(cli: Cli, small_fmnist: Path, content: bytes) -> None:
    (small_fmnist / "t10k-labels-idx1-ubyte").write_bytes(content)
    refused(cli(*FMNIST, *FEW, "--dry-run"), "t10k-labels-idx1-ubyte", "no IDX file")


def test_a_file_that_is_not_the_published_one_is_named(
    cli: Cli, small_fmnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = DATASETS["fmnist"]
    assert info.files is not None
    files = replace(info.files, checksums={"train-labels-idx1-ubyte": "0" * 64})
    monkeypatch.setitem(DATASETS, "fmnist", replace(info, files=files))
    refused(cli(*FMNIST, *FEW), "train-labels-idx1-ubyte", "checksum")
    assert cli("runs", "list", "--json").json == []


def test_missing_data_is_named_with_its_files_its_folder_and_what_to_type(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error downloading\n  no route to host")

    monkeypatch.setattr(fetch, "_torchvision", fail)
    result = cli(*FMNIST, "--data-dir", tmp_path / "empty")
    files = DATASETS["fmnist"].files
    assert files is not None
    folder = str(tmp_path / "empty" / files.folder)
    refused(result, *files.names(), folder, "no route to host", "--data-dir", told=True)
    assert cli("runs", "list", "--json").json == []


def test_a_dry_run_downloads_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(fetch, "_torchvision", fail)
    refused(cli(*FMNIST, "--dry-run"), "not found in", "--data-dir")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_goes_early_is_no_error() -> None:
    # As in dfgctl recipe list | head, only sooner.
    command = [sys.executable, "-m", "dfgctl", "recipe", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as began:
        assert began.stdout is not None
        assert began.stderr is not None
        began.stdout.close()
        said = began.stderr.read()
    assert (began.returncode, said) == (0, b"")
