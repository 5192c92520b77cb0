"""What Slurm says of its nodes and of jobs, by sinfo and squeue."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfgctl.errors import InputError

SECONDS = 60.0
"""How long Slurm's answer is waited for."""

ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
"""States of a job that will not run again; of one that is put back, squeue says so at once."""

GONE = "gone"
"""What counts as the state of a job that Slurm has forgotten."""


@dataclass(frozen=True)
class State:
    """How a job stands.

    Attributes:
        name: Slurm's word for it, such as PENDING; or ``gone``.
        reason: why it does not run, such as Priority; may be empty.
    """

    name: str
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether the job will not run again."""
        return self.name in ENDED or self.name == GONE

    def __str__(self) -> str:
        words = self.name.lower().replace("_", " ")
        return f"{words} ({self.reason})" if self.reason else words


def states(ids: Sequence[str]) -> Mapping[str, State] | None:
    """Return how jobs stand, by one question to Slurm; None where it does not answer.

    Args:
        ids: the jobs, 17 or 17_0.
    """
    asked = _ask("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%r", "-j", ",".join(ids))
    if asked.returncode != 0 and "Invalid job id" not in asked.stderr:
        return None
    found = {}
    for line in asked.stdout.splitlines():
        job, name, reason = (*line.strip().split("|", 2), "", "")[:3]
        found[job] = State(name, "" if reason == "None" else reason)
    return {job: found.get(job, State(GONE)) for job in ids}


def is_this_machine(partition: str | None) -> bool:
    """Say whether all nodes of a partition are this very machine.

    Args:
        partition: which one, or several with commas; None for the cluster's default.

    Raises:
        InputError: Slurm does not answer, or has no such partition.
    """
    chosen = ["-p", partition] if partition else []
    asked = _ask("sinfo", "-h", "-N", *chosen, "-o", "%P|%n")
    if asked.returncode != 0:
        raise InputError(
            f"Slurm does not answer ({last_word(asked.stderr)}): see whether sinfo does here."
        )
    lines = [line.strip().partition("|") for line in asked.stdout.splitlines() if line.strip()]
    hosts = {_short(host) for name, _, host in lines if partition or name.endswith("*")}
    if partition and not hosts:
        raise InputError(
            f"Slurm has no partition '{partition}' with nodes: sinfo lists those that there are."
        )
    return hosts == {_short(platform.node())}


def last_word(text: str) -> str:
    """Return the last line of what a program said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no word"


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
