"""From ``dfgctl run`` to tables, plots, lists, and the command that remakes a run."""

import csv
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.contenders import METHODS
from dfgctl.dispatch import packs, sources

Cli = Callable[..., Any]
PLAIN = 2 * len(METHODS)
"""Runs that the plain command trains."""
ALL = PLAIN + 2
"""Those and the two of the sweep."""


def no_training(*_: Any, **__: Any) -> None:
    raise AssertionError("something was trained")


# Runs


def test_run_prints_a_plain_list_of_finished_runs(trained: Any) -> None:
    assert trained.plain.code == 0
    runs = trained.plain.json
    assert [r["method"] for r in runs] == list(METHODS) * 2
    assert {r["dataset"] for r in runs} == {"digits"}
    assert {r["status"] for r in runs} == {"finished"}
    assert len({r["id"] for r in runs}) == PLAIN
    assert all(0 < r["metrics"]["accuracy_last"] < 1 for r in runs)
    assert len({tuple(r["combination"]) for r in runs}) == 2
    assert f"{PLAIN} to train" in trained.plain.err


def test_typed_again_nothing_is_trained(
    cli: Cli, trained: Any, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "train", no_training)
    monkeypatch.setattr(sources, "pretrain", no_training)
    again = cli(*trained.plain_command, "--json")
    assert again.code == 0
    assert again.json == trained.plain.json
    assert "0 to train" in again.err
    assert sql("SELECT count(*) FROM attempts") == [(ALL,)]


def test_force_adds_an_attempt_and_keeps_the_older(cli: Cli, trained: Any, sql: Any) -> None:
    result = cli(*trained.plain_command, "--method", "original", "--force", "--json")
    assert result.code == 0
    assert [r["attempts"] for r in result.json] == [2, 2]
    for run in result.json:
        shown = cli("runs", "show", run["id"], "--json").json
        assert [a["outcome"] for a in shown["attempt_list"]] == ["finished", "finished"]
    assert sql("SELECT count(*) FROM attempts") == [(ALL + 2,)]


def test_more_repeats_train_only_what_is_missing(cli: Cli, trained: Any) -> None:
    words = [w if w != "2" else "3" for w in trained.plain_command]
    result = cli(*words, "--method", "original", "--json")
    assert "3 runs, 2" in result.err
    assert "1 to train" in result.err
    assert [r["attempts"] for r in result.json] == [1, 1, 1]


def test_without_json_the_table_is_shown(cli: Cli, trained: Any) -> None:
    shown = cli(*trained.plain_command)
    assert shown.code == 0
    for word in " ".join(METHODS.values()).split():  # a title may break, a word may not
        assert word in shown.out
    assert "n=2" in shown.out
    assert "n=4" not in shown.out


