"""LeNet-5, split after its first convolution (Table A1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.networks.heads import head
from dfgctl.networks.pooling import max_pool

PAPER_WIDTHS, RELEASED_WIDTHS = (120, 84), (1024, 128)
"""Units of the two hidden dense layers (F09)."""


class LeNet5Extractor(nn.Module):
    """E of LeNet-5 (Table A1): (B, 1, 32, 32) images to (B, 6, 14, 14) features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 5)

    def forward(self, x: Tensor, stop: str = "", resume: str = "") -> Tensor | tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: images, or with ``resume`` the convolution's output.
            stop: name of the convolution whose output is returned instead, in a tuple.
            resume: name of the convolution whose output x is.
        """
        conv = x if resume else self.conv(x)  # (B, 6, 28, 28)
        return (conv,) if stop else F.relu(max_pool(conv))  # (B, 6, 14, 14)


class LeNet5Classifier(nn.Module):
    """C of LeNet-5 (Table A1): (B, 6, 14, 14) features to (B, K) logits.

    Args:
        classes: K.
        widths: units of the hidden dense layers (F09).
        bounded: whether the head sees tanh of the last hidden layer (``difa``).
        cosine: whether the head compares directions alone (``ldam``).
    """

    def __init__(
        self,
        classes: int,
        widths: tuple[int, int] = PAPER_WIDTHS,
        bounded: bool = False,
        cosine: bool = False,
    ) -> None:
        super().__init__()
        self.bounded = bounded
        self.conv = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, widths[0])
        self.fc2 = nn.Linear(widths[0], widths[1])
        self.head = head(widths[1], classes, cosine)

    def forward(
        self,
        x: Tensor,
        maps: bool = False,
        hidden: bool = False,
        stop: str = "",
        resume: str = "",
    ) -> Tensor | tuple[Tensor, ...]:
        """Classify features.

        Args:
            x: features, or with ``resume`` the convolution's output.
            maps: whether to return the compared feature maps behind the logits.
            hidden: whether to return the last hidden layer, (B, widths[1]), behind the logits.
            stop: name of the convolution whose output is returned instead, in a tuple.
            resume: name of the convolution whose output x is.
        """
        conv = x if resume else self.conv(x)  # (B, 16, 10, 10), before the ReLU (F19)
        if stop:
            return (conv,)
        h = F.relu(max_pool(conv)).flatten(1)  # (B, 400)
        h = F.relu(self.fc2(F.relu(self.fc1(h))))
        h = torch.tanh(h) if self.bounded else h
        logits: Tensor = self.head(h)
        if maps:
            return logits, conv
        return (logits, h) if hidden else logits
