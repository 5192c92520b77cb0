"""What happens to pictures on their way into a network: random crops and flips, or none."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfgctl.data.views import View
from dfgctl.draws import Stream


def is_random(view: View) -> bool:
    """Say whether a view changes training pictures at random."""
    return view.flip or view.padding > 0 or view.crop < view.stored


def crops(
    view: View, stream: Stream, step: int | Tensor, count: int, room: int
) -> tuple[Tensor, Tensor]:
    """Draw where training pictures are cropped, and which are mirrored.

    Args:
        view: whether it mirrors any.
        stream: the runs' stream of augmentations.
        step: where in the stream.
        count: B, pictures of a replica.
        room: rows, and columns, that a crop can begin at.

    Returns:
        The crops' upper row and left column (R, B, 2), and whether they are mirrored (R, B).
    """
    draws = stream.integers(step, (count, 3), 2**62)
    return draws[..., :2] % room, draws[..., 2] % 2 == (1 if view.flip else 2)


def randomly(pixels: Tensor, view: View, stream: Stream, step: int | Tensor) -> Tensor:
    """Crop and flip training pictures at random (appendix A).

    All pictures of a pack are changed by one gather, each by numbers of its own. (torchvision's
    transforms draw one crop for all that they are given, and from the global generator.)

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
    offset, mirror = crops(view, stream, step, count, room)  # (R, B, 2), (R, B)
    along = torch.arange(view.crop, device=pixels.device)
    rows = (offset[..., 0, None] + along).flatten(0, 1)  # (R B, crop)
    across = torch.where(mirror[..., None], view.crop - 1 - along, along)
    columns = (offset[..., 1, None] + across).flatten(0, 1)
    n = torch.arange(replicas * count, device=pixels.device)
    c = torch.arange(channels, device=pixels.device)
    cropped = padded.flatten(0, 1)[
        n[:, None, None, None], c[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
    return cropped.view(replicas, count, channels, view.crop, view.crop)


def mirrored(pixels: Tensor, which: Tensor) -> Tensor:
    """Mirror those of the pictures (R, B, C, H, W) that ``which`` (R, B) tells."""
    return torch.where(which[..., None, None, None], pixels.flip(-1), pixels)


def centred(pixels: Tensor, view: View) -> Tensor:
    """Return the centre of pictures (..., H, W) that are larger than what the network is given."""
    edge = (pixels.shape[-1] - view.crop) // 2
    return pixels[..., edge : edge + view.crop, edge : edge + view.crop] if edge > 0 else pixels
