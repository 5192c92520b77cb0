"""Worker processes: shared work, one killed, the command stopped or killed, detached ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.errors import RegistryError
from dfgctl.registry import Registry

Cli = Callable[..., Any]
PLAIN = ("run", "digits", "--method", "original", "--device", "cpu")


@pytest.fixture
def environment() -> dict[str, str]:
    """One thread a process."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def begin(environment: dict[str, str]) -> Any:
    """Start a command; what still runs at the end is killed."""
    children = []

    def start(*words: str) -> subprocess.Popen[str]:
        children.append(
            subprocess.Popen(
                [sys.executable, "-m", "dfgctl", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
            )
        )
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def registry() -> Registry:
    return Registry("results/registry.sqlite", create=False)


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until something is there."""
    for _ in range(1200):
        if Path("results/registry.sqlite").exists() and (found := what()):
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in a minute")


def training(count: int) -> Callable[[], list[int]]:
    """Return the processes of workers that train, as soon as there are so many."""

    def look() -> list[int]:
        try:
            store = registry()
        except RegistryError:  # it is just being made
            return []
        pids = [w.pid for w in store.workers() if w.doing.get("runs")]
        store.close()
        return pids if len(pids) >= count else []

    return look


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_two_workers_share_a_plan_and_a_dead_one_is_replaced(begin: Any, sql: Any) -> None:
    words = (*PLAIN, "--repeats", "6", "--steps", "200", "--workers", "2")
    child = begin(*words)
    first, *_ = wait_for(training(2))
    os.kill(first, signal.SIGKILL)
    out, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    assert f":{first} ended (SIGKILL), see results/logs/worker-" in errors
    assert "Another takes its place." in errors
    assert "[6/6]" in errors
    assert "n=6" in out
    assert sql("SELECT status, count(*) FROM runs GROUP BY 1") == [("finished", 6)]
    assert sql("SELECT count(DISTINCT worker) FROM attempts WHERE outcome = 'finished'") > [(1,)]
    lost = sql("SELECT error FROM attempts WHERE outcome = 'lost'")
    assert lost == [("Its worker died: SIGKILL.",)]
    assert sql("SELECT count(*) FROM attempts") == [(7,)]
    threads = sql("SELECT DISTINCT device FROM attempts")
    cores = len(os.sched_getaffinity(0))
    each = max(1, cores // 2)
    assert threads == [(f"CPU, {each} thread{'s' if each > 1 else ''}",)]


def test_a_command_that_is_stopped_stops_its_workers(begin: Any, sql: Any) -> None:
    child = begin(*PLAIN, "--repeats", "4", "--steps", "100000", "--workers", "2")
    pids = wait_for(training(2))
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Stopping after this step" in errors
    assert not any(map(alive, pids))
    assert sql("SELECT DISTINCT status FROM runs") == [("queued",)]
    assert sql("SELECT count(*) FROM runs WHERE checkpoint_step > 0") == [(2,)]
    assert sql("SELECT DISTINCT outcome FROM attempts") == [("interrupted",)]


def test_workers_die_with_their_command_and_write_checkpoints_first(begin: Any, sql: Any) -> None:
    child = begin(*PLAIN, "--repeats", "2", "--steps", "100000", "--workers", "2")
    pids = wait_for(training(2))
    child.kill()
    child.communicate()
    wait_for(lambda: not any(map(alive, pids)))
    assert sql("SELECT DISTINCT status FROM runs") == [("queued",)]
    assert sql("SELECT count(*) FROM runs WHERE checkpoint_step > 0") == [(2,)]


def test_detached_workers_go_on_and_can_be_watched(begin: Any, cli: Cli, sql: Any) -> None:
    child = begin(*PLAIN, "--repeats", "2", "--steps", "60", "--detach")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert "1 worker at work. Look on: dfgctl runs watch" in errors
    assert cli("runs", "watch").code == 0
    assert sql("SELECT status, count(*) FROM runs GROUP BY 1") == [("finished", 2)]
    assert sql("SELECT DISTINCT launcher FROM workers") == [("local",)]


def test_a_worker_trains_what_is_queued_and_fails_what_it_cannot_read(
    cli: Cli, sql: Any, begin: Any
) -> None:
    assert cli(*PLAIN, "--repeats", "2", "--steps", "3", "--dry-run").code == 0
    result = cli("worker")
    assert result.code == 2
    assert "There is no registry at" in result.err
    cli(*PLAIN, "--repeats", "2", "--steps", "3")
    cli("runs", "list")
    sql("UPDATE runs SET status = 'queued'")
    first = "(SELECT id FROM runs ORDER BY created_at LIMIT 1)"
    sql(f"UPDATE runs SET spec = replace(spec, '\"digits\"', '\"gone\"') WHERE id = {first}")
    result = cli("worker", "--device", "cpu")
    assert result.code == 1
    assert "does not know the data set 'gone'" in result.err
    assert sql("SELECT status FROM runs ORDER BY created_at") == [("failed",), ("finished",)]
    assert cli("worker").code == 0