def test_runs_that_fail_are_exit_1_and_say_where_to_look(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of a kind")

    monkeypatch.setattr(packs, "train", broken)
    words = ("run", "digits", "--method", "original", "--repeats", "2", "--steps", "2", "--json")
    result = cli(*words)
    assert result.code == 1
    assert [r["status"] for r in result.json] == ["failed", "failed"]
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("Error: 2 runs did not finish (2 failed).")
    assert "ZeroDivisionError: of a kind" in last
    start = last.rpartition("dfgctl runs show ")[2].rstrip(".")
    assert "Traceback" in cli("runs", "show", start).out


def test_an_interruption_is_exit_130_and_the_command_goes_on_later(
    cli: Cli, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    words = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "2", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(packs, "train", interrupted)
        result = cli(*words)
    assert result.code == 130
    assert result.out == ""
    assert "type the command again" in result.err
    assert sql("SELECT status FROM runs") == [("queued",)]
    assert sql("SELECT outcome FROM attempts") == [("interrupted",)]
    assert [r["status"] for r in cli(*words).json] == ["finished"]


def test_a_forced_run_that_was_interrupted_goes_on_without_force(
    cli: Cli, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    words = (*trained.plain_command, "--method", "original", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(packs, "train", interrupted)
        assert cli(*words, "--force").code == 130
    again = cli(*words)
    assert again.code == 0
    assert [r["status"] for r in again.json] == ["finished", "finished"]


# Dry runs


def test_a_dry_run_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "digits", "--repeats", "2", "--dry-run", "--json")
    assert result.code == 0
    assert [r["status"] for r in result.json] == ["new"] * PLAIN
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_needs_no_registry_where_it_is_to_be(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "digits", "--repeats", "1", "--dry-run", "--registry", "new/r.sqlite")
    assert result.code == 0, result.err
    assert f"{len(METHODS)} to train" in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_with_weights_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not looked into")
    words = ("--method", "finetune", "--source-weights", "w.safetensors")
    assert cli("run", "digits", "--repeats", "1", *words, "--dry-run").code == 0
    assert [f.name for f in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_of_the_released_reading_serve_as_a_source_in_it(cli: Cli, tmp_path: Path) -> None:
    short = ("run", "digits", "--repeats", "1", "--steps", "2", "--device", "cpu", "--json")
    released = ("--set", "fidelity.F09=released")
    (first,) = cli(*short, "--method", "original", *released).json
    file = tmp_path / "results" / "weights" / f"{first['id']}.1.safetensors"
    words = ("--method", "finetune", "--source-weights", file)
    second = cli(*short, *words, *released)
    assert second.code == 0, second.err
    assert second.json[0]["status"] == "finished"
    refused = cli(*short, *words)
    assert refused.code == 2
    assert "in the other reading of F09" in refused.err
    assert "--set fidelity.F09=released" in refused.err


def test_a_dry_run_plans_what_a_run_does(cli: Cli, trained: Any, sql: Any) -> None:
    plan = cli(*trained.plain_command, "--dry-run", "--json").json
    assert [r["id"] for r in plan] == [r["id"] for r in trained.plain.json]
    assert {r["status"] for r in plan} == {"finished"}
    assert sql("SELECT count(*), max(attempts) FROM runs") == [(ALL, 1)]
    more = cli("run", "digits", "--steps", "3", "--set", "source.steps=20", "--dry-run")
    assert "by the recipe's measurement" in " ".join(more.out.split())  # 3 steps tell no speed


# Tables


def test_a_table_as_csv_has_a_line_for_each_cell(cli: Cli, trained: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("table", "--format", "csv").out)))
    plain = [r for r in rows if r["settings"] == "3 steps; source.steps=20"]
    assert [r["method"] for r in plain] == list(METHODS)
    assert [r["n"] for r in plain] == ["2"] * len(METHODS)
    for row in plain:
        runs = [r for r in trained.plain.json if r["method"] == row["method"]]
        mean = sum(r["metrics"]["accuracy_last"] for r in runs) / 2
        assert float(row["mean"]) == pytest.approx(mean)
        assert row["finished"] == "2"


def test_a_table_as_json_says_the_same_as_csv(cli: Cli, trained: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("table", "--format", "csv").out)))
    cells = cli("table", "--format", "json").json
    assert [(c["method"], str(c["n"])) for c in cells] == [(r["method"], r["n"]) for r in rows]
    assert [c["mean"] for c in cells if c["mean"]] == pytest.approx(
        [float(r["mean"]) for r in rows if r["mean"]]
    )


def test_a_table_for_reading_fits_80_columns_and_cuts_nothing(cli: Cli, trained: Any) -> None:
    shown = cli("table").out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "…" not in shown
    assert "n=2" in shown


def test_a_table_as_latex_is_balanced_and_escaped(cli: Cli, trained: Any) -> None:
    text = cli("table", "--format", "latex").out
    assert text.count(r"\begin{") == text.count(r"\end{") > 1
    assert text.count("{") == text.count("}")
    assert not set("±†") & set(text)
    assert all(part.endswith("\\") for part in text.split("%")[:-1])
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert {line.count("&") for line in body} == {len(METHODS) + 1}
    assert all(line.endswith(r"\\") for line in body)


