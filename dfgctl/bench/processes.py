"""Starts a process for each measurement, and reads what it found."""

import contextlib
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from dfgctl.bench.records import FAILED, NO_MEMORY, Job, Row
from dfgctl.errors import InputError, last_line

COMMAND = (sys.executable, "-m", "dfgctl.bench.child")


def measured(jobs: Sequence[Job], command: Sequence[str] = COMMAND) -> Generator[Row, None, None]:
    """Measure jobs one after the other, each in a process of its own.

    Once a pack does not fit into memory, larger ones of its kind are not tried: a machine whose
    memory runs out is slow for all who use it.

    Args:
        jobs: the packs, small ones before large ones.
        command: what starts a process; the file for its answer is added.

    Yields:
        A row for each job.

    Raises:
        InputError: a job's data cannot be read.
    """
    full: dict[tuple[object, ...], int] = {}
    for job in jobs:
        size = full.get(job.kind)
        if size is not None:
            error = f"not tried: a pack of {size} did not fit"
            yield Row.of(job, NO_MEMORY, error)
            continue
        row = _measured(job, command)
        if row.status == NO_MEMORY:
            full[job.kind] = row.pack
        yield row


def _measured(job: Job, command: Sequence[str]) -> Row:
    with tempfile.TemporaryDirectory(prefix="dfgctl-bench-") as folder:
        result, log = Path(folder) / "row", Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, str(result)], stdin=subprocess.PIPE, stdout=output, stderr=output
            )
            assert process.stdin is not None
            try:
                # One that dies before it reads says why in its log.
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(pickle.dumps(job))
                    process.stdin.flush()  # and stays open: its end would be this process's
                process.wait()
            finally:
                process.kill()
                process.wait()
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        if not result.is_file():
            return _died(job, process.returncode, log.read_text(errors="replace"))
        found: Row | InputError = pickle.loads(result.read_bytes())
    if isinstance(found, InputError):
        raise found
    return found


def _died(job: Job, code: int, log: str) -> Row:
    """Return the row of a process that ended without an answer."""
    if code == -signal.SIGKILL:
        error = "its process was killed, as the system does where the machine's memory runs out"
        return Row.of(job, NO_MEMORY, error)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Row.of(job, FAILED, f"its process died ({how}): {last_line(log, 'without a word')}")
