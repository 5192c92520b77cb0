"""A job as submitit starts it on a node: its worker, signals, and what comes of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfgctl.dispatch import slurm_job
from dfgctl.dispatch.crew import Job
from dfgctl.dispatch.slurm_job import WorkerJob
from dfgctl.dispatch.stopping import PREEMPTED, Stop

Program = Callable[[str, str], Path]
JOB = Job("postgresql://me:s3cret@db/dfgctl", "plan1", "auto", "auto", Path("data"), "auto")
LISTENS = """
import signal, sys, time
from dfgctl.dispatch.stopping import Stop
print("up", flush=True)
time.sleep(float(sys.argv[1]))
stop = Stop()
with stop.listening(preempted=True):
    stop.wait(60)
    print(stop.reason, flush=True)
raise SystemExit(130)
"""


@pytest.fixture(autouse=True)
def _in_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [n for n in os.environ if n.startswith("SLURM_") and n != "SLURM_CONF"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SUBMITIT_FOLDER", str(tmp_path / "slurm"))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("DFGCTL_REGISTRY", "somewhere")
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Let the worker be another program, and remember its words."""

    def make(*words: str) -> list[tuple[Any, ...]]:
        told: list[tuple[Any, ...]] = []

        def command(job: Job, *more: str) -> list[str]:
            told.append((job, *more))
            return [sys.executable, *words]

        monkeypatch.setattr(Job, "command", command)
        return told

    return make


def soon(function: Callable[[], None], seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, function)
    timer.start()
    return timer


@pytest.mark.parametrize("code", [0, 130])
def test_a_worker_that_ends_in_order_ends_the_job(
    starts: Callable[..., Any], tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_job, "SIGNAL_SECONDS", 0)
    told = starts("-c", f"raise SystemExit({code})")
    assert WorkerJob(JOB)() == code
    log = str(tmp_path / "slurm" / "17_0_log.out")
    assert [words[1:] for words in told] == [("slurm 17", "--log", log)]


def test_a_worker_that_has_said_what_is_wrong_is_echoed_by_its_code(
    starts: Callable[..., Any],
) -> None:
    starts("-c", "raise SystemExit(2)")
    with pytest.raises(SystemExit) as caught:
        WorkerJob(JOB)()
    assert caught.value.code == 2


def test_a_worker_that_is_killed_is_told_of(starts: Callable[..., Any]) -> None:
    starts("-c", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(RuntimeError, match="ended by SIGKILL"):
        WorkerJob(JOB)()


def test_a_signal_that_comes_after_the_worker_s_end_still_counts(
    starts: Callable[..., Any],
) -> None:
    starts("-c", "raise SystemExit(130)")

    class RequeuedError(Exception):
        pass

    def requeue(*_: Any) -> None:
        work.checkpoint()
        raise RequeuedError

    work = WorkerJob(JOB)
    signal.signal(signal.SIGUSR2, requeue)
    timer = soon(lambda: os.kill(os.getpid(), signal.SIGUSR2), 1.0)
    with pytest.raises(RequeuedError):
        work()
    timer.join()


def test_without_a_registry_there_is_no_worker(
    starts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = starts("-c", "")
    monkeypatch.delenv("DFGCTL_REGISTRY")
    with pytest.raises(RuntimeError, match="lacks DFGCTL_REGISTRY"):
        WorkerJob(JOB)()
    assert told == []


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({}, None),
        ({"SLURM_CPUS_ON_NODE": "4"}, 4),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"}, 2),
    ],
)
def test_a_worker_has_as_many_threads_as_the_job_has_cpus(
    starts: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    threads: int | None,
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    told = starts("-c", "")
    WorkerJob(JOB)()
    assert told[0][0].threads == threads


@pytest.mark.parametrize("pause", ["0", "0.5"])
def test_a_checkpoint_lets_the_worker_end_even_one_that_does_not_listen_yet(
    starts: Callable[..., Any], capfd: pytest.CaptureFixture[str], pause: str
) -> None:
    starts("-c", LISTENS, pause)
    work = WorkerJob(JOB)
    again: list[Any] = []
    signal.signal(signal.SIGUSR2, lambda *_: again.append(work.checkpoint()))

    def told_twice() -> None:
        deadline = time.monotonic() + 60
        while "up" not in capfd.readouterr().out and time.monotonic() < deadline:
            time.sleep(0.05)
        assert work.child is not None
        for pid in (work.child.pid, os.getpid()):
            os.kill(pid, signal.SIGUSR2)

    timer = soon(told_twice, 0)
    assert work() == 130
    timer.join()
    assert len(again) == 1
    assert isinstance(again[0].function, WorkerJob)
    assert again[0].function.job == work.job
    assert again[0].function.child is None
    assert PREEMPTED in capfd.readouterr().out


@pytest.mark.parametrize(("state", "asked"), [("RUNNING", 1), ("COMPLETING", 0)])
def test_a_sigterm_is_a_preemption_only_while_the_job_runs(
    starts: Callable[..., Any], program: Program, state: str, asked: int
) -> None:
    program("scontrol", f"echo 'JobId=17 JobName=dfgctl'; echo '   JobState={state} Reason=None'")
    starts("-c", "import time; time.sleep(1.5)")
    times: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _: times.append(number))
    timer = soon(lambda: os.kill(os.getpid(), signal.SIGTERM), 0.7)
    WorkerJob(JOB)()
    timer.join()
    assert times == [signal.SIGUSR2] * asked


def test_a_sigterm_during_the_checkpoint_is_ignored(
    starts: Callable[..., Any], program: Program
) -> None:
    program("scontrol", "echo JobState=RUNNING")
    starts("-c", "")
    work = WorkerJob(JOB)
    work()
    work.child = None
    work.checkpoint()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGUSR2)


def test_signals_that_were_held_back_are_let_in_by_who_listens() -> None:
    code = LISTENS.replace('print("up", flush=True)', "signal.raise_signal(signal.SIGTERM)")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", code, "0"], stdout=subprocess.PIPE, text=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "preempted\n")
    assert Stop().reason is None
