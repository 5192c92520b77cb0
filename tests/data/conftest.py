"""Small data sets in the very format of the published ones: IDX files as MNIST's authors wrote."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_data import write_idx

from dfgctl.data.catalog import DATASETS, DatasetInfo

COUNTS = {"train": 60, "test": 30}


@dataclass(frozen=True)
class Small:
    """A small data set on disk, what is in it, and its catalog entry.

    Attributes:
        info: its catalog entry: small counts, no checksums.
        root: the data directory.
        images: ``train`` and ``test`` images as the files have them, (N, 28, 28).
        labels: likewise the labels, as the files have them.
    """

    info: DatasetInfo
    root: Path
    images: dict[str, NDArray[np.uint8]]
    labels: dict[str, NDArray[np.uint8]]

    def file(self, split: str, what: str) -> Path:
        """Return the file of a split's ``images`` or ``labels``."""
        assert self.info.files is not None
        names = self.info.files.train if split == "train" else self.info.files.test
        return self.root / self.info.files.folder / names[("images", "labels").index(what)]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Small]:
    """Write a small data set of a name into an own data directory."""

    def make(name: str) -> Small:
        full = DATASETS[name]
        assert full.files is not None
        info = replace(
            full,
            train=COUNTS["train"],
            test=COUNTS["test"],
            train_counts=(),
            test_counts=(),
            files=replace(full.files, checksums={}),
        )
        monkeypatch.setitem(DATASETS, name, info)
        rng = np.random.default_rng(0)
        classes, first = len(info.classes), full.files.first_label
        images, labels = {}, {}
        for split, count in COUNTS.items():
            images[split] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels[split] = ((np.arange(count) * 7) % classes + first).astype(np.uint8)
        made = Small(info, tmp_path / "root", images, labels)
        for split in COUNTS:
            write_idx(made.file(split, "images"), images[split])
            write_idx(made.file(split, "labels"), labels[split])
        return made

    return make
