"""Pictures: decoded, brought to a view, and kept beside the registry so that it is done once."""

import contextlib
import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dfgctl.data.folders import Listing, Picture
from dfgctl.data.views import View
from dfgctl.errors import DataCorruptError, DataMissingError, InputError
from dfgctl.processor import cores

SUFFIXES = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
"""How the names of picture files end, in lower case."""

WAITING = 256
"""Pictures that are decoded or in work, and not yet written."""

REPORTED = 256
"""Pictures between two calls of ``Progress``."""

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and of how many."""

T = TypeVar("T")


def read(path: Path, view: View, upright: bool) -> NDArray[np.uint8]:
    """Read a picture: (channels, stored, stored) in 0 to 255.

    It is brought to a square by bilinear interpolation, without keeping its proportions, as the
    paper resizes to 256 x 256. What is transparent becomes black, which is what grey pictures of
    the other data sets are padded with.

    Args:
        path: the file.
        view: how the backbone sees pictures.
        upright: whether the camera's note on which side is up is followed; the published sets
            are used as they lie there, as torchvision does.

    Raises:
        OSError, SyntaxError, ValueError, Image.DecompressionBombError: it cannot be decoded.
    """
    with Image.open(path) as opened:
        opened.load()
        image = ImageOps.exif_transpose(opened) if upright else opened
        image, mode = _plain(image), "L" if view.channels == 1 else "RGB"
        if image.mode != mode:  # converting to the same mode copies, a tenth of the work
            image = image.convert(mode)
        if image.size != (view.stored, view.stored):
            image = image.resize((view.stored, view.stored), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels[None] if view.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def in_folder(place: Path) -> list[Path]:
    """Return the picture files of a folder and its folders, sorted; or the one that is named.

    Raises:
        DataMissingError: there is none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataMissingError(f"There is no folder {place}: name one with pictures.")
    found = sorted(
        p
        for p in place.rglob("*")
        if p.suffix.lower() in SUFFIXES and p.is_file() and not _hidden(p.relative_to(place))
    )
    if not found:
        raise DataMissingError(
            f"There is no picture in {place} (names end in {', '.join(SUFFIXES)}): name a folder "
            "that has some."
        )
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_all(
    files: Sequence[Path], view: View, strict: bool
) -> tuple[list[Path], NDArray[np.uint8], list[Path]]:
    """Read pictures that are no data set.

    Args:
        files: the pictures.
        view: how the backbone sees pictures.
        strict: whether a broken one stops instead of being left out.

    Returns:
        Those that could be read, their pixels (N, channels, stored, stored), and the broken ones.

    Raises:
        DataCorruptError: one is broken, and ``strict`` was asked for.
    """
    good, pixels, broken = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on odd metadata, which do not concern the pixels
        for file in files:
            try:
                pixels.append(read(file, view, upright=True))
                good.append(file)
            except BROKEN as error:
                if strict:
                    raise DataCorruptError(
                        f"{file} cannot be decoded ({error}): mend or delete it, or leave "
                        "--strict out."
                    ) from error
                broken.append(file)
    shape = (0, view.channels, view.stored, view.stored)
    return good, np.stack(pixels) if pixels else np.zeros(shape, np.uint8), broken


def _plain(image: Image.Image) -> Image.Image:
    """Bring a picture to a mode whose conversion to grey or RGB loses nothing but colour."""
    if image.mode.startswith("I"):  # 16 bits, which convert() would clip at 255
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values.clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        visible = image.convert("RGBA")
        black = Image.new("RGBA", visible.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, visible)
    return image


def undecodable(
    root: Path, found: Sequence[Picture], upright: bool, progress: Progress | None = None
) -> list[str]:
    """Return the paths of the pictures that ``read`` cannot read to their end."""
    view = View(channels=3, stored=1, crop=1, padding=0, flip=False)

    def whole(picture: Picture) -> bool:
        try:
            read(root / picture.path, view, upright)
        except BROKEN:
            return False
        return True

    with contextlib.closing(_in_order(whole, found, progress)) as wholes:
        return [p.path for p, is_whole in zip(found, wholes, strict=True) if not is_whole]


def prepare(
    listing: Listing,
    found: Sequence[Picture],
    view: View,
    file: Path,
    upright: bool = False,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Return pictures (N, channels, stored, stored), mapped from a file that is made if need be.

    Args:
        listing: the data set's pictures.
        found: those of them that are wanted, in this order.
        view: how the backbone sees pictures.
        file: the .npy file; its name must tell content and view.
        upright: whether the camera's note on which side is up is followed.
        progress: called as pictures are done.

    Raises:
        DataCorruptError: a picture cannot be decoded.
        InputError: the file cannot be written.
    """
    shape = (len(found), view.channels, view.stored, view.stored)
    if not file.is_file():
        _write(listing, found, view, file, upright, progress)
    mapped: NDArray[np.uint8] = np.load(file, mmap_mode="c")
    assert mapped.shape == shape
    return mapped


def _write(
    listing: Listing,
    found: Sequence[Picture],
    view: View,
    file: Path,
    upright: bool,
    progress: Progress | None,
) -> None:
    def decode(picture: Picture) -> NDArray[np.uint8]:
        path = listing.root / picture.path
        try:
            return read(path, view, upright)
        except BROKEN as error:
            raise DataCorruptError(
                f"{path} is broken: it cannot be decoded ({error}). Put a whole {listing.title} "
                "in its place, or name another folder with --data-dir."
            ) from error

    shape = (len(found), view.channels, view.stored, view.stored)
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        size = int(np.prod(shape, dtype=np.int64))
        free = shutil.disk_usage(file.parent).free
        if free < size:
            raise _full(listing, file, f"it takes {size:,} bytes and {free:,} are free")
        with beside.open("wb") as stream:
            # Plain writes: on a full disk a mapped file would kill the process instead.
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            with contextlib.closing(_in_order(decode, found, progress)) as decoded:
                for pixels in decoded:
                    stream.write(pixels.data)
        beside.replace(file)
    except OSError as error:
        raise _full(listing, file, error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _full(listing: Listing, file: Path, reason: str) -> InputError:
    return InputError(
        f"The decoded pictures of {listing.title} cannot be written to {file} ({reason}): make "
        "room there, or name a registry on another disk with --registry."
    )


def _in_order(
    work: Callable[[Picture], T], found: Sequence[Picture], progress: Progress | None
) -> Generator[T, None, None]:
    """Do something with each picture, several at a time, and yield the results in order.

    Threads serve, as Pillow releases the interpreter's lock while it decodes and resizes. One more
    picture is begun for each that is done, so that no core waits for the others.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")  # on odd metadata, which do not concern the pixels
        begun: deque[Future[T]] = deque()
        try:
            left = iter(found)
            begun.extend(pool.submit(work, picture) for picture in islice(left, WAITING))
            for done in range(1, len(found) + 1):
                yield begun.popleft().result()
                begun.extend(pool.submit(work, picture) for picture in islice(left, 1))
                if progress is not None and (done % REPORTED == 0 or done == len(found)):
                    progress(done, len(found))
        finally:
            for one in begun:
                one.cancel()


BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises when a picture cannot be decoded."""
