"""Submits Slurm jobs that are workers, through submitit; what a job may ask Slurm for."""

import contextlib
import io
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfgctl.dispatch.crew import Job
from dfgctl.dispatch.slurm_job import WorkerJob
from dfgctl.errors import InputError

if TYPE_CHECKING:
    from submitit import SlurmExecutor

TIME = "4:00:00"
"""A job's time limit where none is given; a job that reaches it goes on in the next."""

LEAD_SECONDS = 90
"""How long before its time limit a job is told, unless it is a short one."""

REQUEUES = 1_000_000
"""Times that a job may reach its time limit, or be preempted, and queue up again."""

TIME_FORMATS = re.compile(
    r"(?:(?P<days>\d+)-(?P<h1>\d+)(?::(?P<m1>\d+)(?::(?P<s1>\d+))?)?"
    r"|(?:(?P<h2>\d+):(?=\d+:))?(?P<m2>\d+)(?::(?P<s2>\d+))?)"
)

OWN = {
    "partition": "say --slurm-partition",
    "time": "say --slurm-time",
    "gres": "say --slurm-gres",
    "nodes": "a job is one worker, and --workers says how many jobs",
    "ntasks": "a job is one worker, and --workers says how many jobs",
    "ntasks_per_node": "a job is one worker, and --workers says how many jobs",
    "array": "a job is one worker, and --workers says how many jobs",
    "output": "logs lie in the folder slurm beside the registry",
    "error": "logs lie in the folder slurm beside the registry",
    "open_mode": "logs lie in the folder slurm beside the registry",
    "requeue": "a job always may queue up again",
    "no_requeue": "a job always may queue up again",
    "chdir": "a job starts where the command is typed",
}
"""Options of sbatch that dfgctl gives itself, and what to do about them."""


@dataclass(frozen=True)
class SlurmOptions:
    """What a job asks Slurm for, as it was typed.

    Attributes:
        partition: the partition; None for the cluster's default.
        time: the time limit, in one of Slurm's formats.
        gres: generic resources, such as gpu:1.
        settings: further options of sbatch, key=value or a key alone.
        setup: lines of shell that are run before the worker.
    """

    partition: str | None = None
    time: str | None = None
    gres: str | None = None
    settings: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()

    @property
    def given(self) -> str | None:
        """An option of the command line that was given; None where none was."""
        values = {
            "--slurm-partition": self.partition,
            "--slurm-time": self.time,
            "--slurm-gres": self.gres,
            "--slurm-set": self.settings,
            "--slurm-setup": self.setup,
        }
        return next((option for option, value in values.items() if value), None)

    def parameters(self) -> dict[str, Any]:
        """Return them as submitit's parameters.

        Raises:
            InputError: one of them cannot be read.
        """
        minutes = minutes_of(self.time or TIME)
        more = dict(_setting(text) for text in self.settings)
        for line in (*self.setup, self.partition or "", self.gres or ""):
            if "\n" in line:
                raise InputError("An option of Slurm is one line: repeat --slurm-setup for more.")
        parameters: dict[str, Any] = {
            "job_name": "dfgctl",
            "time": minutes,
            "partition": self.partition,
            "gres": self.gres,
            "setup": list(self.setup) or None,
            "signal_delay_s": min(LEAD_SECONDS, 12 * minutes),
            "stderr_to_stdout": True,
            "wckey": None,
            "additional_parameters": {"requeue": True, **more},
        }
        if isinstance(cpus := more.get("cpus_per_task"), str):
            # Since Slurm 22.05 srun does not take it from the job.
            parameters["srun_args"] = [f"--cpus-per-task={cpus}"]
        return parameters


def minutes_of(text: str) -> int:
    """Read a time limit in Slurm's formats; a begun minute counts as one.

    M, M:S, H:M:S, D-H, D-H:M or D-H:M:S.

    Raises:
        InputError: it is none of them, or no time at all.
    """
    match = TIME_FORMATS.fullmatch(text.strip())
    if match is not None:
        days, h1, m1, s1, h2, m2, s2 = (int(part or 0) for part in match.groups())
        minutes = (24 * days + h1 + h2) * 60 + m1 + m2 + math.ceil((s1 + s2) / 60)
        if minutes:
            return minutes
    raise InputError(
        f"--slurm-time takes minutes, HH:MM:SS or D-HH:MM:SS (such as 90, 4:00:00 or 1-12), not "
        f"'{text}'."
    )


