"""Says where the time of a program's parts goes, by timing its functions from outside."""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Entry:
    """What was booked under one heading: calls, and seconds less those of calls inside."""

    calls: int = 0
    seconds: float = 0.0


@dataclass
class Accounts:
    """Books each function's own time under a heading.

    Of the thread that made it, time is as the clock says; of others it is the processor's time,
    since what they wait for holds nobody up.

    Attributes:
        entries: by part and occasion, in the thread that made it.
        beside: by part, in other threads.
    """

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    beside: dict[str, Entry] = field(default_factory=dict)
    _owner: int = field(default_factory=threading.get_ident)
    _lock: Any = field(default_factory=threading.Lock)
    _inside: threading.local = field(default_factory=threading.local)

    def timed(self, function: Callable[..., Any], part: str, when: str) -> Callable[..., Any]:
        """Return a function that does the same and books its time.

        Args:
            function: the function.
            part: what it belongs to.
            when: on which occasion it is called.
        """

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            own = threading.get_ident() == self._owner
            clock = time.perf_counter if own else time.thread_time
            outer = getattr(self._inside, "seconds", 0.0)
            self._inside.seconds = 0.0
            start = clock()
            try:
                return function(*args, **kwargs)
            finally:
                spent = clock() - start
                with self._lock:
                    entry = self._entry(part, when, own)
                    entry.calls += 1
                    entry.seconds += spent - self._inside.seconds
                self._inside.seconds = outer + spent

        return wrapper

    def _entry(self, part: str, when: str, own: bool) -> Entry:
        if own:
            return self.entries.setdefault((part, when), Entry())
        return self.beside.setdefault(part, Entry())

    @contextmanager
    def watching(self, watched: "list[Watched]") -> Iterator[None]:
        """Time functions while the block runs."""
        before: list[tuple[Any, str, Any]] = []
        try:
            for one in watched:
                own = vars(one.owner).get(one.name)
                before.append((one.owner, one.name, own))
                plain = getattr(one.owner, one.name)
                setattr(one.owner, one.name, self.timed(plain, one.part, one.when))
            yield
        finally:
            for owner, name, own in reversed(before):
                if own is None:
                    delattr(owner, name)  # it was inherited
                else:
                    setattr(owner, name, own)


@dataclass(frozen=True)
class Watched:
    """A method whose time is booked.

    Attributes:
        owner: its class.
        name: its name.
        part: what it belongs to.
        when: on which occasion it is called.
    """

    owner: type
    name: str
    part: str
    when: str
