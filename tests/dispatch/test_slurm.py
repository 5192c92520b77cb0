"""What a job asks Slurm for, and the text that sbatch gets."""

import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dfgctl.dispatch import slurm
from dfgctl.dispatch.crew import Job
from dfgctl.dispatch.slurm import SlurmOptions, minutes_of, submission, submit
from dfgctl.errors import InputError

Program = Callable[[str, str], Path]
SECRET = "postgresql://me:s3cret@db/dfgctl"
JOB = Job(SECRET, "plan1", "auto", "auto", Path("data"), "auto")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:30", 91),
        ("1:30:00", 90),
        ("01:30:59", 91),
        ("0:01", 1),
        ("1-0", 24 * 60),
        ("1-12", 36 * 60),
        ("1-12:30", 36 * 60 + 30),
        ("2-00:00:01", 48 * 60 + 1),
    ],
)
def test_times_are_read_as_slurm_reads_them(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "0:00", "1h", "-5", "1:2:3:4", "1-", "infinite", "1.5"])
def test_other_times_are_refused_with_the_formats(text: str) -> None:
    with pytest.raises(InputError, match="--slurm-time takes minutes, HH:MM:SS or D-HH:MM:SS"):
        minutes_of(text)


def lines(options: SlurmOptions, count: int = 1) -> list[str]:
    return submission(options, Path("somewhere/slurm"), count).splitlines()


def flags(options: SlurmOptions, count: int = 1) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in lines(options, count) if "#SBATCH" in line]


def test_without_options_a_job_asks_for_little(tmp_path: Path) -> None:
    assert flags(SlurmOptions()) == [
        "--job-name=dfgctl",
        "--nodes=1",
        "--open-mode=append",
        f"--output={tmp_path}/somewhere/slurm/%j_0_log.out",
        "--requeue",
        "--signal=USR2@90",
        "--time=240",
    ]


def test_options_become_sbatch_s() -> None:
    found = flags(
        SlurmOptions(
            partition="gpu",
            time="1-0",
            gres="gpu:1",
            settings=("mem=16G", "--exclusive", "mail_user=me@x.org", "comment=a b", "job-name=x"),
        )
    )
    assert {
        *("--partition=gpu", "--time=1440", "--gres=gpu:1", "--mem=16G", "--exclusive"),
        *("--mail-user=me@x.org", "--comment='a b'", "--job-name=x"),
    } <= set(found)
    assert len({flag.partition("=")[0] for flag in found}) == len(found)


def test_setup_lines_come_before_the_worker() -> None:
    found = lines(SlurmOptions(setup=("module load cuda", "export X='a b'")))
    start = found.index("module load cuda")
    assert found[start + 1] == "export X='a b'"
    assert any(line.startswith("srun ") for line in found[start + 2 :])


def test_the_step_gets_the_job_s_cpus() -> None:
    found = lines(SlurmOptions(settings=("cpus-per-task=4",)))
    (srun,) = (line for line in found if line.startswith("srun "))
    assert "#SBATCH --cpus-per-task=4" in found
    assert " --cpus-per-task=4 " in srun


@pytest.mark.parametrize(("minutes", "lead"), [(1, 12), (5, 60), (8, 90), (1000, 90)])
def test_a_short_job_is_told_of_its_end_in_time(minutes: int, lead: int) -> None:
    assert f"--signal=USR2@{lead}" in flags(SlurmOptions(time=str(minutes)))


def test_several_workers_are_an_array() -> None:
    found = flags(SlurmOptions(), 3)
    assert "--array=0-2%3" in found
    assert any(flag.endswith("/%A_%a_0_log.out") for flag in found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mem 16G", "such as mem=16G"),
        ("=5", "such as mem=16G"),
        ("mem=", "such as mem=16G"),
        ("mem=1\n#SBATCH --uid=0", "such as mem=16G"),
        ("", "such as mem=16G"),
        ("time=5", "say --slurm-time"),
        ("partition=x", "say --slurm-partition"),
        ("gres=gpu:1", "say --slurm-gres"),
        ("ntasks-per-node=2", "--workers says how many"),
        ("output=x", "logs lie in the folder slurm"),
        ("export=NONE", "must be ALL"),
    ],
)
def test_settings_that_cannot_be_are_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        SlurmOptions(settings=(text,)).parameters()


