"""A worker's data sets: found by what the registry knows of them, loaded once."""

from collections.abc import Callable
from pathlib import Path

from dfgctl.data import sources as data_sources
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS, DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import OwnFolder
from dfgctl.data.manifest import manifest
from dfgctl.data.own import own_folder
from dfgctl.data.views import VIEWS
from dfgctl.errors import InputError
from dfgctl.records import DatasetCard, RunSpec, SourceSpec

Progress = Callable[[str, int, int], None]


class Pictures:
    """Loads data sets.

    Args:
        folder: where prepared pictures and checksums lie.
        data_dir: the data directory.
        progress: told how many of a data set's pictures are decoded.
    """

    def __init__(self, folder: Path, data_dir: Path, progress: Progress) -> None:
        self.folder, self.data_dir, self.progress = folder, data_dir, progress
        self._loaded: dict[tuple[str, str, str], ImageArrays] = {}

    def target(self, spec: RunSpec, card: DatasetCard | None) -> ImageArrays:
        """Return the data that a run trains on.

        Raises:
            InputError: it is not here, is broken, or is not what the run was planned with.
        """
        key = (spec.dataset, spec.data_digest, spec.backbone)
        if key not in self._loaded:
            if card is not None and card.folder is not None:
                info = own_folder(Path(card.folder), card.test_fraction, strict=False)
            else:
                info = _published(spec.dataset)
            self._loaded[key] = self._load(info, spec.data_digest, spec.backbone)
        return self._loaded[key]

    def source(self, spec: SourceSpec) -> ImageArrays:
        """Return the data that a source network trains on.

        Raises:
            InputError: it is not here, is broken, or is not what the network was planned with.
        """
        return self._load(_published(spec.dataset), spec.data_digest, spec.backbone)

    def _load(self, info: DatasetInfo, digest: str, backbone: str) -> ImageArrays:
        cache = ChecksumCache(self.folder / "manifests" / "checksums.json")
        # Built-in data is as it is; to draw it twice for its digest would only take time.
        if info.files is not None and manifest(info, self.data_dir, cache).digest != digest:
            place = f"{self.data_dir} ({info.title})"
            if isinstance(info.files, OwnFolder):
                place = str(info.files.root)
            raise InputError(
                f"The pictures in {place} have changed since this run was planned: type the "
                "command again, so that they get runs of their own."
            )
        return data_sources.load(
            info,
            self.data_dir,
            VIEWS[backbone],
            self.folder / "prepared",
            cache,
            lambda done, total: self.progress(info.name, done, total),
        )


def _published(name: str) -> DatasetInfo:
    if name not in DATASETS:
        raise InputError(f"This dfgctl does not know the data set '{name}': upgrade it.")
    return DATASETS[name]
