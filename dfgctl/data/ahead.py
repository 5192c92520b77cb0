"""Reads pictures that stay in the host's memory before they are asked for, and moves them."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice

import torch

from dfgctl.data.reading import Parts, Source

DRAWS_PER_STEP = 64
"""Batches that one training step may draw from the ``batches`` stream."""

AHEAD = 8
"""Readings that are begun before they are asked for."""

AHEAD_BYTES = 256 * 2**20
"""They take no more than this, but one is always begun."""

MOVED = 2
"""Readings that are moved to the device before they are asked for."""

READERS = 4
"""Threads that read: copying takes one, waiting for a disk takes more."""


Call = tuple[Source, int]
"""A source, and which of its readings."""


class Waiting:
    """Measures how long the device waits for pictures.

    On a GPU that is the time from when it has done all that it was given before until the pictures
    are there, whatever the main thread does in between; on the CPU, the time that the main thread
    waits for a reader or reads itself.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._device = device
        self._seconds = 0.0
        self._open: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @property
    def seconds(self) -> float:
        """Seconds so far; on a GPU without the waits that it has not come to yet."""
        while self._open and self._open[0][1].query():  # type: ignore[no-untyped-call]
            start, end = self._open.popleft()
            self._seconds += start.elapsed_time(end) / 1000
        return self._seconds

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what happens within."""
        if not self._on_gpu:
            began = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - began
            return
        stream = torch.cuda.current_stream(self._device)
        start, end = _event(), _event()
        start.record(stream)
        yield
        end.record(stream)
        self._open.append((start, end))
        _ = self.seconds  # so that few events stay open


class Reading:
    """One reading, from its beginning to its arrival on the device.

    Args:
        source: what is read.
        place: which of its readings.
        device: where it is moved to.
        side: the stream that moves it; None where the device is no GPU.
        pool: who reads; None to read at once.
    """

    def __init__(
        self,
        source: Source,
        place: int,
        device: torch.device,
        side: torch.cuda.Stream | None,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.call = (source, place)
        self._device, self._side = device, side
        self._parts = source.empty(place, pinned=side is not None)
        self.bytes = sum(part.nbytes for part in self._parts)
        self._moved: torch.cuda.Event | None = None
        self._filled: Future[None] | None = None
        if pool is None:
            source.fill(place, self._parts)
        else:
            self._filled = pool.submit(source.fill, place, self._parts)

    def cancel(self) -> None:
        """Do not begin it, if it has not begun."""
        if self._filled is not None:
            self._filled.cancel()

    @property
    def read(self) -> bool:
        """Whether it has been read without an error."""
        filled = self._filled
        return filled is None or (filled.done() and filled.exception() is None)

    def move(self) -> None:
        """Begin to copy it to the GPU, beside what that computes.

        The pinned memory is not used again before it has been copied: torch's allocator sees to it.
        """
        if self._side is None or self._moved is not None:
            return
        with torch.cuda.stream(self._side):
            self._parts = tuple(part.to(self._device, non_blocking=True) for part in self._parts)
            self._moved = self._side.record_event()

    def arrived(self) -> Parts:
        """Wait until it has been read, and return its parts on the device.

        Raises:
            Exception: what reading raised.
        """
        if self._filled is not None:
            self._filled.result()
        if self._side is None:
            return tuple(part.to(self._device) for part in self._parts)
        self.move()
        assert self._moved is not None
        current = torch.cuda.current_stream(self._device)
        current.wait_event(self._moved)
        for part in self._parts:
            part.record_stream(current)  # its memory was taken for the side stream
        return self._parts


class Ahead:
    """Reads what the next steps will draw, and the next chunks of a pass, in other threads.

    What is read does not depend on what was foreseen: a draw that was not foreseen is read when it
    is asked for. All calls to CUDA come from the thread that asks.

    Args:
        device: where pictures are needed.

    Attributes:
        waiting: the time that draws waited.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.waiting = Waiting(device)
        self._side: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._past: deque[Call] = deque(maxlen=2 * DRAWS_PER_STEP)
        self._coming: deque[Reading] = deque()

    def draw(self, source: Source, place: int) -> Parts:
        """Return what a source has at a place, on the device, and begin what will be next."""
        call = (source, place)
        with self.waiting.measured():
            if self._coming and self._coming[0].call == call:
                reading = self._coming.popleft()
            else:
                self._drop(self._coming)
                reading = Reading(source, place, self.device, self._side, None)
            parts = reading.arrived()
        self._past.append(call)
        self._foresee(_room(reading.bytes))
        self._move(self._coming)
        return parts

    def each(self, source: Source, places: Sequence[int], waiting: Waiting) -> Iterator[Parts]:
        """Yield what a source has at some places, one after the other, on the device."""
        left = iter(places)
        coming = deque(self._begun(source, place) for place in islice(left, 1))
        try:
            while coming:
                reading = coming.popleft()
                more = islice(left, _room(reading.bytes) - len(coming))
                coming.extend(self._begun(source, place) for place in more)
                with waiting.measured():
                    parts = reading.arrived()
                self._move(coming)
                yield parts
        finally:
            self._drop(coming)

    def close(self) -> None:
        """End the threads. What is asked for later is read when it is asked for."""
        self._closed = True
        self._drop(self._coming)
        self._past.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _begun(self, source: Source, place: int) -> Reading:
        if self._pool is None and not self._closed:
            self._pool = ThreadPoolExecutor(READERS, "pictures")
        return Reading(source, place, self.device, self._side, self._pool)

    def _foresee(self, room: int) -> None:
        """Begin the draws that come next, as far as there is room for them."""
        if self._closed:
            return
        wanted = deque(islice(self._next(), room))
        for reading in self._coming:
            if not wanted or wanted.popleft() != reading.call:
                self._drop(self._coming)
                wanted = deque(islice(self._next(), room))
                break
        self._coming.extend(self._begun(*call) for call in wanted)

    def _next(self) -> Iterator[Call]:
        """Yield the draws to come: those of the last step again, each so many steps later."""
        past = list(self._past)
        for period in range(len(past) // 2, 0, -1):
            last, before = past[-period:], past[-2 * period : -period]
            if all(now == _later(one, 1) for one, now in zip(before, last, strict=True)):
                for steps in count(1):
                    yield from (_later(one, steps) for one in last)

    @staticmethod
    def _move(coming: deque[Reading]) -> None:
        """Move the first of what has been read."""
        for reading in islice(coming, MOVED):
            if not reading.read:
                return
            reading.move()

    @staticmethod
    def _drop(coming: deque[Reading]) -> None:
        for reading in coming:
            reading.cancel()
        coming.clear()


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _later(call: Call, steps: int) -> Call:
    """Return the same draw of a later step."""
    source, place = call
    return source, place + steps * DRAWS_PER_STEP


def _room(size: int) -> int:
    """Return how many readings of a size in bytes are begun before they are asked for."""
    return max(1, min(AHEAD, AHEAD_BYTES // max(1, size)))
