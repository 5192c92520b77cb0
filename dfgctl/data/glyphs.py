"""``glyphs``: the digits 0 to 9 drawn with matplotlib's fonts; the source of digits."""

from functools import cache
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from dfgctl import seeding
from dfgctl.data.arrays import ImageArrays

VERSION = "glyphs 1"
"""Names the stream and the way of drawing; part of the data set's digest."""

TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100
CANVAS = 64
"""Glyphs are drawn at twice the final size and scaled down, which smooths their edges."""

FONTS = (
    *(f"DejaVuSans{s}.ttf" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{s}.ttf" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{s}.ttf" for s in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{s}.ttf" for s in ("", "Bol", "Italic", "BolIta")),
    *(f"cm{s}10.ttf" for s in ("b", "r", "ss", "tt", "ti")),
)


def font_folder() -> Path:
    """Return the folder of matplotlib's TrueType fonts."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def made_of() -> bytes:
    """Return all that the pictures depend on: the fonts, and what draws, without drawing them."""
    versions = (VERSION, PIL.__version__, features.version("freetype2"), np.__version__)
    fonts = b"".join((font_folder() / name).read_bytes() for name in FONTS)
    return repr(versions).encode() + fonts


def load() -> ImageArrays:
    """Draw the glyphs: 600 training and 100 test images of each digit, 32x32 grey."""
    rng = seeding.generator(seeding.key(VERSION))
    folder = font_folder()
    per_class = TRAIN_PER_CLASS + TEST_PER_CLASS
    images = np.empty((10, per_class, 1, 32, 32), dtype=np.uint8)
    for digit in range(10):
        for i in range(per_class):
            images[digit, i, 0] = _draw(str(digit), folder, rng)
    labels = np.repeat(np.arange(10, dtype=np.int64)[:, None], per_class, axis=1)
    return ImageArrays(
        train=images[:, :TRAIN_PER_CLASS].reshape(-1, 1, 32, 32),
        train_labels=labels[:, :TRAIN_PER_CLASS].reshape(-1),
        test=images[:, TRAIN_PER_CLASS:].reshape(-1, 1, 32, 32),
        test_labels=labels[:, TRAIN_PER_CLASS:].reshape(-1),
    )


@cache
def _font(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file), size)


def _draw(text: str, folder: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one glyph with random font, scale, stroke, rotation, shift and noise."""
    font_file = folder / FONTS[rng.integers(len(FONTS))]
    font = _font(font_file, int(rng.integers(44, 73)))
    stroke = int(rng.integers(0, 3))
    canvas = Image.new("L", (CANVAS, CANVAS))
    centre = tuple(CANVAS / 2 + rng.uniform(-6, 6, size=2))
    ImageDraw.Draw(canvas).text(
        (float(centre[0]), float(centre[1])), text, 255, font, anchor="mm", stroke_width=stroke
    )
    turned = canvas.rotate(float(rng.uniform(-15, 15)), Image.Resampling.BILINEAR)
    small = np.asarray(turned.resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    noisy = small * rng.uniform(0.7, 1.0) + rng.normal(0, rng.uniform(0, 20), size=small.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)
