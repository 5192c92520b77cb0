"""Times that users type become times of the registry, which are in UTC."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dfgctl.cli.runs.choice import since_of

NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 0:30 on the 21st in Berlin


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the clock to Central European Time, an hour ahead of UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-20", "2026-11-19 23:00"),
        ("2026-07-01", "2026-06-30 22:00"),
        ("2026-11-20T14:30", "2026-11-20 13:30"),
        ("2026-11-20 14:30", "2026-11-20 13:30"),
        ("2026-11-20T14:30Z", "2026-11-20 14:30"),
        ("2026-11-20T14:30+05:00", "2026-11-20 09:30"),
        ("00:15", "2026-11-20 23:15"),
        ("0:15", "2026-11-20 23:15"),
        ("90min", "2026-11-20 22:00"),
        ("2h", "2026-11-20 21:30"),
        ("3d", "2026-11-17 23:30"),
        ("3 d", "2026-11-17 23:30"),
        ("1w", "2026-11-13 23:30"),
    ],
)
def test_dates_and_times_are_local_and_ages_are_from_now(text: str, wanted: str) -> None:
    assert since_of(text, NOW) == datetime.fromisoformat(wanted)
