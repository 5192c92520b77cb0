"""Requests to stop: by Ctrl-C, by SIGTERM, by Slurm, or because the parent has died."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dfgctl.errors import StoppedError

INTERRUPTED, PREEMPTED = "interrupted", "preempted"

SIGNALS = {
    signal.SIGINT: INTERRUPTED,
    signal.SIGTERM: INTERRUPTED,
    signal.SIGUSR1: PREEMPTED,
    signal.SIGUSR2: PREEMPTED,
}
"""What each signal asks for. Slurm sends SIGUSR2 before it ends a job (by submitit's default)."""


SLICE = 0.1
"""Seconds between looks at a request: a handler cannot set an Event whose wait it interrupts."""


class Stop:
    """Whether a worker has been asked to stop, and why."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.on_request: Callable[[], None] = lambda: None

    def request(self, reason: str) -> None:
        """Ask to stop; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.on_request()

    def check(self) -> None:
        """Raise ``StoppedError`` if a stop was asked for.

        Raises:
            StoppedError: one was.
        """
        if self.reason is not None:
            raise StoppedError(
                "Stopped. What is finished is kept, and checkpoints of the rest: type the command "
                "again to go on.",
                self.reason,
            )

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond a request."""
        deadline = time.monotonic() + seconds
        while self.reason is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))

    @contextmanager
    def listening(self, preempted: bool = False) -> Iterator["Stop"]:
        """Take signals as requests: the first one stops softly, a second one at once.

        Args:
            preempted: whether a scheduler sends them, several at a time: then all of them say that
                the job is preempted, and none stops at once.
        """

        def handle(number: int, _: FrameType | None) -> None:
            reason = PREEMPTED if preempted else SIGNALS[signal.Signals(number)]
            if self.reason is not None and reason == INTERRUPTED:
                raise KeyboardInterrupt
            self.request(reason)

        before = {number: signal.signal(number, handle) for number in SIGNALS}
        # Who started this process may have held them back until now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def with_parent(self, descriptor: int) -> None:
        """Stop when the other end of a pipe closes: the parent has died, however it did."""

        def watch() -> None:
            while True:
                try:
                    if not os.read(descriptor, 1):
                        break
                except OSError:
                    break
            self.request(INTERRUPTED)

        threading.Thread(target=watch, name="parent", daemon=True).start()
