"""Each pack has a process of its own; what becomes of it stands in its row."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from dfgctl.bench import child, processes
from dfgctl.bench.processes import COMMAND, measured
from dfgctl.bench.records import Job, Row
from dfgctl.errors import DataCorruptError, InputError, UnknownNameError

Jobs = Callable[..., list[Job]]


def program(text: str) -> Sequence[str]:
    """A process that reads its job and then runs some code, with the answer's file in ``path``."""
    lead = "import os, pathlib, pickle, sys\njob = pickle.load(sys.stdin.buffer)\n"
    return (sys.executable, "-c", f"{lead}path = pathlib.Path(sys.argv[1])\n{text}")


def test_a_pack_is_measured_in_a_process_of_its_own(make_jobs: Jobs) -> None:
    jobs = make_jobs("original", settings=("original.batch_size=4",))
    (row,) = measured(jobs)
    assert (row.status, row.error) == ("ok", "")
    assert (row.method, row.pack, row.threads) == ("original", 1, 1)
    assert row.run_steps_per_second is not None
    assert row.peak_memory is not None


def test_a_process_that_dies_says_so_and_the_rest_goes_on(make_jobs: Jobs) -> None:
    text = (
        "from dfgctl.bench.records import Row\n"
        "if len(job.runs) == 1:\n"
        "    print('Segmentation of all things', file=sys.stderr, flush=True)\n"
        "    os.abort()\n"
        "path.write_bytes(pickle.dumps(Row.of(job)))"
    )
    first, second = measured(make_jobs("original", packs=(1, 2)), program(text))
    assert first.status == "failed"
    assert first.error.startswith(f"its process died (signal {signal.SIGABRT:d}): ")
    assert "Segmentation" in first.error or "Abort" in first.error
    assert second.status == "ok"


def test_an_exit_without_an_answer_is_told_with_its_code(make_jobs: Jobs) -> None:
    (row,) = measured(make_jobs("original"), program("sys.exit(3)"))
    assert row.error == "its process died (exit code 3): without a word"


def test_where_memory_runs_out_larger_packs_are_not_tried(make_jobs: Jobs) -> None:
    text = (
        "from dfgctl.bench.records import Row\n"
        "if job.runs[0].spec.method == 'dfg' and len(job.runs) > 1:\n"
        "    os.kill(os.getpid(), 9)\n"
        "path.write_bytes(pickle.dumps(Row.of(job)))"
    )
    jobs = make_jobs("original", "dfg", packs=(1, 2, 3))
    rows = list(measured(jobs, program(text)))
    assert [(r.method, r.pack, r.status) for r in rows] == [
        ("original", 1, "ok"),
        ("original", 2, "ok"),
        ("original", 3, "ok"),
        ("dfg", 1, "ok"),
        ("dfg", 2, "out-of-memory"),
        ("dfg", 3, "out-of-memory"),
    ]
    assert "killed" in rows[4].error
    assert rows[5].error == "not tried: a pack of 2 did not fit"


def test_bad_data_ends_all_with_its_sentence(make_jobs: Jobs) -> None:
    text = (
        "from dfgctl.errors import InputError\n"
        "path.write_bytes(pickle.dumps(InputError('It is broken: mend it.')))"
    )
    with pytest.raises(InputError, match="It is broken: mend it"):
        list(measured(make_jobs("original"), program(text)))


def test_a_process_ends_with_who_waits_for_it(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    plain = subprocess.Popen.wait

    def interrupted(process: Any, *args: Any, **options: Any) -> Any:
        if not started:
            started.append(process)
            raise KeyboardInterrupt
        return plain(process, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    rows = measured(make_jobs("original"), program("import time; time.sleep(600)"))
    with closing(rows), pytest.raises(KeyboardInterrupt):
        next(rows)
    assert started[0].returncode == -signal.SIGKILL


def test_a_process_whose_parent_has_gone_ends(make_jobs: Jobs, tmp_path: Path) -> None:
    (job,) = make_jobs("dfg")
    command = [*COMMAND, str(tmp_path / "row")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(job))
    process.stdin.close()  # as the system does when the parent dies
    assert process.wait(timeout=120) == -signal.SIGKILL
    assert not (tmp_path / "row").exists()


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), "out-of-memory", "CUDA out of mem"),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory"), "out-of-memory", ""),
        (RuntimeError("\nno kernel\nimage"), "failed", "no kernel"),
        (KeyError(), "failed", "KeyError"),
    ],
)
def test_what_goes_wrong_is_the_answer(
    make_jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: str,
    says: str,
) -> None:
    def fail(job: Job) -> Row:
        raise error

    monkeypatch.setattr("dfgctl.bench.measure.measure", fail)
    (job,) = make_jobs("original")
    row = child.answer(job)
    assert isinstance(row, Row)
    assert row.status == status
    assert row.error.startswith(says)
    assert "\n" not in row.error


@pytest.mark.parametrize(
    "error", [DataCorruptError("Broken: mend it."), UnknownNameError("method", "x", ["y"])]
)
def test_any_bad_input_can_be_sent_home(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch, error: InputError
) -> None:
    def fail(job: Job) -> Row:
        raise error

    monkeypatch.setattr("dfgctl.bench.measure.measure", fail)
    (job,) = make_jobs("original")
    answer = pickle.loads(pickle.dumps(child.answer(job)))
    assert isinstance(answer, InputError)
    assert str(answer) == str(error)


def test_nothing_of_a_measurement_stays_behind(
    make_jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes.tempfile, "tempdir", str(tmp_path))
    list(measured(make_jobs("original"), program("sys.exit(1)")))
    assert not list(tmp_path.glob("dfgctl-bench-*"))