def _setting(text: str) -> tuple[str, str | bool]:
    """Read key=value, or a key alone."""
    key, equals, value = text.partition("=")
    name = key.strip().removeprefix("--").replace("-", "_")
    if not re.fullmatch(r"[A-Za-z]\w*", name) or "\n" in text or (equals and not value.strip()):
        raise InputError(
            f"--slurm-set takes an option of sbatch, such as mem=16G or exclusive, not '{text}'."
        )
    if name in OWN:
        raise InputError(f"--slurm-set {name.replace('_', '-')} cannot be: {OWN[name]}.")
    if name == "export" and not value.startswith("ALL"):
        raise InputError(
            "--slurm-set export must be ALL, or begin so: the registry's URL travels in the "
            "environment."
        )
    return name, value.strip() if equals else True


def check_submitit() -> None:
    """See whether jobs can be described here.

    Raises:
        InputError: submitit is not installed.
    """
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise InputError(
            "Slurm jobs are submitted through submitit: install it with pip install "
            "'dfgctl[slurm]'."
        ) from error


def check_sbatch() -> None:
    """See whether jobs can be submitted from here.

    Raises:
        InputError: there is no Slurm on this machine.
    """
    missing = [name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None]
    if missing:
        raise InputError(
            f"There is no {missing[0]} on this machine: type the command where Slurm's programs "
            "are, say on a login node, or leave --launcher slurm out."
        )


@dataclass(frozen=True)
class SlurmJob:
    """A submitted job.

    Attributes:
        id: Slurm's number of it; 17_0 for the first one of an array.
        log: what it prints, over all of its starts.
    """

    id: str
    log: Path


def submission(options: SlurmOptions, folder: Path, count: int) -> str:
    """Return the text that ``submit`` would give to sbatch.

    Args:
        options: what the jobs ask for.
        folder: where logs would lie.
        count: how many jobs.

    Raises:
        DfgctlError: an option cannot be read, or submitit is not installed.
    """
    executor = _executor(options, folder)
    if count > 1:
        executor.parameters["map_count"] = count
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def submit(job: Job, options: SlurmOptions, folder: Path, count: int) -> list[SlurmJob]:
    """Submit workers; several are an array of jobs.

    Args:
        job: what each worker is started with.
        options: what the jobs ask for.
        folder: where logs and what submitit writes lie; all nodes must see it.
        count: how many jobs.

    Raises:
        DfgctlError: an option cannot be read, or Slurm refuses them.
    """
    executor = _executor(options, folder)
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Submitit prints what sbatch says, too.
        with _environment(job.environment()), contextlib.redirect_stderr(io.StringIO()):
            jobs = executor.submit_array([WorkerJob(job)] * count)
    except (FailedJobError, FailedSubmissionError) as error:
        raise InputError(
            f"Slurm refused the job: {_said(str(error))}. Change --slurm-... and type the command "
            "again."
        ) from error
    return [SlurmJob(found.job_id, found.paths.stdout) for found in jobs]


def _executor(options: SlurmOptions, folder: Path) -> "SlurmExecutor":
    parameters = options.parameters()
    check_submitit()
    from submitit import SlurmExecutor

    class Executor(SlurmExecutor):
        """Describes jobs also where there is no Slurm."""

        @classmethod
        def affinity(cls) -> int:
            return 2

    executor = Executor(folder, max_num_timeout=REQUEUES)
    executor.update_parameters(**parameters)
    return executor


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """Add variables, and leave out those of a job in which the command itself may run."""
    before = dict(os.environ)
    prefixes = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
    for name in before:
        if name.startswith(prefixes) and name != "SLURM_CONF":
            del os.environ[name]
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _said(text: str) -> str:
    """Return a message of Slurm's programs in one line, without their names."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line) for line in text.strip().splitlines()]
    return "; ".join(line.strip().rstrip(".") for line in lines if line.strip()) or "no word"
