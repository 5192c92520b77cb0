"""``dfgctl doctor``: what it prints, and when it exits 1."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filled import fill

from dfgctl.doctor import machine

Cli = Callable[..., Any]
FILE = "results/registry.sqlite"


@pytest.fixture(autouse=True)
def _machine_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not depend on the disk and the devices of the machine that they run on."""
    monkeypatch.setattr(machine, "FULL", 0)
    monkeypatch.setattr(machine, "driver_gpus", list)


def test_a_machine_that_is_well(cli: Cli, tmp_path: Path) -> None:
    shown = cli("doctor")
    assert shown.code == 0, shown.out
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[-1].startswith("No problem, ")
    topics = {line[10:19].strip() for line in lines if line[:8].strip() in ("ok", "note")}
    assert topics >= {
        *("program", "python", "packages", "extras", "slurm"),
        *("devices", "memory", "disk", "data", "recipes", "registry"),
    }
    assert "torch 2." in " ".join(shown.out.split())
    assert list(tmp_path.iterdir()) == []


def test_a_problem_exits_1_and_says_what_to_do(cli: Cli) -> None:
    filled = fill(FILE)
    filled.registry.close()
    Path(FILE).write_text("no registry any more")
    shown = cli("doctor")
    assert shown.code == 1
    assert shown.out.splitlines()[-1].startswith("1 problem, ")
    text = " ".join(shown.out.split())
    assert "problem registry results/registry.sqlite is not a database" in text
    assert "→ name another file with --registry" in text


def test_json_has_the_same_findings(cli: Cli) -> None:
    Path("r.sqlite").write_text("no registry")
    shown = cli("doctor", "--json", "--registry", "r.sqlite", "--data-dir", "elsewhere")
    assert shown.code == 1
    assert shown.json["well"] is False
    problems = [f for f in shown.json["findings"] if f["level"] == "problem"]
    assert [f["topic"] for f in problems] == ["registry"]
    assert all(set(f) == {"level", "topic", "text", "remedy"} for f in shown.json["findings"])
    assert any("elsewhere" in f["text"] for f in shown.json["findings"])
    assert cli("doctor", "--json").json["well"] is True
