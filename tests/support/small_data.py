"""Writes small data sets in the very format of the published ones, with their catalog entries."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from dfgctl.data.catalog import DATASETS, DatasetInfo
from dfgctl.data.files import ArrayFiles, FolderFiles, IdxFiles

CODES = {np.dtype(np.uint8): 8, np.dtype(np.int32): 12}
SPLITS = ("train", "test")


@dataclass(frozen=True)
class SmallData:
    """A small data set on disk.

    Attributes:
        info: its catalog entry, with small counts and no checksums.
        root: the data directory.
        pixels: of ``train`` and ``test`` as written, (N, C, H, W); empty for JPEG files.
        labels: likewise labels from 0, class by class for picture folders.
    """

    info: DatasetInfo
    root: Path
    pixels: dict[str, NDArray[np.uint8]]
    labels: dict[str, NDArray[np.int64]]


def write(name: str, root: Path, train: int = 6, test: int = 3, classes: int = 3) -> SmallData:
    """Write a small data set.

    Args:
        name: which one.
        root: the data directory.
        train: training images of each class.
        test: test images of each class.
        classes: number of classes of Caltech-256 and Food-101; others keep theirs.
    """
    full = DATASETS[name]
    count = classes if name in ("caltech256", "food101") else full.class_count
    info = replace(
        full,
        class_count=count,
        train=train * count,
        test=test * count,
        train_counts=(train,) * count,
        test_counts=(test,) * count,
    )
    files = full.files
    if isinstance(files, FolderFiles):
        # The last test picture of each class of CINIC-10 is one of CIFAR-10's training images.
        everything = (train + test) * count if files.layout == "caltech256" else 0
        seen = count if files.layout == "cinic10" else 0
        few = replace(
            files,
            pictures=everything,
            fewest=min(files.fewest, train + test),
            test_per_class=min(files.test_per_class, test),
            seen=seen,
        )
        info = replace(info, files=few)
    elif files is not None:
        info = replace(info, files=replace(files, checksums={}))
    rng = np.random.default_rng(0)
    side = {"stl10": 96}.get(name, 28 if isinstance(files, IdxFiles) else 32)
    channels = 1 if isinstance(files, IdxFiles) else 3
    labels, pixels = {}, {}
    for split, each in zip(SPLITS, (train, test), strict=True):
        order = np.arange(each * count)
        labels[split] = order // each if isinstance(files, FolderFiles) else (order * 7) % count
        shape = (each * count, channels, side, side)
        pixels[split] = rng.integers(0, 256, shape, dtype=np.uint8)
    made = SmallData(info, root, pixels, labels)
    layout = files.layout if isinstance(files, ArrayFiles | FolderFiles) else "idx"
    WRITERS[layout](made)
    return made if layout in ("idx", "svhn", "stl10", "cifar10", "cinic10") else _without(made)


def _without(made: SmallData) -> SmallData:
    return replace(made, pixels={})


def write_idx(file: Path, array: NDArray[np.generic]) -> None:
    """Write an IDX file: 0, 0, type, dimensions, sizes and values, the highest byte first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, CODES[array.dtype], array.ndim])
    sizes = np.array(array.shape, dtype=">u4").tobytes()
    file.write_bytes(header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes())


def _idx(made: SmallData) -> None:
    files = made.info.files
    for split, names in (("train", files.train), ("test", files.test)):
        pixels = made.pixels[split][:, 0]
        if files.transposed:
            pixels = pixels.transpose(0, 2, 1)
        write_idx(made.root / files.folder / names[0], pixels)
        labels = (made.labels[split] + files.first_label).astype(np.uint8)
        write_idx(made.root / files.folder / names[1], labels)


def _svhn(made: SmallData) -> None:
    """MATLAB files: X (32, 32, 3, N), y (N, 1) from 1 to 10, where 10 is the digit 0."""
    made.root.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        y = np.where(made.labels[split] == 0, 10, made.labels[split]).astype(np.uint8)
        values = {"X": made.pixels[split].transpose(2, 3, 1, 0), "y": y[:, None]}
        scipy.io.savemat(made.root / f"{split}_32x32.mat", values, do_compression=True)


