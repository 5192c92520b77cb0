"""A run's log: all of it, its end, and what comes while the run is trained."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.cli.runs import logs
from dfgctl.dispatch.logs import log_file

Cli = Callable[..., Any]


def log(made: Any, run_id: str, text: str) -> Path:
    file = log_file(made.folder / "logs", run_id)
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)
    return file


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], "α\n[b]\nγ"), (["-n", "2"], "[b]\nγ"), (["-n", "0"], ""), (["-n", "9"], "α\n[b]\nγ")],
    ids=str,
)
def test_a_log_is_printed_as_it_is(cli: Cli, made: Any, words: list[str], wanted: str) -> None:
    run_id = made.finished()
    log(made, run_id, "α\n[b]\nγ")
    for follow in ([], ["-f"]):
        result = cli("runs", "logs", run_id[:9], *words, *follow)
        assert (result.code, result.out, result.err) == (0, wanted, "")


def test_a_log_is_followed_until_the_run_has_ended(
    cli: Cli, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made.running()
    log(made, run_id, "one\n")
    steps = iter(
        [
            lambda: log(made, run_id, "two\nthr"),
            lambda: log(made, run_id, "ee\n"),
            lambda: made.registry.cancel([run_id]),
            lambda: log(made, run_id, "the last"),  # a worker's last word comes after the end
        ]
    )
    monkeypatch.setattr(logs.time, "sleep", lambda seconds: next(steps)())
    result = cli("runs", "logs", run_id, "-f", "-n", "1")
    assert result.code == 0
    assert result.out.startswith("one\ntwo\nthree\nthe last")
    assert result.out.endswith("Z  Attempt 1: cancelled.\n")
    assert next(steps, None) is None


def test_a_queued_run_is_waited_for(cli: Cli, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = made.queued()
    steps = iter(
        [lambda: log(made, run_id, "begun\n"), lambda: made.registry.cancel([run_id]), int]
    )
    monkeypatch.setattr(logs.time, "sleep", lambda seconds: next(steps)())
    result = cli("runs", "logs", run_id, "-f")
    assert (result.code, result.out) == (0, "begun\n")
    assert "is queued" in result.err


def test_a_worker_that_vanished_is_noticed_while_its_log_is_followed(
    cli: Cli, made: Any, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made.running()
    log(made, run_id, "one\n")
    sql("UPDATE runs SET losses = 2")

    def vanish(_: float) -> None:
        sql("UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000'")

    monkeypatch.setattr(logs, "EXPIRE_SECONDS", -1.0)
    monkeypatch.setattr(logs.time, "sleep", vanish)
    assert cli("runs", "logs", run_id, "-f").code == 0
    assert made.status(run_id) == "failed"


def test_an_interruption_ends_it_quietly(
    cli: Cli, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made.running()
    log(made, run_id, "one\n")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(logs.time, "sleep", interrupt)
    result = cli("runs", "logs", run_id, "-f")
    assert (result.code, result.out, result.err) == (130, "one\n", "")


def test_a_log_that_is_elsewhere_is_said_to_be_there(cli: Cli, made: Any) -> None:
    for run_id in (made.finished(0), made.running(1)):
        for words in ([], ["-f"]):
            result = cli("runs", "logs", run_id, *words)
            assert (result.code, result.out) == (2, "")
            assert "worker elsewhere:7:abc123 trained it on elsewhere" in result.err
            assert f"dfgctl runs show {run_id[:10]}" in result.err


def test_a_log_that_is_gone_is_said_to_be_gone(cli: Cli, made: Any) -> None:
    made.worker = f"{platform.node()}:7:abc123"
    result = cli("runs", "logs", made.finished())
    assert result.code == 2
    assert "deleted, or never kept" in result.err


@pytest.mark.parametrize(("cancelled", "says"), [(False, "-f waits"), (True, "dfgctl runs retry")])
def test_a_run_that_never_began_has_none(cli: Cli, made: Any, cancelled: bool, says: str) -> None:
    run_id = made.queued()
    if cancelled:
        made.registry.cancel([run_id])
    result = cli("runs", "logs", run_id)
    assert result.code == 2
    assert says in result.err


def test_no_registry_has_no_log(cli: Cli) -> None:
    result = cli("runs", "logs", "abc")
    assert result.code == 2
    assert "There is no run 'abc'" in result.err
