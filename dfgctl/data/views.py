"""How pictures enter a backbone (appendix A)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """How a backbone sees the pictures of any data set.

    Attributes:
        channels: 1 for grey, 3 for RGB.
        stored: height and width of the pictures as they are loaded.
        crop: height and width of what the network sees.
        padding: zero pixels on each side before a random crop.
        flip: whether training pictures are mirrored at random.
    """

    channels: int
    stored: int
    crop: int
    padding: int
    flip: bool


VIEWS = {
    "lenet5": View(channels=1, stored=32, crop=32, padding=0, flip=False),
    "vgg16": View(channels=3, stored=32, crop=32, padding=4, flip=True),
    "resnet50": View(channels=3, stored=256, crop=224, padding=0, flip=True),
}
"""Each backbone's view."""
