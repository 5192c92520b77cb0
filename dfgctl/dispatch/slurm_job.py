"""What a Slurm job is: nothing but a worker, which checkpoints and queues up again when told to.

submitit pickles a ``WorkerJob`` on the submitting machine and calls it on the node.
"""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import replace
from types import FrameType
from typing import Any

from dfgctl.dispatch.crew import IN_ORDER, Job

SCONTROL_SECONDS = 20.0
"""How long Slurm is waited for when it is asked how the job stands."""

SIGNAL_SECONDS = 5.0
"""How long after its worker a job waits for the signal that must have stopped the worker."""

SIGNALS = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2})
"""Signals that ask to stop; the worker takes them all alike."""

STOPPED = 130
"""Exit code of a worker that was asked to stop."""


class WorkerJob:
    """Starts a worker as a child, and lives as long as it does.

    Slurm's signals reach both processes. Submitit calls ``checkpoint`` at SIGUSR2, before the time
    limit; what a preemption sends is SIGTERM, which submitit passes over, and a cancelled job gets
    it as well: which of them it was, only Slurm knows.

    Args:
        job: what the worker is started with. Its registry is left out: a URL may hold a password,
            and travels in the environment that sbatch hands on, not in the pickle.
    """

    def __init__(self, job: Job) -> None:
        self.job = replace(job, registry="")
        self.child: subprocess.Popen[bytes] | None = None
        self.leaving = False

    def __call__(self) -> int:
        """Run a worker to its end.

        Returns:
            Its exit code, where it ended in order.

        Raises:
            SystemExit: it ended otherwise, and has said why.
            RuntimeError: it was killed, or the job has no registry.
        """
        from submitit import JobEnvironment

        signal.signal(signal.SIGTERM, self._on_term)
        if not os.environ.get("DFGCTL_REGISTRY"):
            raise RuntimeError(
                "The job's environment lacks DFGCTL_REGISTRY: let sbatch hand the environment on, "
                "without --export=NONE."
            )
        here = JobEnvironment()
        job = replace(self.job, threads=self.job.threads or _threads())
        command = job.command(f"slurm {here.job_id}", "--log", str(here.paths.stdout))
        # Until it listens, a signal would kill it: it lets them in when it does.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._until_ended()
        code = self.child.wait()
        if -code in SIGNALS:
            code = STOPPED  # it no longer listened, since it had done all
        if code == STOPPED and not self.leaving:
            time.sleep(SIGNAL_SECONDS)
        if code < 0:
            raise RuntimeError(f"The worker was ended by {signal.Signals(-code).name}.")
        if code not in IN_ORDER:
            raise SystemExit(code)
        return code

    def checkpoint(self) -> Any:
        """Let the worker write its checkpoints and end; submitit then queues the job again."""
        from submitit.helpers import DelayedSubmission

        self.leaving = True
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # one is enough
        if self.child is not None and self.child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, signal.SIGUSR1)
            self._until_ended()
        return DelayedSubmission(WorkerJob(self.job))

    def _until_ended(self) -> None:
        """Wait for the child, and leave it to be reaped.

        ``Popen.wait`` may not be called here: a signal's handler that waits, too, would stand
        before a lock that the interrupted wait holds.
        """
        assert self.child is not None
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        """Take a SIGTERM of a job that goes on running as a preemption; else let it end."""
        if self.leaving:
            return
        try:
            asked = subprocess.run(
                ["scontrol", "show", "job", os.environ["SLURM_JOB_ID"]],
                capture_output=True,
                text=True,
                timeout=SCONTROL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return
        if "JobState=RUNNING" in asked.stdout.split():
            signal.raise_signal(signal.SIGUSR2)


def _threads() -> int | None:
    """Return how many CPUs Slurm has given to this job on this node."""
    given = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE", "")
    return int(given) if given.isdecimal() else None