def test_an_environment_may_get_more() -> None:
    assert "--export=ALL,A=1" in flags(SlurmOptions(settings=("export=ALL,A=1",)))


@pytest.mark.parametrize("name", ["partition", "gres", "setup"])
def test_an_option_is_one_line(name: str) -> None:
    value = "a\n#SBATCH --b"
    with pytest.raises(InputError, match="is one line"):
        SlurmOptions(**{name: (value,) if name == "setup" else value}).parameters()


def test_which_option_was_given() -> None:
    assert SlurmOptions().given is None
    assert SlurmOptions(gres="gpu:1").given == "--slurm-gres"


def test_without_submitit_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'dfgctl\[slurm\]'"):
        submission(SlurmOptions(), Path("slurm"), 1)


def test_without_slurm_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="There is no sbatch on this machine: type the command"):
        slurm.check_sbatch()


# Submission, to a program that stands in for sbatch

SBATCH = 'env > environment; cp "$1" submitted; echo Submitted batch job 17'


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_submitted_is_what_is_told_before(
    program: Program, tmp_path: Path, count: int
) -> None:
    program("sbatch", SBATCH)
    program("srun", "exit 1")  # submitit looks for it before it submits an array
    options = SlurmOptions(partition="gpu", settings=("mem=1G",), setup=("true",))
    jobs = submit(JOB, options, Path("results/slurm"), count)
    told = submission(options, Path("results/slurm"), count)
    assert (tmp_path / "submitted").read_text() == told
    ids = ["17"] if count == 1 else ["17_0", "17_1"]
    assert [job.id for job in jobs] == ids
    assert [job.log for job in jobs] == [
        tmp_path / "results" / "slurm" / f"{i}_0_log.out" for i in ids
    ]


def test_the_registry_travels_in_the_environment_and_nowhere_else(
    program: Program, tmp_path: Path
) -> None:
    program("sbatch", 'echo "$@" > words; ' + SBATCH)
    program("srun", "exit 1")
    submit(JOB, SlurmOptions(), Path("results/slurm"), 2)
    assert f"DFGCTL_REGISTRY={SECRET}\n" in (tmp_path / "environment").read_text()
    assert "DFGCTL_REGISTRY" not in os.environ
    written = [f for f in tmp_path.rglob("*") if f.is_file() and f.name != "environment"]
    assert len(written) >= 5
    assert [f for f in written if b"s3cret" in f.read_bytes()] == []


def test_a_pickle_holds_what_the_worker_is_started_with(program: Program, tmp_path: Path) -> None:
    program("sbatch", SBATCH)
    submit(replace(JOB, device="cuda"), SlurmOptions(), Path("slurm"), 1)
    delayed = pickle.loads((tmp_path / "slurm" / "17_submitted.pkl").read_bytes())
    assert delayed.function.job == replace(JOB, device="cuda", registry="")


def test_a_job_that_submits_hands_nothing_of_its_own_on(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("sbatch", SBATCH)
    monkeypatch.setenv("SLURM_CONF", "/here/slurm.conf")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    submit(JOB, SlurmOptions(), Path("slurm"), 1)
    names = (tmp_path / "environment").read_text()
    assert "SLURM_MEM_PER_CPU" not in names
    assert "SLURM_CONF=/here/slurm.conf" in names
    assert "SBATCH_ACCOUNT=mine" in names
    assert os.environ["SLURM_MEM_PER_CPU"] == "1"


def test_a_refusal_is_one_sentence(program: Program, capfd: pytest.CaptureFixture[str]) -> None:
    program(
        "sbatch",
        "echo 'sbatch: error: invalid partition specified: gpv' >&2\n"
        "echo 'sbatch: error: Batch job submission failed: Invalid partition name.' >&2; exit 1",
    )
    with pytest.raises(InputError) as caught:
        submit(JOB, SlurmOptions(partition="gpv"), Path("slurm"), 1)
    assert str(caught.value) == (
        "Slurm refused the job: invalid partition specified: gpv; Batch job submission failed: "
        "Invalid partition name. Change --slurm-... and type the command again."
    )
    assert capfd.readouterr() == ("", "")


def test_an_answer_without_a_number_is_an_error(program: Program) -> None:
    program("sbatch", "echo All fine")
    with pytest.raises(InputError, match="Slurm refused the job"):
        submit(JOB, SlurmOptions(), Path("slurm"), 1)
