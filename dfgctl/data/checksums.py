"""Checksums of files, computed once and remembered."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path


class ChecksumCache:
    """Remembers files' checksums by path, size and time, so that a big file is hashed once.

    Args:
        file: where to remember them; a folder that cannot be written only costs time.
        keep: whether what is new is written there.
    """

    def __init__(self, file: Path, keep: bool = True) -> None:
        self._file = file
        self._keep = keep
        self._known: dict[str, list[object]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(file.read_text())
            self._known = known if isinstance(known, dict) else {}

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256, hashing it only if it changed since the last time."""
        return self._checksum(path, "sha256", str(path.resolve()))

    def md5(self, path: Path) -> str:
        """Return a file's MD5 likewise; some data sets are published with nothing better."""
        return self._checksum(path, "md5", f"md5:{path.resolve()}")

    def recall(self, name: str, state: str, make: Callable[[], list[str]]) -> list[str]:
        """Return what ``make`` returns, calling it only if the state changed since the last time.

        Args:
            name: what it is about.
            state: stands for all that the result depends on.
            make: finds it out anew.
        """
        known = self._known.get(name)
        if isinstance(known, list) and known[:1] == [state]:
            return [str(word) for word in known[1:]]
        found = make()
        self._remember(name, [state, *found])
        return found

    def _checksum(self, path: Path, kind: str, name: str) -> str:
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if isinstance(known, list) and len(known) == 3 and known[:2] == state:
            return str(known[2])
        with path.open("rb") as stream:
            checksum = hashlib.file_digest(stream, kind).hexdigest()
        self._remember(name, [*state, checksum])
        return checksum

    def _remember(self, name: str, value: list[object]) -> None:
        self._known[name] = value
        if self._keep:
            self._save()

    def _save(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{os.getpid()}.tmp")
            beside.write_text(json.dumps(self._known))
            beside.replace(self._file)
        except OSError:
            pass
