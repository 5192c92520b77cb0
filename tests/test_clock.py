"""The clock: a number in plain steps, the device's own count in recorded ones."""

import pytest
import torch
from tape import Tape

from dfgctl.clock import Clock

CPU = torch.device("cpu")


class Fills(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the fills."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.fill_.Scalar
        return func(*args, **(kwargs or {}))


def test_a_plain_step_sees_its_number() -> None:
    assert Clock().at(7) == 7


def test_the_device_counts_recorded_steps_and_is_told_where_others_were_between() -> None:
    clock, seen = Clock(), torch.zeros((), dtype=torch.int64)

    def work() -> None:
        with clock.counting():
            now = clock.at(-1)
            assert isinstance(now, torch.Tensor)
            assert now.dtype == torch.int64
            seen.copy_(now)

    clock.set_before(5, CPU)
    again = Tape().record(work)
    assert seen == 5
    assert clock.at(6) == 6
    for step, told in ((6, 0), (7, 0), (9, 1), (10, 0), (3, 1), (4, 0)):
        with Fills() as fills:
            clock.set_before(step, CPU)
        again()
        assert (seen, fills.count) == (step, told)


def test_a_recording_that_failed_leaves_no_count_to_trust() -> None:
    clock = Clock()
    clock.set_before(5, CPU)
    with pytest.raises(RuntimeError, match="broken"), clock.counting():
        raise RuntimeError("broken")
    assert clock.at(5) == 5
    clock.lost()
    with Fills() as fills:
        clock.set_before(6, CPU)
    assert fills.count == 1
