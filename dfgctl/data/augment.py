"""What happens to pictures on their way into a network: random crops and flips, or none."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfgctl.data.views import View
from dfgctl.draws import Stream


def is_random(view: View) -> bool:
    """Say whether a view changes training pictures at random."""
    return view.flip or view.padding > 0 or view.crop < view.stored


def randomly(pixels: Tensor, view: View, stream: Stream, step: int | Tensor) -> Tensor:
    """Crop and flip training pictures at random (appendix A).

    Args:
        pixels: (R, B, C, H, W).
        view: its padding, crop and flip.
        stream: the runs' stream of augmentations.
        step: where in the stream; see ``Stream.words``.

    Returns:
        (R, B, C, crop, crop), of the same type.
    """
    if not is_random(view):
        return pixels
    replicas, count, channels = pixels.shape[:3]
    padded = F.pad(pixels, (view.padding,) * 4)
    room = padded.shape[-1] - view.crop + 1
    draws = stream.integers(step, (count, 3), 2**62)
    offset = draws[..., :2] % room  # (R, B, 2)
    along = torch.arange(view.crop, device=pixels.device)
    rows = (offset[..., 0, None] + along).flatten(0, 1)  # (R B, crop)
    flipped = draws[..., 2, None] % 2 == (1 if view.flip else 2)
    mirrored = torch.where(flipped, view.crop - 1 - along, along)
    columns = (offset[..., 1, None] + mirrored).flatten(0, 1)
    n = torch.arange(replicas * count, device=pixels.device)
    c = torch.arange(channels, device=pixels.device)
    cropped = padded.flatten(0, 1)[
        n[:, None, None, None], c[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
    return cropped.view(replicas, count, channels, view.crop, view.crop)


def centred(pixels: Tensor, view: View) -> Tensor:
    """Return the centre of pictures (..., H, W) that are larger than what the network is given."""
    edge = (pixels.shape[-1] - view.crop) // 2
    return pixels[..., edge : edge + view.crop, edge : edge + view.crop] if edge > 0 else pixels
