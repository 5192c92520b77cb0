"""The machine and the program that a measurement is of."""

import platform
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dfgctl import provenance
from dfgctl.doctor.machine import cores

CPUINFO = Path("/proc/cpuinfo")


def described() -> dict[str, Any]:
    """Describe the machine and the program: names, cores, versions, commit, date, command."""
    made_with = provenance.collect()
    return {
        "host": platform.node(),
        "platform": made_with["platform"],
        "cpu": cpu_name(),
        "cores": cores(),
        "python": made_with["python"],
        "torch": made_with["packages"]["torch"],
        "dfgctl": made_with["dfgctl"],
        "commit": made_with["commit"],
        "dirty": made_with["dirty"],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["dfgctl", *sys.argv[1:]],
    }


def cpu_name() -> str:
    """Return the processor's name."""
    with suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
