"""Worker processes on this machine: started, watched, replaced, and told to stop."""

import contextlib
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

IN_ORDER = (0, 130)
"""Exit codes of a worker that had nothing left to do, or was asked to stop."""

REPLACEMENTS = 3
"""Times that a worker which died is replaced."""


@dataclass(frozen=True)
class Job:
    """What a worker is started with.

    Attributes:
        registry: the registry's path or URL.
        plan: the plan whose runs it trains.
        device: its device.
        pack: runs of a pack: a number, or auto.
        data_dir: the data directory.
        checkpoint_every: steps between checkpoints, or auto.
        threads: CPU threads; None for PyTorch's own choice.
        deterministic: whether a GPU, too, gives the same bits each time.
    """

    registry: str
    plan: str
    device: str
    pack: str
    data_dir: Path
    checkpoint_every: str
    threads: int | None = None
    deterministic: bool = False

    def command(self, launcher: str, *more: str) -> list[str]:
        """Return the words that start it."""
        words = [sys.executable, "-m", "dfgctl", "worker", "--plan", self.plan]
        words += ["--device", self.device, "--pack", self.pack]
        words += ["--data-dir", str(self.data_dir.resolve())]
        words += ["--checkpoint-every", self.checkpoint_every]
        if self.threads is not None:
            words += ["--threads", str(self.threads)]
        if self.deterministic:
            words.append("--deterministic")
        return [*words, "--launcher", launcher, *more]

    def environment(self) -> Mapping[str, str]:
        """Return the variables that it is started with; a URL may hold a password."""
        return {"DFGCTL_REGISTRY": self.registry}


class Startable(Protocol):
    """Says how a worker process is started."""

    def command(self, launcher: str, *more: str) -> list[str]:
        """Return the words that start it."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that it is started with."""


@dataclass
class Member:
    """A worker process of a crew."""

    job: Startable
    process: subprocess.Popen[bytes]
    log: Path
    replaced: int = 0
    told: bool = False


@dataclass(frozen=True)
class Death:
    """A worker that ended otherwise than in order."""

    host: str
    pid: int
    how: str
    log: Path
    given_up: bool


@dataclass
class Crew:
    """Worker processes, one for each job.

    Args:
        jobs: what they are started with.
        logs: the folder of what they print.
        detached: whether they go on when this process ends.
    """

    jobs: Sequence[Startable]
    logs: Path
    detached: bool = False
    members: list[Member] = field(default_factory=list)

    def start(self) -> None:
        """Start all workers.

        Raises:
            OSError: one cannot be started, or its log not be written.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for i, job in enumerate(self.jobs):
            log = self.logs / f"worker-{stamp}-{os.getpid()}-{i + 1}.log"
            self.members.append(Member(job, self._spawn(job, log), log))

    def _spawn(self, job: Startable, log: Path) -> subprocess.Popen[bytes]:
        more = ["--log", str(log)] if self.detached else ["--log", str(log), "--with-parent"]
        with log.open("ab") as output:
            return subprocess.Popen(
                job.command("local", *more),
                stdin=subprocess.DEVNULL if self.detached else subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **job.environment()},
                # Ctrl-C reaches the parent alone, which passes it on as one request.
                start_new_session=True,
            )

    @property
    def alive(self) -> int:
        """How many are at work."""
        return sum(member.process.poll() is None for member in self.members)

    def deaths(self, replace: bool = True) -> list[Death]:
        """Return the workers that died since the last look.

        Args:
            replace: whether another takes the place of each, as long as that helps.
        """
        found = []
        for member in list(self.members):
            code = member.process.poll()
            # One that was told to stop before it could listen ends by the signal.
            if code is None or code in IN_ORDER or (member.told and code == -signal.SIGTERM):
                continue
            given_up = not replace or member.replaced >= REPLACEMENTS
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            pid = member.process.pid
            _close(member.process)
            found.append(Death(platform.node(), pid, how, member.log, given_up))
            if given_up:
                self.members.remove(member)
            else:
                member.replaced += 1
                member.process = self._spawn(member.job, member.log)
        return found

    def restart(self) -> None:
        """Start workers again that ended in order: runs have come back to the queue."""
        for member in self.members:
            if member.process.poll() in IN_ORDER:
                member.process = self._spawn(member.job, member.log)

    def stop(self) -> None:
        """Ask all to stop softly, each once: a second time would stop it at once."""
        for member in self.members:
            if not member.told and member.process.poll() is None:
                member.told = True
                member.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until all have ended."""
        for member in self.members:
            member.process.wait()
            _close(member.process)

    def kill(self) -> None:
        """End all at once."""
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
        self.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close this end of the pipe to a process that has ended."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
