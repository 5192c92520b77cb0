"""What is wrong with this machine, its data and its registry, and what to do about it."""

from collections.abc import Iterator
from pathlib import Path

from dfgctl.doctor import data, machine, registry, software
from dfgctl.records import Finding

__all__ = ["examine"]


def examine(where: str, data_dir: Path) -> Iterator[Finding]:
    """Look at everything that a run needs; what takes longest comes when it is asked for.

    Args:
        where: the registry's path or URL.
        data_dir: the data directory.
    """
    yield from software.examine()
    yield from machine.examine(registry.folder_of(where), data_dir)
    yield from data.examine(data_dir)
    yield from registry.examine(where)