def _stl10(made: SmallData) -> None:
    """Raw bytes, column by column, and labels from 1."""
    folder = made.root / "stl10_binary"
    folder.mkdir(parents=True)
    for split in SPLITS:
        made.pixels[split].transpose(0, 1, 3, 2).tofile(folder / f"{split}_X.bin")
        (made.labels[split] + 1).astype(np.uint8).tofile(folder / f"{split}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(made.info.classes) + "\n")


def _cifar10(made: SmallData) -> None:
    """Pickles of a dictionary, the training set in five."""
    folder = made.root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    parts = np.array_split(np.arange(len(made.labels["train"])), 5)
    batches = [(f"data_batch_{i + 1}", "train", part) for i, part in enumerate(parts)]
    batches.append(("test_batch", "test", np.arange(len(made.labels["test"]))))
    for name, split, part in batches:
        batch = {
            "data": made.pixels[split][part].reshape(len(part), -1),
            "labels": made.labels[split][part].tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(made.info.classes)}))


def _cinic10(made: SmallData) -> None:
    for split in (*SPLITS, "valid"):
        for c, name in enumerate(made.info.classes):
            folder = made.root / "CINIC-10" / split / name
            folder.mkdir(parents=True)
            if split == "valid":
                continue
            members = np.flatnonzero(made.labels[split] == c)
            for i, index in enumerate(members):
                # Sorted by name: ImageNet's pictures come after CIFAR-10's.
                first = "cifar10-train-" if i == 0 else f"n0212{i}_"
                file = folder / f"{first}{index}.png"
                Image.fromarray(made.pixels[split][index].transpose(1, 2, 0)).save(file)


def _jpeg(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    size = (40 + seed % 7, 50 - seed % 5)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, quality=90)


def _caltech256(made: SmallData) -> None:
    folder = made.root / "caltech256" / "256_ObjectCategories"
    each = (made.info.train + made.info.test) // made.info.class_count
    for c in range(made.info.class_count):
        for i in range(each):
            category = f"{c + 1:03d}.thing-{c}"
            _jpeg(folder / category / f"{c + 1:03d}_{i + 1:04d}.jpg", 100 * c + i)
    (folder / "001.thing-0" / "RENAME2").write_text("no picture")
    _jpeg(folder / "002.thing-1" / "greg" / "vision.jpg", 7)


def _food101(made: SmallData) -> None:
    folder = made.root / "food-101"
    (folder / "meta").mkdir(parents=True)
    lists: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
    number = 0
    for c in range(made.info.class_count):
        name = f"dish_{c}"
        for split in SPLITS:
            counts = made.info.train_counts if split == "train" else made.info.test_counts
            lists[split][name] = []
            for _ in range(counts[c]):
                number += 1
                _jpeg(folder / "images" / name / f"{1000 - number}.jpg", number)
                lists[split][name].append(f"{name}/{1000 - number}")
    for split in SPLITS:
        (folder / "meta" / f"{split}.json").write_text(json.dumps(lists[split]))


WRITERS: dict[str, Callable[[SmallData], None]] = {
    "idx": _idx,
    "svhn": _svhn,
    "stl10": _stl10,
    "cifar10": _cifar10,
    "cinic10": _cinic10,
    "caltech256": _caltech256,
    "food101": _food101,
}


def write_own(root: Path, train: int = 4, test: int = 2) -> Path:
    """Write pictures of one's own: two classes, mixed sizes, colours and formats.

    Args:
        root: the folder; with train/ and test/ in it, or only classes if ``test`` is 0.
        train: training pictures of each class.
        test: test pictures of each class.
    """
    modes = ("RGB", "L", "RGBA", "P")
    seed = 0
    for split, count in (("train", train), ("test", test)):
        for name in ("cat", "dog"):
            for i in range(count):
                seed += 1
                folder = root / split / name if test else root / name
                folder.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng(seed)
                shape = (20 + seed, 50 - seed, 3)
                picture = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
                picture.convert(modes[i % 4]).save(folder / f"picture {i}.png")
    return root
