"""Reads every picture of a published data set: the only check where no checksums are published."""

from pathlib import Path

from dfgctl.data import folders
from dfgctl.data.catalog import DatasetInfo
from dfgctl.data.files import FolderFiles
from dfgctl.data.pictures import Progress, undecodable


def check_pictures(info: DatasetInfo, data_dir: Path, progress: Progress | None = None) -> None:
    """Decode all pictures of a data set that lies in picture files; others have checksums.

    Raises:
        DataCorruptError: some cannot be decoded; the message names them.
    """
    files = info.files
    if not isinstance(files, FolderFiles):
        return
    found = folders.listing(info, files, data_dir)
    bad = undecodable(found.root, [*found.train, *found.test], upright=False, progress=progress)
    if bad:
        names = ", ".join(bad[:20]) + (f" (and {len(bad) - 20:,} more)" if bad[20:] else "")
        raise folders.broken(info, found.root, f"{len(bad)} pictures cannot be decoded: {names}")
