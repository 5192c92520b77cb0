"""Whether an SQLite registry's file can be made, read and written where it lies."""

import os
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from dfgctl.errors import RegistryError
from dfgctl.registry.mounts import network_kind


def is_read_only(path: Path) -> bool:
    """Say whether an SQLite registry can only be read: its log needs the folder, too."""
    if not path.exists():
        return False
    if network_kind(path) is not None:
        return True
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def read_only_url(path: Path) -> URL:
    """Return the URL by which an SQLite file is read and nothing is written."""
    log = path.with_name(f"{path.name}-wal")
    query = {"mode": "ro", "uri": "true"}
    if not (log.exists() and log.stat().st_size):
        # Without its log nobody is writing, and SQLite need not make files beside it.
        query["immutable"] = "1"
    return URL.create("sqlite", database=f"file:{quote(str(path.resolve()))}", query=query)


def check_file(path: Path, create: bool) -> None:
    """Check whether a registry can be opened, or made, where a file is to lie.

    Raises:
        RegistryError: it cannot.
    """
    if path.is_dir():
        raise RegistryError(f"{path} is a folder: name a file, e.g. {path / 'registry.sqlite'}.")
    kind = network_kind(path) if create else None
    if kind is not None:
        raise RegistryError(
            f"{path} is on a network file system ({kind}), where SQLite's locks do not hold: name "
            "a registry on a local disk with --registry, or for several machines one on "
            "PostgreSQL, postgresql://host/name (pip install 'dfgctl[postgres]')."
        )
    if path.exists():
        if create and is_read_only(path):
            raise RegistryError(
                f"{path} cannot be written: name a registry in a folder of yours with --registry."
            )
        return
    if not create:
        raise RegistryError(
            f"There is no registry at {path}: train something first, e.g. dfgctl run digits, or "
            "name the registry with --registry."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"{path.parent} cannot be made ({error.strerror}): name a registry in a folder of "
            "yours with --registry."
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise RegistryError(
            f"{path.parent} is read-only: name a registry in a folder of yours with --registry."
        )
