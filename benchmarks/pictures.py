"""How quickly pictures are decoded and read: python benchmarks/pictures.py [--help].

Makes random JPEG pictures in a temporary folder, and measures

- decoding: pictures/s of the first use of a data set, which prepares all its pictures;
- reading: pictures/s and GB/s at which batches of prepared pictures come to the device, cropped as
  ResNet-50 is trained, from the host's memory, read ahead and not;
- waiting: the share of the time that the device waits for pictures, at the pictures/s that a
  network trains on it (--need, as `dfgctl bench` measured it): a pause stands for each step. The
  machine keeps up if that is less than 5 %.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dfgctl import provenance, seeding
from dfgctl.data.ahead import DRAWS_PER_STEP, Ahead
from dfgctl.data.batches import Batches, Images
from dfgctl.data.folders import Listing, Picture
from dfgctl.data.pictures import prepare
from dfgctl.data.views import VIEWS
from dfgctl.processor import cores

VIEW = VIEWS["resnet50"]

ENOUGH = 5.0
"""Percent of the time that may be waited for pictures before a machine does not keep up."""


def make(folder: Path, count: int, width: int, height: int) -> Listing:
    """Write JPEG pictures: smooth colours, and noise that makes files as large as photographs'."""
    chance = np.random.default_rng(0)
    found = []
    for i in range(count):
        colours = chance.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        smooth = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
        noise = chance.integers(-12, 13, (height, width, 3))
        file = folder / f"{i:06}.jpg"
        noisy = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(file, quality=90)
        found.append(Picture(file.name, 0, file.stat().st_size, 0))
    return Listing("random pictures", folder, ("all",), tuple(found), ())


def decoding(listing: Listing, file: Path) -> dict[str, object]:
    """Time the preparation of all pictures."""
    start = time.perf_counter()
    prepare(listing, listing.train, VIEW, file)
    rate = len(listing.train) / (time.perf_counter() - start)
    return {
        "what": "decoding",
        "pictures/s": round(rate),
        "pictures/s a core": round(rate / cores()),
        "KB a picture": round(sum(p.size for p in listing.train) / len(listing.train) / 1000),
    }


def forget(file: Path) -> None:
    """Drop a file from the system's file cache, so that it is read from the disk again."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reading(
    listing: Listing, file: Path, ahead: bool, pause: float, given: argparse.Namespace
) -> dict[str, object]:
    """Time steps that each draw one batch and then pause."""
    device = torch.device(given.device)
    if given.cold:
        forget(file)
    mapped = torch.from_numpy(prepare(listing, listing.train, VIEW, file))
    labels = torch.zeros(len(mapped), dtype=torch.int64, device=device)
    images = Images(mapped, labels, Ahead(device))
    assert images.ahead is not None
    if not ahead:
        images.close()
    keys = (seeding.run_key(0, ()),)
    batches = Batches(images, [np.arange(len(mapped))], keys, given.batch, torch.float32, view=VIEW)
    source = batches._source(balanced=False)
    for step in range(3):
        images.ahead.draw(source, step * DRAWS_PER_STEP)
    synchronise(device)
    before, start = images.waited, time.perf_counter()
    for step in range(3, 3 + given.steps):
        images.ahead.draw(source, step * DRAWS_PER_STEP)
        time.sleep(pause)
    synchronise(device)
    seconds = time.perf_counter() - start
    waited = images.waited - before
    images.close()
    rate = given.steps * given.batch / seconds
    return {
        "what": f"reading{' ahead' if ahead else ', not ahead'}{', with pauses' if pause else ''}",
        "pictures/s": round(rate),
        "MB/s": round(rate * VIEW.channels * VIEW.crop**2 / 1e6),
        "% of the time waited": round(100 * waited / seconds, 1),
    }


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    add("--pictures", type=int, default=1000, help="how many [1000]")
    add("--width", type=int, default=500, help="of a picture, in pixels [500]")
    add("--height", type=int, default=375, help="likewise [375]")
    add("--batch", type=int, default=64, help="pictures of a step [64]")
    add("--steps", type=int, default=100, help="steps that are timed [100]")
    add("--need", type=float, help="pictures/s that a network trains")
    add("--cold", action="store_true", help="read prepared pictures from the disk")
    add("--device", choices=("cpu", "cuda"), default=auto, help=f"[{auto}]")
    add("--folder", type=Path, help="where the temporary folder is made")
    add("--json", action="store_true")
    given = parser.parse_args(words)
    for name in ("pictures", "width", "height", "batch", "steps"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if given.need is not None and not 0 < given.need < float("inf"):
        parser.error("--need must be more than 0")
    if given.device == "cuda" and auto == "cpu":
        parser.error("there is no CUDA device here")
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    return given


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print lines or JSON."""
    given = arguments(words)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        listing = make(folder, given.pictures, given.width, given.height)
        file = folder / "prepared.npy"
        lines = [decoding(listing, file)]
        pauses = [0.0] + ([given.batch / given.need] if given.need else [])
        for pause in pauses:
            lines += [reading(listing, file, ahead, pause, given) for ahead in (False, True)]
    waited = float(str(lines[-1]["% of the time waited"]))
    keeps_up = waited < ENOUGH if given.need else None
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_with": provenance.collect(),
        "command": sys.argv,
        "cores": cores(),
        "device": given.device,
        "need": given.need,
        "cold": given.cold,
    }
    if given.json:
        print(json.dumps({**about, "lines": lines, "keeps_up": keeps_up}, indent=2))
        return
    print(f"{cores()} cores, {given.device}" + (", from the disk" if given.cold else ""))
    for line in lines:
        what, rate, *_ = line.values()
        others = ", ".join(f"{value} {name}" for name, value in list(line.items())[2:])
        print(f"{what + ':':32}{rate:>8,} pictures/s, {others}")
    if keeps_up is not None:
        verdict = "keeps up" if keeps_up else "does not keep up"
        print(
            f"At {given.need:,.0f} pictures/s the network waits {waited} % of the time for "
            f"pictures: this machine {verdict}."
        )


if __name__ == "__main__":
    main()
