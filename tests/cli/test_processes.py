"""True processes: killed, ended, and two at a time on one registry."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.cli import live
from dfgctl.dispatch import worker

Cli = Callable[..., Any]
COMMAND = ("run", "digits", "--method", "original", "--repeats", "3", "--steps", "2")
STUCK = """
import signal, sys
from dfgctl.dispatch import packs
train, ended = packs.train, []

def stuck(specs, *rest, **named):
    for event in train(specs, *rest, **named):
        yield event
        if len(ended) == 1 and type(event).__name__ == "Stepped":
            print("stuck", flush=True)
            sys.stdin.readline()  # ends the pause
    ended.append(specs)

packs.train = stuck
from dfgctl.cli import main
main()
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """One thread a process."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def stuck(environment: dict[str, str]) -> Any:
    """A process that has trained the first run, and is in the middle of the second."""
    child = subprocess.Popen(
        [sys.executable, "-c", STUCK, *COMMAND, "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    if line != "stuck\n":
        pytest.fail(f"the process did not get that far: {child.communicate()}")
    yield child
    child.kill()
    child.communicate()


def states(sql: Any) -> list[tuple[str, int]]:
    return sql("SELECT status, attempts FROM runs ORDER BY created_at")


def test_what_a_killed_process_left_is_finished_by_the_same_command(
    stuck: Any, cli: Cli, sql: Any
) -> None:
    stuck.kill()
    stuck.wait()
    assert stuck.returncode == -signal.SIGKILL
    assert states(sql) == [("finished", 1), ("running", 1), ("queued", 0)]

    sql("UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE status = 'running'")
    again = cli(*COMMAND, "--json")
    assert again.code == 0
    assert [r["status"] for r in again.json] == ["finished"] * 3
    assert states(sql) == [("finished", 1), ("finished", 2), ("finished", 1)]
    outcomes = "SELECT outcome FROM attempts WHERE run_id = ? ORDER BY number"
    assert sql(outcomes, again.json[1]["id"]) == [("lost",), ("finished",)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_stop_gives_its_runs_back(
    stuck: Any, sql: Any, number: signal.Signals
) -> None:
    stuck.send_signal(number)
    _, errors = stuck.communicate(timeout=60)
    assert stuck.returncode == 130
    assert "Stopping after this step" in errors
    assert errors.endswith("type the command again to go on.\n")
    assert "Traceback" not in errors
    assert states(sql) == [("finished", 1), ("queued", 1), ("queued", 0)]
    assert sql("SELECT lease_until FROM runs") == [(None,)] * 3


def test_two_processes_share_a_plan_train_nothing_twice_and_wait_for_each_other(
    stuck: Any, cli: Cli, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def waiting(_: Any, running: int) -> None:
        waits.append((running, *states(sql)))
        if not stuck.stdin.closed:
            stuck.stdin.close()

    monkeypatch.setattr(live.Lines, "waiting", waiting)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    assert cli(*COMMAND).code == 0
    assert waits[0] == (1, ("finished", 1), ("running", 1), ("finished", 1))
    stuck.stdin = None  # closed before
    _, errors = stuck.communicate(timeout=60)
    assert stuck.returncode == 0, errors
    assert states(sql) == [("finished", 1)] * 3
    workers = "SELECT count(DISTINCT worker) FROM attempts"
    assert sql(workers) == [(2,)]


def test_an_error_of_a_true_process_has_no_traceback(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "dfgctl", "run", "digit"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: Unknown data set 'digit': did you mean 'digits'?")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(environment: dict[str, str]) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "dfgctl", "recipe", "show", "digits"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    errors = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), errors) == (0, b"")
