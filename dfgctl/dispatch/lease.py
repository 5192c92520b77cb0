"""Keeps a lease alive while something long runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BEAT_SECONDS = 8.0
"""Time between beats: three may be late before a lease of 30 s ends."""


JOIN_SECONDS = 15.0
"""How long the last beat is waited for: the registry may be away."""


@contextmanager
def kept_alive(beat: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Call ``beat`` in a thread until the block ends.

    Yields:
        A function that raises what the last beat raised, if it did.
    """
    stop = threading.Event()
    errors: list[Exception] = []

    def beats() -> None:
        while not stop.wait(BEAT_SECONDS):
            try:
                beat()
            except Exception as error:  # what ends the beats must not pass in silence
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
        thread.join(JOIN_SECONDS)
