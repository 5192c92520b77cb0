"""True processes that are killed or stopped in mid-training: their runs go on bit for bit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dfgctl.registry import Registry

Cli = Callable[..., Any]
SMALL = ("source.steps=5", "dfg.n_W=6", "dfg.n_D=1", "dfg.batch_size=4")
DFG = ("--method", "dfg", *(f"--set={value}" for value in SMALL))
WORDS = ("run", "digits", *DFG, "--steps", "18", "--eval-every", "7", "--device", "cpu")
PACK = (*WORDS, "--repeats", "3", "--pack", "3")


@pytest.fixture
def environment() -> dict[str, str]:
    """One thread a process."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def started(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dfgctl", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )


def wait_for(what: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    """Wait for something to happen while a process lives."""
    for _ in range(6000):
        if what():
            return
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)
    raise AssertionError("it did not happen in a minute")


def checkpoints(tmp_path: Path) -> list[str]:
    return sorted(f.name for f in (tmp_path / "results" / "checkpoints").rglob("*.safetensors"))


def ended(file: Path) -> dict[int, tuple[Any, ...]]:
    """What there is of each finished run, less its times."""
    registry = Registry(str(file), create=False)
    found = {}
    for run in registry.runs(whole=True):
        assert run.metrics is not None
        number = run.result_attempt
        assert number is not None
        steps = [
            (m.step, m.accuracy, m.loss, dict(m.losses))
            for m in registry.measurements(run.id, number)
        ]
        metrics = {k: v for k, v in vars(run.metrics).items() if not k.endswith("_seconds")}
        weights = load_file(file.parent / "weights" / f"{run.id}.{number}.safetensors")
        found[run.spec.combination] = (steps, metrics, weights)
    registry.close()
    return found


def same(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    """Compare all that two registries have, bit for bit."""
    assert one.keys() == other.keys()
    for key, (steps, metrics, weights) in one.items():
        assert (steps, metrics) == other[key][:2]
        assert weights.keys() == other[key][2].keys()
        for name, tensor in weights.items():
            assert torch.equal(tensor, other[key][2][name]), name


def test_a_killed_pack_goes_on_from_its_checkpoints_bit_for_bit(
    environment: dict[str, str], cli: Cli, sql: Any, tmp_path: Path
) -> None:
    child = started(environment, *PACK, "--checkpoint-every", "3")
    wait_for(lambda: len(checkpoints(tmp_path)) >= 4, child)
    child.kill()
    child.communicate()
    sql("UPDATE runs SET lease_until = '2000-01-01 00:00:00.000000' WHERE status = 'running'")
    again = cli(*PACK)
    assert again.code == 0, again.err
    steps = sql("SELECT DISTINCT resumed_step FROM attempts WHERE number = 2")
    assert len(steps) == 1
    assert steps[0][0] in (3, 6, 9, 12, 15)
    assert f"goes on from step {steps[0][0]}" in again.err
    assert sql("SELECT outcome, count(*) FROM attempts GROUP BY 1 ORDER BY 1") == [
        ("finished", 3),
        ("lost", 3),
    ]
    assert checkpoints(tmp_path) == []

    other = tmp_path / "other" / "registry.sqlite"
    assert cli(*PACK, "--registry", other).code == 0
    same(ended(tmp_path / "results" / "registry.sqlite"), ended(other))


def test_a_damaged_checkpoint_is_passed_by_for_the_one_before(
    environment: dict[str, str], cli: Cli, sql: Any, tmp_path: Path
) -> None:
    words = (*WORDS, "--repeats", "1", "--checkpoint-every", "5")
    child = started(environment, *words)
    wait_for(lambda: "00000010.safetensors" in checkpoints(tmp_path), child)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors.count("Traceback")) == (130, 0)
    older, newer = sorted((tmp_path / "results" / "checkpoints").rglob("*.safetensors"))
    newer.write_bytes(newer.read_bytes()[:-1000])
    result = cli(*words)
    assert result.code == 0, result.err
    assert sql("SELECT resumed_step FROM attempts WHERE number = 2") == [(int(older.stem),)]
    other = tmp_path / "other" / "registry.sqlite"
    assert cli(*words, "--registry", other).code == 0
    same(ended(tmp_path / "results" / "registry.sqlite"), ended(other))


def test_checkpoints_that_are_gone_cost_time_but_no_run(
    environment: dict[str, str], cli: Cli, sql: Any, tmp_path: Path
) -> None:
    words = (*WORDS, "--repeats", "1", "--checkpoint-every", "5")
    child = started(environment, *words)
    wait_for(lambda: bool(checkpoints(tmp_path)), child)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    for file in (tmp_path / "results" / "checkpoints").rglob("*.safetensors"):
        file.unlink()
    result = cli(*words)
    assert result.code == 0
    assert "are not there or cannot be read: from step 0 on" in result.err
    assert sql("SELECT resumed_step FROM attempts") == [(0,), (0,)]
    (run_id, attempt), *_ = sql("SELECT run_id, number FROM attempts WHERE outcome = 'finished'")
    steps = sql(
        "SELECT step FROM evaluations WHERE run_id = ? AND attempt = ? ORDER BY 1", run_id, attempt
    )
    assert steps == [(s,) for s in (0, 7, 14, 18)]


def test_a_second_ctrl_c_stops_at_once(
    environment: dict[str, str], sql: Any, tmp_path: Path
) -> None:
    slow = (
        "import sys, time\n"
        "from dfgctl.dispatch import packs\n"
        "train = packs.train\n"
        "def slowly(*a, **k):\n"
        "    for event in train(*a, **k):\n"
        "        if type(event).__name__ == 'Stepped':\n"
        "            print('step', flush=True)\n"
        "            while True:\n"
        "                time.sleep(0.05)\n"
        "        yield event\n"
        "packs.train = slowly\n"
        "from dfgctl.cli import main\n"
        "main()\n"
    )
    words = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "5")
    child = subprocess.Popen(
        [sys.executable, "-c", slow, *words, "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "step\n"
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "Stopping after this step" in errors
    assert "Traceback" not in errors
    assert sql("SELECT status, checkpoint_step FROM runs") == [("queued", 0)]
    assert sql("SELECT outcome FROM attempts") == [("interrupted",)]
