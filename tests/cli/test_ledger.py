"""``dfgctl ledger``: both readings of every row, and those that a run used."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.ledger import LEDGER, SWITCHES

Cli = Callable[..., Any]
IDS = [entry.id for entry in LEDGER]
RUN = (
    *("run", "digits", "--method", "original", "--repeats", "1", "--steps", "1"),
    *("--device", "cpu", "--json"),
)


def rows_of(markdown: str) -> list[list[str]]:
    """Read a markdown table: its lines' cells, the titles first, without the line of dashes."""
    lines = markdown.splitlines()
    assert set(lines[1]) <= set("|-")
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


@pytest.fixture
def run_id(cli: Cli) -> Callable[..., str]:
    """Train one run for a step and return its id."""

    def make(*words: str) -> str:
        result = cli(*RUN, *words)
        assert result.code == 0, result.err
        (run,) = result.json
        return str(run["id"])

    return make


# Without a run


def test_the_list_names_every_row_with_both_readings(cli: Cli) -> None:
    shown = cli("ledger")
    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    found = re.findall(r"^ ?([FN]\d\d) ", shown.out, re.MULTILINE)
    assert found == IDS
    for word in ("paper", "released", "--protocol released", "--set"):
        assert word in shown.out


def test_json_is_a_list_of_objects(cli: Cli, tmp_path: Path) -> None:
    shown = cli("ledger", "--json")
    assert shown.code == 0
    assert [row["id"] for row in shown.json] == IDS
    for row, entry in zip(shown.json, LEDGER, strict=True):
        assert {"id", "what", "paper", "released", "default"} <= set(row)
        assert "used" not in row
        assert (row["what"], row["paper"]) == (entry.what, entry.paper)
        assert row["released"] == (entry.released if entry.switch else entry.paper)
        assert row["default"] == ("paper" if entry.switch else "both")
    assert shown.json == cli("ledger", "--format", "json").json
    assert list(tmp_path.iterdir()) == []


def test_markdown_is_a_table_of_all_rows(cli: Cli) -> None:
    titles, *rows = rows_of(cli("ledger", "--format", "md").out)
    assert titles == ["id", "what", "paper", "released", "default"]
    assert [row[0] for row in rows] == IDS
    assert {len(row) for row in rows} == {5}
    for row, entry in zip(rows, LEDGER, strict=True):
        assert row[1].replace("\\|", "|") == entry.what
        assert row[3] != ""


def test_it_is_written_to_a_file(cli: Cli, tmp_path: Path) -> None:
    shown = cli("ledger", "-o", tmp_path / "deeper" / "ledger.md")
    assert (shown.code, shown.out) == (0, "")
    assert "Wrote " in shown.err
    assert (tmp_path / "deeper" / "ledger.md").read_text() == cli("ledger", "--format", "md").out


def test_json_is_written_to_a_file(cli: Cli, tmp_path: Path) -> None:
    shown = cli("ledger", "--json", "-o", tmp_path / "ledger.json")
    assert shown.out == ""
    assert (tmp_path / "ledger.json").read_text() == cli("ledger", "--json").out


# With a run


@pytest.mark.parametrize(
    ("words", "released"),
    [
        ((), set()),
        (("--protocol", "released"), {"F09", "F14", "F16"}),
        (("--set", "fidelity.F16=released"), {"F16"}),
        (("--protocol", "released", "--set", "fidelity.F09=paper"), {"F14", "F16"}),
    ],
    ids=["paper", "released", "one switch", "released but one"],
)
def test_a_run_says_which_readings_it_used(
    cli: Cli, run_id: Callable[..., str], words: tuple[str, ...], released: set[str]
) -> None:
    used = {row["id"]: row["used"] for row in cli("ledger", run_id(*words)[:12], "--json").json}
    assert list(used) == IDS
    assert {i for i in used if used[i] == "released"} == released
    assert {i for i in used if used[i] == "paper"} == {"F09", "F14", "F16"} - released
    for switch in set(SWITCHES) - {"F09", "F14", "F16"}:
        assert used[switch] is None


def test_a_runs_readings_are_shown_and_written(cli: Cli, run_id: Callable[..., str]) -> None:
    name = run_id("--set", "fidelity.F16=released")
    shown = cli("ledger", name)
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "Used" in shown.out
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line[:4].strip()}
    assert lines["F16"].rstrip().endswith("released")
    assert lines["F14"].rstrip().endswith("paper")
    titles, *rows = rows_of(cli("ledger", name, "--format", "md").out)
    assert titles[-1] == "used"
    assert {row[0]: row[-1] for row in rows}["F16"] == "released"
    assert {row[0]: row[-1] for row in rows}["F01"] == ""


def test_a_run_that_there_is_not_is_refused(cli: Cli, run_id: Callable[..., str]) -> None:
    run_id()
    for words in (["ledger", "zzz"], ["ledger", "zzz", "--json"]):
        shown = cli(*words)
        assert (shown.code, shown.out) == (2, "")
        assert shown.err.startswith("Error: There is no run 'zzz'")
        assert "dfgctl runs list" in shown.err


def test_a_run_without_a_registry_is_refused(cli: Cli, tmp_path: Path) -> None:
    shown = cli("ledger", "3f9a")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("Error: There is no run '3f9a': there is no registry")
    assert list(tmp_path.iterdir()) == []


# What a plan says of its readings

PLAN = ("run", "digits", "--repeats", "1", "--dry-run", "--json")


def test_a_released_plan_names_its_protocol(cli: Cli) -> None:
    paper, released = cli(*PLAN), cli(*PLAN, "--protocol", "released")
    assert (paper.code, released.code) == (0, 0)
    assert {run["protocol"] for run in paper.json} == {"paper"}
    assert {run["protocol"] for run in released.json} == {"released"}
    assert not {run["id"] for run in paper.json} & {run["id"] for run in released.json}


def test_a_switch_is_swept_where_it_matters(cli: Cli) -> None:
    shown = cli(*PLAN, "--set", "fidelity.F05=paper,released")
    assert shown.code == 0
    plan = shown.json
    assert [r["method"] for r in plan] == ["original", "finetune", "delta", "difa", "dfg", "dfg"]
    assert [r["set"] for r in plan[-2:]] == [{"fidelity.F05": x} for x in ("paper", "released")]
    assert [r["settings"].get("fidelity") for r in plan[-2:]] == [None, {"F05": "released"}]
    assert {r["id"] for r in plan[:-1]} == {r["id"] for r in cli(*PLAN).json}


def test_an_unknown_protocol_and_an_unknown_switch_are_refused(cli: Cli, tmp_path: Path) -> None:
    for words, says in (
        (["--protocol", "release"], "did you mean 'released'"),
        (["--set", "fidelity.F99=released"], "fidelity.F99"),
        (["--set", "fidelity.F05=both"], "'paper' or 'released'"),
    ):
        shown = cli(*PLAN, *words)
        assert (shown.code, shown.out) == (2, "")
        assert says in shown.err
    assert list(tmp_path.iterdir()) == []
