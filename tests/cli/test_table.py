"""``dfgctl table``: options that do not go together are refused before anything is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--margin", "2"], ["--margin says", "add --published"]),
        (["--paper-n", "5", "--judge-all"], ["--paper-n and --judge-all say", "--published"]),
        (["--against", "delta"], ["table results", "--against", "leave it out"]),
        (["balanced", "--published"], ["table balanced", "--published"]),
        (["balanced", "--published", "--margin", "1"], ["--margin or --published"]),
    ],
)
def test_options_that_a_table_does_not_use_are_refused(
    cli: Cli, words: list[str], parts: list[str]
) -> None:
    result = cli("table", *words)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    for part in parts:
        assert part in result.err


@pytest.mark.parametrize(
    ("name", "words", "start"),
    [
        ("t.md", (), "| Data set"),
        ("t.txt", (), "| Data set"),
        ("t.tex", (), "\\begin{table}"),
        ("t.HTML", (), "<!doctype html>"),
        ("t.csv", (), "dataset,"),
        ("t.json", (), "["),
        ("t.html", ("--format", "md"), "| Data set"),
        ("t.html", ("--format", "rich"), "| Data set"),
    ],
)
def test_a_file_is_what_its_ending_says(
    cli: Cli, tmp_path: Path, name: str, words: tuple[str, ...], start: str
) -> None:
    file = tmp_path / name
    assert cli("table", "datasets", *words, "-o", file).code == 0
    assert file.read_text("utf-8").startswith(start)


@pytest.mark.parametrize(
    "words", [["--published", "--metric", "f1"], ["balanced"], ["frontier"], []]
)
def test_without_runs_it_says_what_trains_some(cli: Cli, words: list[str]) -> None:
    result = cli("table", *words)
    assert result.code == 2
    assert "dfgctl run digits" in result.err
