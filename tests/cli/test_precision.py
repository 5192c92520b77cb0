"""``--precision`` and ``--deterministic``, from the command to the table."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Cli = Callable[..., Any]
QUICK = ("--repeats", "1", "--steps", "20", "--set", "source.steps=20", "--device", "cpu")
RUN = ("run", "digits", "--method", "original", "--method", "dfg", *QUICK)
FEW = ("dfg.n_W=10", "dfg.n_D=1", "dfg.weight_images=2", "dfg.batch_size=8")
FP32 = (*RUN, "--eval-every", "20", *(word for few in FEW for word in ("--set", few)))
BF16 = (*FP32, "--precision", "bf16")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def test_runs_in_bf16_are_trained_shown_remade_and_kept_apart(cli: Cli, tmp_path: Path) -> None:
    rough = cli(*BF16, "--json")
    single = cli(*FP32, "--json")
    assert (rough.code, single.code) == (0, 0)
    assert {r["precision"] for r in rough.json} == {"bf16"}
    assert {r["precision"] for r in single.json} == {"fp32"}
    assert {r["status"] for r in rough.json} == {"finished"}
    for a, b in zip(rough.json, single.json, strict=True):
        assert a["id"] != b["id"]
        assert a["metrics"]["confusion"] != b["metrics"]["confusion"]
        assert a["source_identity"] == b["source_identity"]
    assert "source network glyphs" not in cli(*BF16).err  # all is there

    table = cli("table", "--format", "json").json
    for method in ("original", "dfg"):
        rows = [r["settings"] for r in table if r["method"] == method and r["n"] == 1]
        assert sorted("precision bf16" in notes for notes in rows) == [False, True]
        assert not any(r["n"] > 1 for r in table)

    dfg = next(r["id"] for r in rough.json if r["method"] == "dfg")
    command = cli("runs", "show", dfg, "--json").json["command"]
    assert " --precision bf16" in command
    words = shlex.split(command)[1:]
    assert [r["id"] for r in cli(*words, "--dry-run", "--json").json] == [dfg]
    assert "precision bf16" in cli(*words, "--dry-run").out

    other = f"sqlite:///{tmp_path / 'other' / 'registry.sqlite'}"
    (tmp_path / "other").mkdir()
    assert cli("runs", "export", tmp_path / "runs.jsonl", dfg).code == 0
    assert cli("runs", "import", tmp_path / "runs.jsonl", "--registry", other).code == 0
    assert cli("runs", "show", dfg, "--registry", other, "--json").json["precision"] == "bf16"


def test_what_is_finished_in_a_precision_is_not_trained_again(cli: Cli) -> None:
    words = ("run", "digits", "--method", "original", *QUICK, "--precision", "bf16")
    first, again = cli(*words), cli(*words)
    assert "1 to train" in first.err
    assert "1 ended already, 0 to train" in again.err


@pytest.mark.parametrize("device", ["cpu", pytest.param("auto", marks=NO_GPU)])
def test_tf32_is_refused_on_a_cpu_before_anything_is_done(
    cli: Cli, tmp_path: Path, device: str
) -> None:
    result = cli("run", "digits", "--precision", "tf32", "--device", device)
    assert (result.code, result.out) == (2, "")
    assert "--precision tf32 needs an NVIDIA GPU of compute capability 8.0" in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_precision_that_there_is_not_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "digits", "--precision", "bf61")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "Unknown precision 'bf61': did you mean 'bf16'?" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_plan_may_be_looked_at_anywhere(cli: Cli) -> None:
    found = cli("run", "digits", *QUICK, "--precision", "tf32", "--dry-run", "--json")
    assert found.code == 0
    assert {r["precision"] for r in found.json} == {"tf32"}


def test_a_worker_on_a_cpu_passes_tf32_by_and_says_so(cli: Cli, tmp_path: Path) -> None:
    from specs import spec

    from dfgctl.records import PlannedRun
    from dfgctl.registry import Registry

    sections = {"numerics": {"precision": "tf32"}}
    with_tf32 = PlannedRun(spec(sections=sections), (80, 8, 8, 8, 80, 8, 8, 8, 8, 8))
    registry = Registry(str(tmp_path / "results" / "registry.sqlite"))
    registry.enqueue([with_tf32])
    registry.close()
    result = cli("worker", "--device", "cpu")
    assert result.code == 0
    assert "Left in the queue: 1 of --precision tf32" in result.err
    assert "Start a worker on an NVIDIA GPU" in result.err
    assert cli("runs", "list", "--json").json[0]["status"] == "queued"


def test_deterministic_runs_are_the_same_runs_and_their_attempts_say_so(cli: Cli) -> None:
    words = ("run", "digits", "--method", "original", *QUICK)
    exact = cli(*words, "--deterministic", "--json")
    (plain,) = cli(*words, "--dry-run", "--json").json
    assert exact.code == 0
    assert exact.json[0]["id"] == plain["id"]
    assert plain["status"] == "finished"
    assert ", deterministic, " in cli("runs", "show", plain["id"]).out
    assert cli(*words, "--force").code == 0
    shown = cli("runs", "show", plain["id"], "--json").json
    assert [a["provenance"]["deterministic"] for a in shown["attempt_list"]] == [True, False]


OWN = """
import torch
from own_method import BalancedDemo

class Loose(BalancedDemo):
    name = "loose"

    def step(self, step):
        torch.zeros(4).put_(torch.tensor([1]), torch.ones(1))
        return super().step(step)
"""


def test_an_operation_that_is_not_deterministic_is_named_and_fails(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_loose.py").write_text(OWN)
    words = ("run", "digits", "--method", "mine_loose:Loose", *QUICK)
    result = cli(*words, "--deterministic")
    assert result.code == 1
    assert "put_ has no deterministic version on CPU, 1 thread" in result.err
    assert "train without --deterministic" in result.err
    assert "Traceback" not in result.err + result.out
    assert cli(*words).code == 0


def test_slurm_jobs_are_told_to_be_deterministic(cli: Cli) -> None:
    words = ("run", "digits", *QUICK[:-2], "--launcher", "dry-run", "--precision", "tf32")
    plain, exact = cli(*words), cli(*words, "--deterministic")
    assert (plain.code, exact.code) == (0, 0)
    assert "--deterministic" not in plain.err
    assert "dfgctl worker --plan PLAN" in exact.err
    assert " --deterministic" in exact.err


def test_tf32_on_the_cpus_of_slurm_s_nodes_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgctl.cli.slurm.check", lambda launch: None)
    result = cli(*RUN, "--launcher", "slurm", "--precision", "tf32")
    assert (result.code, list(tmp_path.iterdir())) == (2, [])
    assert "--precision tf32 needs an NVIDIA GPU" in result.err