def test_a_table_as_markdown_has_rows_of_equal_width(cli: Cli, trained: Any) -> None:
    table = [x for x in cli("table", "--format", "md").out.splitlines() if x.startswith("|")]
    assert {line.count("|") for line in table} == {len(METHODS) + 3}
    assert "Fine-tuning" in table[0]
    assert len(table) > 3


@pytest.mark.parametrize("kind", ["md", "latex", "csv", "json"])
def test_a_table_goes_into_a_file_as_it_is_printed(
    cli: Cli, trained: Any, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / f"table.{kind}"
    result = cli("table", "--format", kind, "-o", file)
    assert (result.code, result.out) == (0, "")
    assert str(file) in result.err.replace("\n", "")
    assert file.read_text().rstrip("\n") == cli("table", "--format", kind).out.rstrip("\n")
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_a_table_that_cannot_be_written_is_one_sentence(
    cli: Cli, trained: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = cli("table", "-o", tmp_path / "file" / "t.md")
    assert result.code == 2
    assert "cannot be written" in result.err
    assert "-o" in result.err


# Plots


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_a_sweep_of_rho_is_drawn(
    cli: Cli, trained: Any, kind: str, start: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "figures" / f"rho.{kind}"
    result = cli("plot", "rho", "-o", file)
    assert result.code == 0, result.err
    assert result.out.strip() == str(file)
    assert file.read_bytes().startswith(start)
    assert file.stat().st_size > 3000
    assert [f.name for f in file.parent.iterdir()] == [file.name]
    assert "rho 0.5" in result.err


def test_without_a_name_a_plot_lies_beside_the_registry(cli: Cli, trained: Any) -> None:
    assert cli("plot", "rho").code == 0
    assert (trained.file.parent / "plots" / "rho-digits.png").is_file()


def test_a_plot_without_runs_says_what_to_run(cli: Cli, trained: Any, tmp_path: Path) -> None:
    result = cli("plot", "delta", "-o", tmp_path / "delta.png")
    assert result.code == 2
    assert "dfgctl run digits --steps 3" in result.err  # as the runs there are
    assert "--method dfg --set dfg.delta=0,0.5" in result.err
    assert not (tmp_path / "delta.png").exists()


# Lists


def test_runs_are_listed_in_the_order_of_their_plans(cli: Cli, trained: Any) -> None:
    listed = cli("runs", "list", "--json").json
    made = trained.plain.json + trained.swept.json
    assert [r["id"] for r in listed] == [r["id"] for r in made]
    assert {r["status"] for r in listed} == {"finished"}


def test_lists_are_narrowed_by_method_status_and_data_set(cli: Cli, trained: Any) -> None:
    assert len(cli("runs", "list", "--method", "dfg", "--json").json) == 4
    assert cli("runs", "list", "--status", "queued", "--json").json == []
    assert len(cli("runs", "list", "--dataset", "digits", "--json").json) == ALL
    assert cli("runs", "list", "--dataset", "fmnist", "--json").json == []


def test_a_run_whose_worker_vanished_is_not_listed_as_running(
    cli: Cli, trained: Any, sql: Any
) -> None:
    late = "UPDATE runs SET status = 'running', lease_until = '2000-01-01 00:00:00.000000'"
    sql(f"{late} WHERE method = 'delta'")
    listed = cli("runs", "list", "--method", "delta", "--json").json
    assert {r["status"] for r in listed} == {"queued"}


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list"],
        ["data", "list"],
        ["recipe", "list"],
        ["run", "digits", "--repeats", "2", "--dry-run"],
        ["run", "digits", "--set", "dfg.rho=0,1", "--repeats", "2", "--dry-run"],
    ],
    ids=" ".join,
)
def test_lists_fit_80_columns_and_cut_nothing(cli: Cli, trained: Any, words: list[str]) -> None:
    shown = cli(*words).out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "…" not in shown


def test_a_run_is_shown_by_the_start_of_its_id(cli: Cli, trained: Any) -> None:
    run = trained.plain.json[3]
    shown = cli("runs", "show", run["id"][:10])
    assert shown.code == 0
    assert run["id"] in shown.out
    assert f"{100 * run['metrics']['accuracy_last']:.2f} %" in shown.out
    assert "Attempt 1: finished" in shown.out


def test_every_run_tells_the_command_that_remakes_it(cli: Cli, trained: Any) -> None:
    for run in trained.plain.json + trained.swept.json:
        printed = cli("runs", "show", run["id"]).out.strip().splitlines()[-1]
        program, *words = shlex.split(printed)
        assert program == "dfgctl"
        plan = cli(*words, "--dry-run", "--json").json
        assert [(r["id"], r["status"]) for r in plan] == [(run["id"], "finished")]
        assert cli("runs", "show", run["id"], "--json").json["command"] == printed


@pytest.mark.parametrize(
    "words",
    [
        ["--imbalance", "1:1"],
        ["--imbalance", "2.5:1", "--majority", "3"],
        ["--set", "imbalance.majority_count=60", "--validation", "0.2", "--eval-every", "2"],
        ["--set", "reg.alpha=0.5", "--set", "reg.head_epochs=3"],
        ["--set", "dfg.alpha=0.2", "--set", "dfg.beta=0.3", "--set", "dfg.gamma=0.5"],
        ["--seed", "12", "--combinations", "3,8"],
    ],
    ids=" ".join,
)
def test_a_run_with_other_settings_can_be_remade_too(
    cli: Cli, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(packs, "train", broken)  # how a run ended does not matter here
    common = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "2")
    (run,) = cli(*common, *words, "--json").json
    _, *again = shlex.split(cli("runs", "show", run["id"], "--json").json["command"])
    assert [r["id"] for r in cli(*again, "--dry-run", "--json").json] == [run["id"]]


def test_data_sets_are_listed_with_what_is_missing(cli: Cli, tmp_path: Path) -> None:
    listed = {d["name"]: d for d in cli("data", "list", "--json").json}
    assert listed["digits"]["here"] is True
    assert listed["digits"]["missing"] == []
    assert listed["fmnist"]["here"] is False
    assert len(listed["fmnist"]["missing"]) == 4
    folder = tmp_path / "d" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / listed["fmnist"]["missing"][0]).touch()
    words = ("data", "list", "--data-dir", tmp_path / "d")
    again = {d["name"]: d for d in cli(*words, "--json").json}
    assert again["fmnist"]["missing"] == listed["fmnist"]["missing"][1:]
    assert "1 of 4" in cli(*words).out


