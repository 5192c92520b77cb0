"""Worker processes as such: who is told to stop, who is replaced, who counts as dead."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dfgctl.dispatch import crew as crews
from dfgctl.dispatch.crew import Crew, Job


class Stand(Crew):
    """A crew of processes that do as they are told instead of training."""

    code = "import time; time.sleep(60)"

    def _spawn(self, job: Job, log: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-S", "-E", "-c", self.code])


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Stand]:
    """Two processes that sleep."""
    job = Job("r.sqlite", "p", "cpu", "auto", Path("data"), "auto")
    made = Stand([job, job], tmp_path / "logs")
    made.start()
    yield made
    made.kill()


def wait_for(crew: Crew, alive: int) -> None:
    for _ in range(1000):
        if crew.alive == alive:
            return
        time.sleep(0.01)
    raise AssertionError(f"{crew.alive} are alive")


def test_one_that_dies_is_replaced_a_few_times(crew: Stand) -> None:
    for i in range(crews.REPLACEMENTS + 1):
        member = crew.members[0]
        pid = member.process.pid
        member.process.kill()
        wait_for(crew, 1)
        (death,) = crew.deaths()
        assert (death.pid, death.how) == (pid, "SIGKILL")
        assert death.given_up == (i == crews.REPLACEMENTS)
    assert len(crew.members) == 1
    assert crew.deaths() == []


def test_nobody_is_replaced_once_a_stop_was_asked_for(crew: Stand) -> None:
    crew.members[0].process.kill()
    wait_for(crew, 1)
    (death,) = crew.deaths(replace=False)
    assert death.given_up
    assert crew.alive == 1


def test_one_that_was_told_before_it_could_listen_is_not_dead_but_stopped(crew: Stand) -> None:
    crew.stop()
    crew.wait()
    assert [m.process.returncode for m in crew.members] == [-signal.SIGTERM] * 2
    assert crew.deaths() == []


def test_each_is_told_once_since_twice_means_at_once(crew: Stand, monkeypatch: Any) -> None:
    told: list[int] = []
    with monkeypatch.context() as patch:  # to kill is to send a signal, too
        patch.setattr(subprocess.Popen, "send_signal", lambda self, n: told.append(self.pid))
        crew.stop()
        crew.stop()
    assert sorted(told) == sorted(m.process.pid for m in crew.members)


def test_those_that_ended_in_order_start_again_when_runs_come_back(
    crew: Stand, monkeypatch: Any
) -> None:
    crew.kill()
    for member in crew.members:
        member.process = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    wait_for(crew, 0)
    assert crew.deaths() == []
    crew.restart()
    assert crew.alive == 2


def test_a_worker_is_told_to_be_deterministic_or_nothing() -> None:
    plain = Job("r.sqlite", "p", "cuda:0", "auto", Path("data"), "auto", 2)
    exact = replace(plain, deterministic=True)
    assert "--deterministic" not in plain.command("local")
    words = exact.command("local", "--log", "l")
    assert words.index("--deterministic") < words.index("--launcher")
    assert [w for w in words if w != "--deterministic"] == plain.command("local", "--log", "l")
