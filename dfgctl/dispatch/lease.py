"""Keeps a lease alive while something long runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dfgctl.errors import DfgctlError

BEAT_SECONDS = 8.0
"""Time between beats: three may be late before a lease of 30 s ends."""


@contextmanager
def kept_alive(beat: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Call ``beat`` in a thread until the block ends.

    Yields:
        A function that raises what the last beat raised, if it did.
    """
    stop = threading.Event()
    errors: list[DfgctlError] = []

    def beats() -> None:
        while not stop.wait(BEAT_SECONDS):
            try:
                beat()
            except DfgctlError as error:
                errors.append(error)
                return

    def check() -> None:
        if errors:
            raise errors[0]

    thread = threading.Thread(target=beats, name="lease", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        stop.set()
        thread.join()
