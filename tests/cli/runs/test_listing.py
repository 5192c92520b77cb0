"""The list of runs: filters, order, limit, and terminals of any width."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dfgctl.cli.runs.listing import SHOWN

Cli = Callable[..., Any]


def ids(result: Any) -> list[str]:
    assert result.code == 0, result.err
    return [run["id"] for run in result.json]


def shown(result: Any) -> list[str]:
    """Return the ids of a list for reading, short."""
    assert result.code == 0, result.err
    words = [line.split()[0] for line in result.out.splitlines() if line and line[0] != " "]
    return [word for word in words if len(word) == 10]


@pytest.fixture
def five(made: Any) -> list[str]:
    """A run in each of five states."""
    return [
        made.finished(0, 0.75),
        made.failed(1, "diverged", method="dfg"),
        made.failed(2),
        made.returned(3, "lost"),
        made.queued(4, method="dfg"),
    ]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--method", "dfg"], [1, 4]),
        (["--method", "delta"], []),
        (["--method", "paper"], [0, 1, 2, 3, 4]),
        (["--method", "rivals"], []),
        (["--dataset", "digits"], [0, 1, 2, 3, 4]),
        (["--dataset", "fmnist"], []),
        (["--status", "finished"], [0]),
        (["--status", "failed"], [1, 2]),
        (["--status", "queued"], [3, 4]),
        (["--status", "diverged"], [1]),
        (["--status", "lost"], [3]),
        (["--status", "preempted"], []),
        (["--status", "queued", "--method", "dfg"], [4]),
        (["--limit", "2"], [3, 4]),
        (["--limit", "0"], [0, 1, 2, 3, 4]),
        (["--limit", "9"], [0, 1, 2, 3, 4]),
        (["--sort", "accuracy"], [1, 2, 3, 4, 0]),
        (["--sort", "accuracy", "--limit", "1"], [0]),
        (["--sort", "method"], [1, 4, 0, 2, 3]),
        (["--sort", "status"], [1, 2, 0, 3, 4]),
        (["--sort", "dataset"], [0, 1, 2, 3, 4]),
        (["--since", "1h"], [0, 1, 2, 3, 4]),
        (["--since", "2999-01-01"], []),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_a_list_has_what_was_asked_for_in_its_order(
    cli: Cli, five: list[str], words: list[str], wanted: list[int]
) -> None:
    assert ids(cli("runs", "list", "--json", *words)) == [five[i] for i in wanted]
    assert shown(cli("runs", "list", *words)) == [five[i][:10] for i in wanted]


def test_a_list_since_a_time_has_what_began_then_or_was_queued_then(
    cli: Cli, made: Any, sql: Callable[..., Any]
) -> None:
    old, again, new = made.queued(0), made.queued(1), made.queued(2)
    long_ago = datetime.now() - timedelta(days=9)  # of the machine's time zone, as users type it
    for run_id in (old, again):
        sql(
            "UPDATE runs SET created_at = ? WHERE id = ?",
            f"{long_ago:%Y-%m-%d} 00:00:00.000000",
            run_id,
        )
    made.claim(again)
    assert ids(cli("runs", "list", "--json", "--since", "1d")) == [again, new]
    since = f"{long_ago - timedelta(days=2):%Y-%m-%d}"
    assert ids(cli("runs", "list", "--json", "--since", since)) == [old, again, new]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda made: made.failed(0, "diverged"), "failed (diverged)"),
        (lambda made: made.failed(0, "out-of-memory"), "failed (out-of-memory)"),
        (lambda made: made.returned(0, "lost"), "queued (lost)"),
        (lambda made: made.returned(0, "preempted"), "queued (preempted)"),
        (lambda made: made.returned(0, "interrupted"), "queued (interrupted)"),
    ],
    ids=["diverged", "memory", "lost", "preempted", "interrupted"],
)
def test_what_differs_is_shown_as_different(cli: Cli, made: Any, make: Any, says: str) -> None:
    run_id = make(made)
    outcome = says.partition("(")[2].rstrip(")")
    result = cli("runs", "list", "--status", outcome)
    assert shown(result) == [run_id[:10]]
    assert says in result.out
    assert says in " ".join(cli("runs", "show", run_id).out.split())


def test_a_run_that_is_cancelled_or_trained_again_is_not_called_lost(cli: Cli, made: Any) -> None:
    cancelled, again = made.returned(0, "lost"), made.returned(1, "lost")
    made.registry.cancel([cancelled])
    made.claim(again)
    assert ids(cli("runs", "list", "--json", "--status", "lost")) == []
    assert "lost" not in cli("runs", "list").out


def test_json_of_many_runs_is_written_as_that_of_one(cli: Cli, five: list[str]) -> None:
    for words in ([], ["--limit", "1"], ["--status", "cancelled"]):
        result = cli("runs", "list", "--json", *words)
        assert result.out == json.dumps(result.json, indent=2, ensure_ascii=False) + "\n"


def test_a_long_list_shows_the_newest_and_says_how_many_there_are(cli: Cli, made: Any) -> None:
    runs = [made.queued(seed) for seed in range(SHOWN + 1)]
    result = cli("runs", "list")
    assert shown(result) == [run_id[:10] for run_id in runs[1:]]
    assert f"{SHOWN} of {SHOWN + 1} runs: --limit 0 shows all." in result.err
    assert ids(cli("runs", "list", "--json")) == runs
    made.registry.remove(runs[:1])
    whole = cli("runs", "list")
    assert shown(whole) == [run_id[:10] for run_id in runs[1:]]
    assert whole.err == ""


@pytest.mark.parametrize("columns", [80, 60, 40, 30])
def test_a_list_fits_a_terminal(
    cli: Cli, made: Any, narrow: Callable[[int], None], columns: int
) -> None:
    many = tuple(range(0, 256, 2))
    wide = made.failed(
        0, "out-of-memory", method="finetune", combination=many, majority=128, ratio="100:1"
    )
    narrow(columns)
    result = cli("runs", "list")
    assert shown(result) == [wide[:10]]
    assert max(map(len, result.out.splitlines())) <= columns
    assert "finetune" in result.out
    assert "(out-of-memory)" in result.out or columns < 40
    assert "Left out here: steps" in result.out


def test_a_usual_list_is_whole_at_80_columns(
    cli: Cli, made: Any, narrow: Callable[[int], None]
) -> None:
    made.finished(0), made.returned(1, "preempted")
    narrow(80)
    result = cli("runs", "list")
    assert "Left out" not in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    for name in (
        "Data set",
        "Ratio",
        "Majority",
        "Seed",
        "Steps",
        "Status",
        "(preempted)",
        "{0, 4}",
    ):
        assert name in result.out


def test_where_there_is_nothing_the_list_says_what_to_type(cli: Cli, made: Any) -> None:
    assert cli("runs", "list").err == "No runs yet: train some, e.g. dfgctl run digits.\n"
    made.queued()
    none = cli("runs", "list", "--status", "finished")
    assert (none.code, none.out, none.err) == (0, "", "No such runs: dfgctl runs list shows all.\n")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "3", "3y", "-1d", "25:00", "2026-13-01", "9" * 12 + "w"]
)
def test_what_is_no_time_is_refused(cli: Cli, text: str) -> None:
    result = cli("runs", "list", "--since", text)
    assert result.code == 2
    assert f"'{text}' is no time" in result.err


def test_a_status_that_is_not_known_is_refused_with_the_nearest(cli: Cli) -> None:
    result = cli("runs", "list", "--status", "diverge")
    assert result.code == 2
    assert "did you mean 'diverged'" in result.err
