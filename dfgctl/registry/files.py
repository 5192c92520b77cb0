"""The files beside a registry: where they lie and how they are named."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("weights", "checkpoints", "sources", "prepared", "logs")
"""Where files lie beside a registry."""

_ID = r"(?P<id>[0-9a-f]{64})"
_TMP = r"(?P<tmp>\.[\w.-]+\.tmp)?"
_NAMES = {
    "checkpoints": re.compile(rf"{_ID}/\d{{8,}}\.safetensors{_TMP}", re.ASCII),
    "weights": re.compile(rf"{_ID}\.(?P<attempt>\d+)\.safetensors{_TMP}", re.ASCII),
    "sources": re.compile(rf"{_ID}\.safetensors{_TMP}", re.ASCII),
    "logs": re.compile(rf"{_ID}\.log", re.ASCII),
    "prepared": re.compile(r".+\.\d+(?P<tmp>\.tmp)", re.ASCII),
    "manifests": re.compile(r"checksums\.\d+(?P<tmp>\.tmp)", re.ASCII),
}
"""How dfgctl names the files that it may delete, by folder; no others are ever touched."""


@dataclass(frozen=True)
class Left:
    """A file beside the registry, as it was when it was listed.

    Attributes:
        kind: its folder, or ``temporary`` for what a writer began.
        path: where it lies.
        size: bytes.
        stamp: tells it from another one that was moved into its place since.
        written: when it was last written, in seconds since 1970.
        folder: its folder.
        id: the run's id, or the source network's identity; None for what is no run's.
        attempt: the attempt whose weights it has.
    """

    kind: str
    path: Path
    size: int
    stamp: tuple[int, int]
    written: float
    folder: str
    id: str | None = None
    attempt: int | None = None

    def unchanged(self) -> bool:
        """Say whether it is still the file that was listed."""
        try:
            stat = self.path.lstat()
        except OSError:
            return False
        return (stat.st_ino, stat.st_mtime_ns) == self.stamp


def listed(folder: Path, registry: Path | None) -> list[Left]:
    """List the files beside a registry that dfgctl has named, those in use as well.

    Args:
        folder: where they lie.
        registry: the SQLite file, for copies of it that were not finished.
    """
    found = []
    for name, pattern in _NAMES.items():
        for path, below, stat in _files(folder / name):
            match = pattern.fullmatch(below)
            if match is None:
                continue
            groups = match.groupdict()
            kind = "temporary" if groups.get("tmp") else name
            attempt = groups.get("attempt")
            number = int(attempt) if attempt is not None else None
            found.append(_left(path, stat, kind, name, groups.get("id"), number))
    if registry is not None:
        begun = re.compile(rf"{re.escape(registry.name)}\.\d+\.tmp", re.ASCII)
        for path, below, stat in _files(folder, deep=False):
            if begun.fullmatch(below):
                found.append(_left(path, stat, "temporary", "", None, None))
    return found


def taken(folder: Path) -> tuple[int, int]:
    """Return how many files are in a folder and its folders, and their bytes."""
    sizes = [stat.st_size for _, _, stat in _files(folder)]
    return len(sizes), sum(sizes)


def _left(
    path: Path, stat: os.stat_result, kind: str, folder: str, name: str | None, attempt: int | None
) -> Left:
    stamp = (stat.st_ino, stat.st_mtime_ns)
    return Left(kind, path, stat.st_size, stamp, stat.st_mtime, folder, name, attempt)


def _files(
    folder: Path, below: str = "", deep: bool = True
) -> Iterator[tuple[Path, str, os.stat_result]]:
    """Yield the plain files of a folder and its folders, with their paths below it."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if deep:
                yield from _files(Path(entry.path), f"{below}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):  # others may be clearing up, too
                yield Path(entry.path), f"{below}{entry.name}", entry.stat(follow_symlinks=False)
