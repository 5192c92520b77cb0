"""A measurement in a process of its own: ``python -m dfgctl.bench.child RESULT``, job on stdin.

So no measurement feels another's memory, caches or threads, and one that the system kills takes
nothing with it.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
from pathlib import Path

from dfgctl.bench.records import FAILED, NO_MEMORY, Job, Row
from dfgctl.errors import InputError, first_line


def answer(job: Job) -> Row | InputError:
    """Measure a job; what goes wrong is part of the answer."""
    from dfgctl.bench.measure import measure
    from dfgctl.devices import is_memory

    try:
        return measure(job)
    except InputError as error:
        return InputError(str(error))  # which can be pickled, as not all of its kinds can
    except Exception as error:
        traceback.print_exc()
        status = NO_MEMORY if is_memory(error) else FAILED
        return Row.of(job, status, first_line(str(error), type(error).__name__))


def main(result: Path) -> None:
    """Read a job from standard input, measure it, and write the answer into a file."""
    job: Job = pickle.load(sys.stdin.buffer)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_parent, daemon=True).start()
    found = answer(job)
    beside = result.with_suffix(".tmp")
    beside.write_bytes(pickle.dumps(found))
    beside.replace(result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
