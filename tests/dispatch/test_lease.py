"""A lease is renewed while something long runs, and its loss is noticed."""

import threading

import pytest

from dfgctl.dispatch import lease
from dfgctl.dispatch.lease import kept_alive
from dfgctl.errors import LeaseLostError

PATIENCE = 30


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.001)


def _leases() -> int:
    return sum(thread.name == "lease" for thread in threading.enumerate())


def test_beats_come_until_the_block_ends() -> None:
    third, beats = threading.Event(), []

    def beat() -> None:
        beats.append(threading.current_thread().name)
        if len(beats) == 3:
            third.set()

    with kept_alive(beat) as check:
        assert third.wait(PATIENCE)
        check()
        assert _leases() == 1
    assert _leases() == 0
    assert set(beats) == {"lease"}


def test_a_lost_lease_is_raised_by_the_check_and_beats_stop() -> None:
    tried, calls = threading.Event(), []

    def beat() -> None:
        calls.append(1)
        tried.set()
        raise LeaseLostError("gone")

    with kept_alive(beat) as check:
        assert tried.wait(PATIENCE)
        thread = next((t for t in threading.enumerate() if t.name == "lease"), None)
        if thread is not None:
            thread.join(PATIENCE)
        with pytest.raises(LeaseLostError, match="gone"):
            check()
        with pytest.raises(LeaseLostError, match="gone"):
            check()
    assert len(calls) == 1


def test_the_thread_ends_with_a_block_that_raises() -> None:
    with pytest.raises(ZeroDivisionError), kept_alive(lambda: None):
        1 / 0  # noqa: B018
    assert _leases() == 0
