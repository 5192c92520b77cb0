"""``dfgctl table cost`` and ``dfgctl table ledger`` on runs that were trained."""

import re
import shlex
from collections.abc import Callable
from typing import Any

Cli = Callable[..., Any]


def test_what_trained_runs_took_is_shown(cli: Cli, trained: Any) -> None:
    where = ("--registry", trained.file)
    result = cli("table", "cost", "--format", "json", *where)
    assert result.code == 0
    assert {r["method"] for r in result.json} == {"original", "finetune", "delta", "difa", "dfg"}
    for record in result.json:
        assert record["pack"] == 1
        assert record["peak_bytes"] > 0
        assert record["train_seconds"] > 0
        assert 0 < record["image_seconds"] < 1
        assert record["test_images"] == 901
    shown = cli("table", "cost", *where)
    assert shown.code == 0
    assert "not kept" not in shown.out
    one = result.json[0]
    listed = cli("runs", "list", "--json", *where).json
    assert all(run["pack_size"] == 1 and run["peak_bytes"] > 0 for run in listed)
    of_run = cli("runs", "show", listed[0]["id"], *where)
    assert "pack of 1, which took" in " ".join(of_run.out.split())
    assert one["device"] == listed[0]["device"]


def test_what_to_run_for_the_other_reading_is_a_true_command(cli: Cli, trained: Any) -> None:
    where = ("--registry", trained.file)
    refused = cli("table", "ledger", *where)
    assert refused.code == 2
    command = re.search(r"(dfgctl run .*)", " ".join(refused.err.split()))
    assert command is not None
    words = shlex.split(command[1])[1:]
    plan = cli(*words, "--dry-run", "--json", *where)
    assert plan.code == 0
    listed = cli("runs", "list", "--json", *where).json
    paper = {
        (tuple(r["combination"]), r["seed"])
        for r in listed
        if r["method"] == "dfg" and r["settings"]["dfg"]["rho"] == 0.75
    }
    planned = {(tuple(r["combination"]), r["seed"]) for r in plan.json}
    assert planned == paper
