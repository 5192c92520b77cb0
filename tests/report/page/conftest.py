"""Attempts as a registry would hand them out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfgctl.records import Attempt

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    """Make an attempt that finished after 90 s; ``made`` changes its provenance."""

    def make(day: int = 0, device: str = "CPU", **made: Any) -> Attempt:
        start = START + timedelta(days=day)
        provenance = {
            "dfgctl": "0.1.0",
            "commit": "a" * 40,
            "dirty": False,
            "python": "3.11.7",
            "platform": "Linux",
            "processor": "x86_64",
            "threads": 1,
            "packages": {"torch": "2.14.1", "pillow": None},
        }
        return Attempt(
            number=1,
            worker="host:1:a",
            device=device,
            pack_size=1,
            started_at=start,
            ended_at=start + timedelta(seconds=90),
            outcome="finished",
            error=None,
            provenance={**provenance, **made},
        )

    return make
