"""Whole commands in a crowd, on a registry that is not there yet: each run is finished once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parent.parent / "support"
RUNS = 400
SHORT_LEASES = (
    "from datetime import timedelta\n"
    "from dfgctl.registry import database, queue, roster\n"
    "from dfgctl.dispatch import lease\n"
    "for module in (database, queue, roster): module.LEASE = timedelta(seconds=6)\n"
    "lease.BEAT_SECONDS = 1.0\n"
    "from dfgctl.cli import main\n"
    "main()\n"
)


@pytest.fixture
def start() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start the command once more."""
    words = ("run", "digits", "--method", "cheap_method:Cheap", "--repeats", str(RUNS))
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    children = []

    def one() -> subprocess.Popen[str]:
        children.append(
            subprocess.Popen(
                [sys.executable, "-c", SHORT_LEASES, *words, "--steps", "2", "--device", "cpu"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
                text=True,
            )
        )
        return children[-1]

    yield one
    for child in children:
        child.kill()
        child.wait()
        assert child.stderr is not None
        child.stderr.close()


@pytest.mark.soak
def test_eight_commands_finish_each_run_once_and_all_exit_0(start: Any, sql: Any) -> None:
    children = [start() for _ in range(8)]
    for child in children:
        _, errors = child.communicate(timeout=1200)
        assert child.returncode == 0, errors
    assert sql("SELECT status, attempts, count(*) FROM runs GROUP BY 1, 2") == [
        ("finished", 1, RUNS)
    ]
    assert sql("SELECT outcome, count(*) FROM attempts GROUP BY 1") == [("finished", RUNS)]
    assert sql("SELECT count(*) FROM evaluations") == [(2 * RUNS,)]
    assert sql("SELECT count(DISTINCT worker) FROM attempts")[0][0] > 4


@pytest.mark.soak
def test_commands_killed_at_any_moment_lose_no_run(start: Any, sql: Any) -> None:
    chance = random.Random(1)
    children = [start() for _ in range(6)]
    for _ in range(12):
        time.sleep(chance.uniform(0.5, 4.0))
        victim = children.pop(chance.randrange(len(children)))
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        children.append(start())
    for child in children:
        _, errors = child.communicate(timeout=1200)
        assert child.returncode == 0, errors
    assert sql("SELECT status, count(*) FROM runs GROUP BY 1") == [("finished", RUNS)]
    assert sql("SELECT count(*) FROM attempts WHERE outcome = 'finished'") == [(RUNS,)]
    others = sql("SELECT DISTINCT outcome FROM attempts WHERE outcome <> 'finished'")
    assert set(others) <= {("lost",)}
    twice = "SELECT run_id FROM evaluations GROUP BY run_id, attempt HAVING count(*) > 2"
    assert sql(twice) == []
