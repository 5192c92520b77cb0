"""Each function's own time is booked, once, and nothing is changed for good."""

import threading
import time

import pytest

from dfgctl.bench.accounts import Accounts, Watched


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Base:
    clock: Clock

    def inherited(self) -> None:
        self.clock.now += 16


class Shop(Base):
    def outer(self) -> str:
        self.clock.now += 1
        self.inner()
        self.inner()
        self.clock.now += 2
        return "sold"

    def inner(self) -> None:
        self.clock.now += 4

    def broken(self) -> None:
        self.clock.now += 8
        raise ValueError("broken")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    Shop.clock = made
    monkeypatch.setattr(time, "perf_counter", made)
    return made


WATCHED = [
    Watched(Shop, "outer", "shop", "once"),
    Watched(Shop, "inner", "stock", "step"),
    Watched(Shop, "broken", "stock", "once"),
    Watched(Shop, "inherited", "shop", "step"),
]


def test_what_is_called_inside_is_booked_where_it_belongs(clock: Clock) -> None:
    accounts, shop = Accounts(), Shop()
    with accounts.watching(WATCHED):
        assert shop.outer() == "sold"
        with pytest.raises(ValueError, match="broken"):
            shop.broken()
        shop.inherited()
    found = {key: (e.calls, e.seconds) for key, e in accounts.entries.items()}
    assert found == {
        ("shop", "once"): (1, 3),
        ("stock", "step"): (2, 8),
        ("stock", "once"): (1, 8),
        ("shop", "step"): (1, 16),
    }
    assert sum(e.seconds for e in accounts.entries.values()) == clock.now


def test_classes_are_as_they_were_afterwards(clock: Clock) -> None:
    before = dict(vars(Shop))
    seen = []

    def watched() -> None:
        with Accounts().watching(WATCHED):
            seen.append("inherited" in vars(Shop))
            raise KeyError

    with pytest.raises(KeyError):
        watched()
    assert seen == [True]
    assert dict(vars(Shop)) == before


def test_other_threads_are_booked_aside(clock: Clock) -> None:
    accounts, shop = Accounts(), Shop()
    with accounts.watching(WATCHED):
        thread = threading.Thread(target=shop.inner)
        thread.start()
        thread.join()
    assert accounts.entries == {}
    assert accounts.beside["stock"].calls == 1
    assert accounts.beside["stock"].seconds < 1  # the processor's time, not the clock's 4
