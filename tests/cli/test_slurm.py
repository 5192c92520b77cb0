"""``dfgctl run --launcher slurm`` and ``dry-run``: without a cluster, and on a true one."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import postgres_server
import pytest

from dfgctl.cli import slurm, watch
from dfgctl.records import WorkerState
from dfgctl.registry import Registry

Cli = Callable[..., Any]
Program = Callable[[str, str], Path]
RUN = ("run", "digits", "--method", "original", "--repeats", "2", "--steps", "4")
SLURM = (*RUN, "--launcher", "slurm")
DRY = (*RUN, "--launcher", "dry-run")
SECRET = "postgresql://me:s3cret@127.0.0.1:9/dfgctl"


def states(sql: Any) -> list[tuple[Any, ...]]:
    return sql("SELECT status, attempts FROM runs ORDER BY created_at")


# Without a cluster


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--slurm-time", "5"), "--slurm-time is for Slurm: add --launcher slurm"),
        (("--slurm-set", "mem=1G"), "--slurm-set is for Slurm: add --launcher slurm"),
        (("--launcher", "dry-run", "--slurm-time", "soon"), "--slurm-time takes minutes, HH:MM:SS"),
        (("--launcher", "dry-run", "--slurm-set", "time=5"), "say --slurm-time"),
        (("--launcher", "slurm", "--device", "gpu"), "Unknown device 'gpu'"),
        (("--launcher", "slurn"), "did you mean 'slurm'?"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    result = cli(*RUN, *words)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("launcher", ["slurm", "dry-run"])
def test_without_submitit_the_remedy_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    result = cli(*RUN, "--launcher", launcher)
    assert result.code == 2
    assert "pip install 'dfgctl[slurm]'" in result.err


def test_without_slurm_the_remedy_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = cli(*SLURM)
    assert result.code == 2
    assert "There is no sbatch on this machine" in result.err


def test_a_dry_run_needs_no_slurm_and_writes_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    words = ("--slurm-gres", "gpu:1", "--slurm-setup", "module load cuda", "--workers", "2")
    result = cli(*DRY, *words, "--slurm-partition", "gpu", "--device", "cuda")
    assert result.code == 0
    assert result.out.startswith("#!/bin/bash\n")
    for line in ("#SBATCH --gres=gpu:1", "#SBATCH --partition=gpu", "#SBATCH --array=0-1%2"):
        assert f"{line}\n" in result.out
    assert "\nmodule load cuda\n" in result.out
    assert "2 jobs for 2 runs" in result.err
    assert "dfgctl worker --plan PLAN --device cuda" in result.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_finished_is_not_submitted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli(*RUN).code == 0
    result = cli(*DRY)
    assert (result.code, result.out) == (0, "")
    assert "nothing would be submitted" in result.err
    assert "#!/bin/bash" in cli(*DRY, "--force").out


@pytest.fixture
def fake(program: Program) -> Callable[..., None]:
    """A cluster of one node, this machine, or of others; its job 17 is in a state."""

    def make(state: str = "PENDING|Priority", host: str = platform.node(), says: str = "") -> None:
        log = "results/slurm/17_0_log.out"
        program("sinfo", f"echo 'batch*|{host}'")
        program("sbatch", f"printf '%s' \"{says}\" > {log}; echo Submitted batch job 17")
        program("srun", "exit 1")
        program("squeue", f"echo '17|{state}'")

    return make


def test_an_sqlite_registry_is_refused_where_nodes_are_other_machines(
    cli: Cli, fake: Callable[..., None], tmp_path: Path
) -> None:
    fake(host="other")
    result = cli(*SLURM)
    assert result.code == 2
    assert "cannot share an SQLite registry: name a PostgreSQL one" in result.err
    assert "pip install 'dfgctl[postgres]'" in result.err
    assert not (tmp_path / "results").exists()


def test_detached_it_says_where_to_look_and_returns(
    cli: Cli, fake: Callable[..., None], sql: Any, tmp_path: Path
) -> None:
    fake()
    result = cli(*SLURM, "--detach")
    assert (result.code, result.out) == (0, "")
    assert "1 job submitted to Slurm" in result.err
    assert f"job 17, log {tmp_path}/results/slurm/17_0_log.out" in result.err
    assert "dfgctl runs watch" in result.err
    assert states(sql) == [("queued", 0)] * 2


@pytest.mark.parametrize(
    ("state", "says", "word"),
    [
        ("FAILED|NonZeroExitCode", "a\nError: no data.\nsrun: error: x\n", "'Error: no data.'"),
        ("CANCELLED|None", "", "job 17 left no log"),
    ],
)
def test_jobs_that_are_gone_are_not_waited_for(
    cli: Cli,
    fake: Callable[..., None],
    sql: Any,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    says: str,
    word: str,
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "SURE_SECONDS", 0)
    fake(state, says=says)
    result = cli(*SLURM)
    assert result.code == 1
    assert f"All Slurm jobs have ended (1 {state.split('|')[0].lower()}" in result.err
    assert "2 runs of the plan are still queued" in result.err
    assert word in result.err
    assert "results/slurm/17_0_log.out" in result.err
    assert states(sql) == [("queued", 0)] * 2


def test_a_job_that_waits_is_said_to_and_why(
    cli: Cli, fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0)
    monkeypatch.setattr(slurm, "SURE_SECONDS", 0)
    fake()
    program = Path(os.environ["PATH"].split(os.pathsep)[0]) / "squeue"
    program.write_text(
        "#!/bin/sh\necho x >> asked\n"
        "[ $(wc -l < asked) -lt 3 ] && echo '17|PENDING|Priority' || echo '17|CANCELLED|None'\n"
    )
    result = cli(*SLURM)
    assert "Slurm: 1 pending (Priority)\n" in result.err
    assert result.err.count("pending") == 1


@pytest.mark.parametrize("restarts", ["0", "1"])
def test_a_job_that_slurm_starts_again_takes_up_what_its_dead_worker_had(
    cli: Cli,
    fake: Callable[..., None],
    sql: Any,
    monkeypatch: pytest.MonkeyPatch,
    restarts: str,
) -> None:
    fake()
    assert cli(*SLURM, "--detach").code == 0
    now = datetime(2026, 1, 1)
    dead = WorkerState("dead", "node1", 5, "CPU", "slurm 17", now, now, None, {}, None)
    with closing(Registry("results/registry.sqlite")) as registry:
        registry.sign_on(dead)
        assert registry.claim(None, 1, "dead", "CPU", {}) is not None
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    monkeypatch.setattr("dfgctl.cli.worker.SLURM_IDLE", 0.0)
    assert cli("worker", "--launcher", "slurm 17", "--device", "cpu").code == 0
    if restarts == "0":
        assert states(sql) == [("running", 1), ("finished", 1)]
    else:
        assert states(sql) == [("finished", 2), ("finished", 1)]
        (lost,) = sql("SELECT error FROM attempts WHERE outcome = 'lost'")
        assert lost == ("Slurm ended its job, and started it again.",)


# On a true cluster


def active(ids: str) -> bool:
    asked = subprocess.run(
        ["squeue", "-h", "-r", "-j", ids], capture_output=True, text=True, check=False
    )
    return bool(asked.stdout.strip())


def until(true: Callable[[], Any], seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("it did not come to that in time")
        time.sleep(0.2)


def jobs_of(text: str) -> list[str]:
    return re.findall(r"^  job (\S+), log ", text, re.MULTILINE)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The true cluster, looked at often; the test's own jobs are cancelled after it."""
    monkeypatch.setattr(slurm, "ASK_SECONDS", 1.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    left = {f.name.split("_")[0] for f in tmp_path.rglob("slurm/*_submitted.pkl")}
    if left:
        subprocess.run(["scancel", "-Q", *left], check=False)


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_a_plan_is_trained_by_a_job(cli: Cli, sql: Any, tmp_path: Path) -> None:
    told = cli(*DRY)
    result = cli(*SLURM, "--json")
    assert result.code == 0, result.err
    assert [run["status"] for run in result.json] == ["finished"] * 2
    (job,) = jobs_of(result.err)
    assert sql("SELECT launcher, log, ended_at IS NULL FROM workers") == [
        (f"slurm {job}", f"{tmp_path}/results/slurm/{job}_0_log.out", 0)
    ]
    assert (tmp_path / "results" / "slurm" / f"{job}_submission.sh").read_text() == told.out


@pytest.mark.slurm
@pytest.mark.postgres
@pytest.mark.usefixtures("cluster")
def test_two_jobs_share_a_plan_and_its_password_stays_secret(cli: Cli, tmp_path: Path) -> None:
    with postgres_server.schema() as url:
        password = url.partition("@")[0].rpartition(":")[2]
        words = ("--registry", url, "--workers", "2", "--repeats", "6", "--steps", "120")
        told = cli(*DRY[:-4], *DRY[-2:], *words[2:])
        began = subprocess.Popen(
            [sys.executable, "-m", "dfgctl", *SLURM, *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        query = "SELECT DISTINCT worker, launcher FROM workers JOIN attempts ON worker = name"
        # Other tests have tables of the same names, in schemas of their own.
        seen = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = ?"
        until(lambda: postgres_server.execute(url, seen, "workers"))
        until(lambda: len(postgres_server.execute(url, query)) == 2)
        everybody = subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout
        _, errors = began.communicate(timeout=60)
        assert began.returncode == 0, errors
        first, second = jobs_of(errors)
        assert first.removesuffix("_0") == second.removesuffix("_1")
        launchers = {launcher for _, launcher in postgres_server.execute(url, query)}
        assert launchers == {f"slurm {first}", f"slurm {second}"}
        assert set(postgres_server.execute(url, "SELECT status, attempts FROM runs")) == {
            ("finished", 1)
        }
        folder = tmp_path / "results" / "slurm"
        text = (folder / f"{first.removesuffix('_0')}_submission.sh").read_text()
        assert text == told.out
        worker = [line for line in everybody.splitlines() if "dfgctl worker" in line]
        assert len(worker) >= 2
        assert [line for line in worker if password in line] == []
        assert [f for f in folder.rglob("*") if password in f.read_text(errors="replace")] == []
        about = subprocess.run(
            ["scontrol", "show", "job", first], capture_output=True, text=True, check=True
        )
        assert password not in about.stdout + errors


LONG = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "400")
OUTCOMES = "SELECT outcome, resumed_step > 0 FROM attempts ORDER BY number"


def weights(folder: Path) -> bytes:
    (file,) = (folder / "weights").iterdir()
    return file.read_bytes()


def submitted(cli: Cli, sql: Any, *words: str, first: tuple[str, ...] = LONG) -> str:
    """Submit a job, and return it as soon as it trains."""
    result = cli(*first, "--launcher", "slurm", "--detach", *words)
    assert result.code == 0, result.err
    (job,) = jobs_of(result.err)
    until(lambda: sql("SELECT 1 FROM evaluations WHERE step > 0"))
    return job


def went_on_alike(cli: Cli, sql: Any, job: str, tmp_path: Path) -> None:
    """Wait until a job's run is finished; see that it went on, and ended as without a break."""
    whole = cli(*LONG, "--registry", tmp_path / "whole" / "registry.sqlite")
    assert whole.code == 0
    until(lambda: states(sql) == [("finished", 2)])
    assert sql(OUTCOMES) == [("preempted", 0), ("finished", 1)]
    assert sql("SELECT DISTINCT launcher FROM workers") == [(f"slurm {job}",)]
    assert weights(tmp_path / "results") == weights(tmp_path / "whole")


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_a_job_that_is_told_to_go_checkpoints_and_goes_on_bit_for_bit(
    cli: Cli, sql: Any, tmp_path: Path
) -> None:
    job = submitted(cli, sql)
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    until(lambda: sql("SELECT 1 FROM runs WHERE status = 'queued' AND checkpoint_step > 0"))
    went_on_alike(cli, sql, job, tmp_path)


@pytest.mark.slurm
@pytest.mark.soak
@pytest.mark.usefixtures("cluster")
def test_a_job_that_a_more_urgent_one_displaces_goes_on_bit_for_bit(
    cli: Cli, sql: Any, tmp_path: Path
) -> None:
    job = submitted(cli, sql)
    urgent = subprocess.run(
        ["sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3"],
        capture_output=True,
        text=True,
        check=True,
    )
    until(lambda: sql(OUTCOMES)[0] == ("preempted", 0), 30)
    until(lambda: not active(urgent.stdout.split()[-1]))
    went_on_alike(cli, sql, job, tmp_path)


@pytest.mark.slurm
@pytest.mark.soak
@pytest.mark.usefixtures("cluster")
def test_a_job_at_its_time_limit_goes_on_from_its_checkpoint(cli: Cli, sql: Any) -> None:
    long = (*LONG[:-1], "12000")
    words = ("--slurm-time", "1", "--slurm-set", "signal=USR2@50")
    job = submitted(cli, sql, *words, first=long)
    until(lambda: sql(OUTCOMES)[0] == ("preempted", 0), 60)
    until(lambda: (2, 1) in sql("SELECT number, resumed_step > 0 FROM attempts"))
    assert active(job)


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_a_job_that_cannot_start_is_reported(cli: Cli, sql: Any) -> None:
    result = cli(*SLURM, "--slurm-setup", "unset DFGCTL_REGISTRY")
    assert result.code == 1
    assert "All Slurm jobs have ended (1 failed" in result.err
    assert "The job's environment lacks DFGCTL_REGISTRY" in result.err
    assert states(sql) == [("queued", 0)] * 2


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_what_slurm_refuses_is_told_in_its_words(cli: Cli) -> None:
    result = cli(*SLURM, "--slurm-set", "gpus-per-node=99")
    assert result.code == 2
    assert "Slurm refused the job: " in result.err
    assert "Requested node configuration is not available" in result.err
    assert result.err.splitlines()[-1].startswith("Error: ")
    result = cli(*SLURM, "--slurm-partition", "gpv")
    assert result.code == 2
    assert "Slurm has no partition 'gpv'" in result.err


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_pictures_that_the_node_does_not_find_fail_the_runs(
    cli: Cli, own_pictures: Callable[..., Path], sql: Any
) -> None:
    folder = own_pictures()
    words = ("--backbone", "lenet5", "--method", "original", "--repeats", "1", "--steps", "2")
    setup = ("--slurm-setup", f"mv {folder} {folder}.away")
    result = cli("run", folder, *words, "--launcher", "slurm", *setup)
    assert result.code == 1
    assert "1 run did not finish (1 failed)" in result.err
    assert folder.name in result.err.splitlines()[-1]
    assert states(sql) == [("failed", 1)]


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_ctrl_c_leaves_the_jobs_and_scancel_gives_their_runs_back(sql: Any) -> None:
    words = (*LONG[:-1], "5000", "--launcher", "slurm")
    parent = subprocess.Popen(
        [sys.executable, "-m", "dfgctl", *words], stderr=subprocess.PIPE, text=True
    )
    file = Path("results/registry.sqlite")
    until(file.exists)
    until(lambda: sql("SELECT 1 FROM sqlite_master WHERE name = 'evaluations'"))
    until(lambda: sql("SELECT 1 FROM evaluations WHERE step > 0"))
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=30)
    assert parent.returncode == 130
    (job,) = jobs_of(errors)
    last = errors.splitlines()[-1]
    for word in ("The jobs go on", "dfgctl runs watch", f"scancel {job}", "dfgctl runs cancel"):
        assert word in last
    assert active(job)
    assert states(sql) == [("running", 1)]
    subprocess.run(["scancel", job], check=True)
    until(lambda: states(sql) == [("queued", 1)])
    assert sql(OUTCOMES) == [("preempted", 0)]
    assert sql("SELECT checkpoint_step > 0 FROM runs") == [(1,)]
