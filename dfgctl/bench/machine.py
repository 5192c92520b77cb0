"""The machine and the program that a measurement is of."""

import platform
import sys
from datetime import UTC, datetime
from typing import Any

from dfgctl import processor, provenance


def described() -> dict[str, Any]:
    """Describe the machine and the program: names, cores, versions, commit, date, command."""
    made_with = provenance.collect()
    return {
        "host": platform.node(),
        "platform": made_with["platform"],
        "cpu": processor.name(),
        "cores": processor.cores(),
        "python": made_with["python"],
        "torch": made_with["packages"]["torch"],
        "dfgctl": made_with["dfgctl"],
        "commit": made_with["commit"],
        "dirty": made_with["dirty"],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["dfgctl", *sys.argv[1:]],
    }