def test_recipes_are_listed_and_shown(cli: Cli) -> None:
    listed = cli("recipe", "list", "--json").json
    assert [r["name"] for r in listed] == recipes.names()
    for recipe in listed:
        whole = cli("recipe", "show", recipe["name"], "--json").json
        assert whole["imbalance"]["ratio"] == recipe["ratio"]
        assert whole["dfg"]["rho"] == 0.75
        file = cli("recipe", "show", recipe["name"]).out
        assert f'name = "{recipe["name"]}"' in file
        assert recipe["name"] in cli("recipe", "list").out


def test_json_is_json_even_where_there_is_nothing(cli: Cli) -> None:
    result = cli("runs", "list", "--json")
    assert (result.code, json.loads(result.out), result.err) == (0, [], "")


# Which accuracy


@pytest.fixture
def held_out(trained: Any, sql: Any) -> Any:
    """The trained registry, as if its runs had a validation share and three accuracies."""
    sql(
        "UPDATE attempts SET metrics = json_set(metrics, '$.accuracy_last', 0.5, "
        "'$.accuracy_best', 0.75, '$.accuracy_val', 0.625, '$.val_step', 2, "
        "'$.accuracy_unseen', 0.375)"
    )
    return trained


@pytest.mark.parametrize(
    ("select", "number", "says"),
    [
        ("last", "50.00", "after the last step"),
        ("best", "75.00", "looks at the test set"),
        ("val", "62.50", "on the validation share"),
    ],
)
def test_all_that_reports_accuracy_shows_the_one_that_is_asked_for(
    cli: Cli, held_out: Any, select: str, number: str, says: str, tmp_path: Path
) -> None:
    table = cli("table", "--select", select)
    # At 80 columns the deviation stands under its mean.
    assert table.out.count(number) >= 5
    assert "± 0.00" in table.out
    assert says in " ".join(table.out.split())
    plot = cli("plot", "rho", "--select", select, "-o", tmp_path / "rho.svg")
    assert f"{number} % (n=1)" in plot.err
    listed = cli("runs", "list", "--select", select)
    assert listed.out.count(number) == ALL
    assert listed.out.splitlines()[0].endswith(f"{select.capitalize()} %")
    assert (says in listed.err) == (select != "last")
    for record in cli("runs", "list", "--select", select, "--json").json:
        assert (record["select"], record["accuracy"]) == (select, float(number) / 100)


