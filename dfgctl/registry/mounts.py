"""Which file systems lie on another machine: SQLite's locks and its log do not hold there."""

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""Where Linux lists what is mounted; elsewhere nothing is known, and nothing refused."""

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "panfs", "orangefs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse"),
    }
)
"""File systems that several machines write to at once, as the kernel names them."""


def network_kind(path: Path) -> str | None:
    """Return the kind of network file system that a path lies on, None if it is on none.

    Args:
        path: a file or folder; it need not be there.
    """
    try:
        place = path.resolve()
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (OSError, RuntimeError):
        return None
    longest, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_plain(fields[1]))
        # Of two mounts at the same point the later one covers the other.
        if place.is_relative_to(point) and len(point.parts) >= longest:
            longest, kind = len(point.parts), fields[2]
    return kind if kind in NETWORK else None


def _plain(escaped: str) -> str:
    """Undo the escapes in a mount point: a space is written as its octal code."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
