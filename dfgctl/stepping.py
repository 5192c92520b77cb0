"""Does the training steps of a pack: one by one, or on a CUDA device as replays of recordings.

A training step of small networks is thousands of kernels, which Python launches slower than a GPU
does them. A step that was recorded as a CUDA graph is launched at once.
"""

import contextlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch

from dfgctl.clock import Clock
from dfgctl.devices import is_memory
from dfgctl.errors import first_line
from dfgctl.methods.base import Method
from dfgctl.state import Tally


class Recorder(Protocol):
    """Records what the device is told to do, to do it again."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Do the work for the first time, unrecorded, so that what is made only once is there."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Do the work once, and return a function that does it again on the same memory.

        Raises:
            Exception: it cannot be recorded; nothing was done on the device then.
        """


@cache
def _stream_on(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream of all recordings: libraries keep memory for each that they meet."""
    return torch.cuda.Stream(device=device)  # type: ignore[no-untyped-call]


class CudaGraphs:
    """Records as CUDA graphs, which share one pool of memory.

    Args:
        device: the CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = _stream_on(device)
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], None]) -> None:
        """Do the work on the stream of the recordings, whose libraries keep their memory by it."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                work()
            current.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the work in a graph, and replay it once; see ``Recorder``."""
        with torch.cuda.device(self._device):
            graph = torch.cuda.CUDAGraph()
            current = torch.cuda.current_stream()
            failure: Exception | None = None
            try:
                # Other threads may go on with what they do on the device.
                with torch.cuda.graph(
                    graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
                ):
                    try:
                        work()
                    except Exception as error:
                        failure = error
                        raise
            except BaseException as error:
                self._close(current)
                # The end of a capture that failed has an error of its own, which says less.
                raise (failure or error) from None
            finally:
                failure = None  # its frames hold the step's tensors
            graph.replay()
            return graph.replay

    def _close(self, current: torch.cuda.Stream) -> None:
        """Close a capture that failed, which PyTorch leaves half open.

        Its stream would stay the current one, and the allocator would give no memory back.
        """
        torch.cuda.set_stream(current)
        with contextlib.suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)


def recorder_for(device: torch.device, graphs: bool | None, at_hand: bool) -> Recorder | None:
    """Return what records steps on a device; None where each is done by itself.

    Args:
        device: where the pack is trained.
        graphs: whether to record; None for wherever it can be.
        at_hand: whether the images lie on the device: a recording reaches no others.

    Raises:
        ValueError: CUDA graphs are asked for on another device.
    """
    if graphs and device.type != "cuda":
        raise ValueError(f"CUDA graphs need a CUDA device, not {device.type}")
    if graphs is False or not at_hand or device.type != "cuda":
        return None
    return CudaGraphs(device)


@dataclass
class _Phase:
    """What is known of the steps of one phase: their losses' names, and how to do one again."""

    losses: tuple[str, ...]
    replay: Callable[[], None] | None = None


class Stepper:
    """Does a method's steps and counts their losses.

    Where there is a recorder, the first step of each phase (``Method.phase``) is done as it is, the
    second one is recorded, and later ones are that recording again. What the steps leave is the
    same. Once a recording fails, all steps are done one by one.

    Args:
        method: the method.
        tally: where losses are counted.
        clock: the clock of the method's context.
        recorder: records steps; None to do each by itself.
        device: where the pack is trained.

    Attributes:
        recorder: what records them; None where it was given none, or failed.
        problem: why steps are no longer recorded; empty as long as they are, or where they never
            were.
    """

    def __init__(
        self,
        method: Method[Any],
        tally: Tally,
        clock: Clock,
        recorder: Recorder | None,
        device: torch.device,
    ) -> None:
        self._method, self._tally, self._clock = method, tally, clock
        self.recorder = recorder
        self._device = device
        self._phases: dict[Hashable, _Phase] = {}
        self.problem = ""

    @property
    def records(self) -> int:
        """How many phases are recorded by now."""
        return sum(phase.replay is not None for phase in self._phases.values())

    def forget(self) -> None:
        """Forget all recordings: the method's tensors may be others from here on."""
        self._phases.clear()
        self._clock.lost()

    def step(self, step: int) -> None:
        """Do one step, without a look at its losses' values (that would wait for the device)."""
        phase = self.phase_of(step)
        if self.recorder is None or phase is None:
            self._plain(step)
            return
        known = self._phases.get(phase)
        if known is None:
            self.recorder.warm_up(lambda: self._begin(phase, step))
        elif known.replay is None:
            self._record(known, step)
        else:
            self._clock.set_before(step, self._device)
            known.replay()
            self._tally.count(known.losses)

    def phase_of(self, step: int) -> Hashable | None:
        """Return a step's phase; None where its class inherits what it says of phases.

        A class that does other steps than its parent's cannot vouch for them with the parent's
        words.
        """
        own = "phase" in vars(type(self._method))
        return self._method.phase(step) if own else None

    def _plain(self, step: int) -> tuple[str, ...]:
        losses = self._method.step(step)
        self._tally.add(losses)
        return tuple(losses)

    def _begin(self, phase: Hashable, step: int) -> None:
        self._phases[phase] = _Phase(self._plain(step))

    def _record(self, phase: _Phase, step: int) -> None:
        """Record a step, which does it too; where that fails, do it as it is."""
        assert self.recorder is not None

        def work() -> None:
            with self._clock.counting():
                losses = self._method.step(step)
            if tuple(losses) != phase.losses:
                raise ValueError("steps of one phase have other losses")
            self._tally.sum(losses)

        self._clock.set_before(step, self._device)
        try:
            phase.replay = self.recorder.record(work)
        except Exception as error:
            if is_memory(error):
                raise  # a smaller pack is faster than one without recordings
            self._give_up(error)
        if phase.replay is None:
            self._plain(step)
        else:
            self._tally.count(phase.losses)

    def _give_up(self, error: Exception) -> None:
        """Record no more; recordings that there are go with their memory."""
        first = first_line(str(error), "")
        self.problem = f"{type(error).__name__}: {first}" if first else type(error).__name__
        self.recorder = None
        self.forget()