def test_a_run_is_shown_with_all_its_accuracies(cli: Cli, held_out: Any) -> None:
    shown = " ".join(cli("runs", "show", held_out.plain.json[0]["id"]).out.split())
    for part in (
        "50.00 % at the end",
        "best 75.00 % at step",
        "62.50 % at step 2 (by the validation share)",
        "Unseen 37.50 % at the end",
    ):
        assert part in shown


def test_run_ends_in_the_accuracy_that_is_asked_for(
    cli: Cli, held_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "train", no_training)
    for select, number in ((None, "50.00"), ("best", "75.00")):
        words = ["--select", select] if select else []
        shown = cli(*held_out.plain_command, *words).out
        assert shown.partition(" accuracy in %")[0].count(number) == 5
        records = cli(*held_out.plain_command, *words, "--json").json
        assert {r["select"] for r in records} == {select or "last"}


def test_a_released_reading_is_listed_beside_others_by_name(
    cli: Cli, held_out: Any, sql: Any
) -> None:
    sql("UPDATE runs SET spec = json_set(spec, '$.protocol', 'released') WHERE method = 'dfg'")
    listed = cli("runs", "list")
    assert listed.out.count("75.00 best") == 4
    assert listed.out.count("50.00 last") == ALL - 4
    assert "looks at the test set" in listed.err


def test_a_validated_run_keeps_what_the_share_chose(cli: Cli) -> None:
    words = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "4")
    held_out = (*words, "--eval-every", "1", "--validation", "0.25", "--device", "cpu")
    (run,) = cli(*held_out, "--select", "val", "--json").json
    measured = cli("runs", "show", run["id"], "--json").json["measurements"]
    best = max(measured, key=lambda m: m["val_accuracy"])
    assert run["metrics"]["val_step"] == best["step"]
    assert run["accuracy"] == run["metrics"]["accuracy_val"] == best["accuracy"]
    assert "0.25 of these images are held out" in cli("runs", "show", run["id"]).out


def test_without_a_share_there_is_nothing_to_validate(cli: Cli, trained: Any) -> None:
    for words in (["table"], ["plot", "rho"]):
        refused = cli(*words, "--select", "val")
        assert (refused.code, refused.out) == (2, "")
        assert "--validation 0.1" in refused.err
    assert cli("runs", "list", "--select", "val").out.count("no validation share") == ALL
    assert {r["accuracy"] for r in cli("runs", "list", "--select", "val", "--json").json} == {None}


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_table_loses_nothing_where_a_cell_has_a_long_reason(
    cli: Cli, trained: Any, sql: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    one = "(SELECT id FROM runs WHERE method = ? LIMIT 1)"
    for method in ("original", "dfg"):
        sql(f"UPDATE runs SET status = 'cancelled', result_attempt = NULL WHERE id = {one}", method)
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli("table").out
    for word in ("DFG", "cancelled", "MWGAN", "Fine-tuning"):
        assert word in out.replace("\n", " "), word
    if width >= 80:
        assert max(map(len, out.splitlines())) <= width
