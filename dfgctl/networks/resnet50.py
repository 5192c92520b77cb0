"""ResNet-50, split after one of its four blocks (Table A5; Table 3 for the other splits)."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from dfgctl.networks.heads import head

BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
"""The residual blocks by torchvision's names, and their bottlenecks."""


def layers_of(split: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return E's and C's residual blocks of a split ``block1`` to ``block4``."""
    names, cut = tuple(BLOCKS), int(split.removeprefix("block"))
    return names[:cut], names[cut:]


def last_conv(layer: str) -> str:
    """Return the name of a residual block's last convolution."""
    return f"{layer}.{BLOCKS[layer] - 1}.conv3"


def _until_conv3(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Send x through a residual block up to its last convolution's own output.

    Returns:
        That output, and what the block adds to it.
    """
    *first, last = layer.children()
    for bottleneck in first:
        x = bottleneck(x)
    block = cast(Any, last)
    h = block.relu(block.bn1(block.conv1(x)))
    h = block.relu(block.bn2(block.conv2(h)))
    return block.conv3(h), x if block.downsample is None else block.downsample(x)


def _after_conv3(layer: nn.Module, conv3: Tensor, identity: Tensor) -> Tensor:
    """Finish a residual block."""
    *_, last = layer.children()
    return torch.relu(cast(Any, last).bn3(conv3) + identity)


class Blocks(nn.Module):
    """Residual blocks in a row, which tell what their last convolutions give.

    Args:
        names: torchvision's names of the blocks.
        whole: the network that has them.
    """

    def __init__(self, names: tuple[str, ...], whole: nn.Module) -> None:
        super().__init__()
        self.names = names
        for name in names:
            self.add_module(name, whole.get_submodule(name))

    def through(
        self, h: Tensor, identity: Tensor | None, stop: str, resume: str
    ) -> tuple[Tensor, list[Tensor]]:
        """Send h through the blocks.

        Args:
            h: what enters, or with ``resume`` a last convolution's output.
            identity: with ``resume``, what that block adds.
            stop: name of the convolution at which to stop.
            resume: name of the convolution whose output h is.

        Returns:
            The output and the last convolutions' outputs; with ``stop``, that convolution's output
            and what its block adds.
        """
        convs: list[Tensor] = []
        start = self.names.index(resume.partition(".")[0]) if resume else 0
        for name in self.names[start:]:
            layer = self.get_submodule(name)
            if identity is None:
                conv3, identity = _until_conv3(layer, h)
            else:
                conv3 = h
            if stop == last_conv(name):
                return conv3, [identity]
            h = _after_conv3(layer, conv3, identity)
            convs.append(conv3)
            identity = None
        return h, convs


class ResNet50Extractor(Blocks):
    """E of ResNet-50: (B, 3, 224, 224) images to (B, 256, 56, 56) features at ``block1``.

    Args:
        split: the last residual block that belongs to E, ``block1`` to ``block4``.
    """

    def __init__(self, split: str = "block1") -> None:
        whole = _whole()
        super().__init__(layers_of(split)[0], whole)
        self.conv1, self.bn1 = whole.conv1, whole.bn1
        self.relu, self.maxpool = whole.relu, whole.maxpool

    def forward(
        self,
        x: Tensor,
        identity: Tensor | None = None,
        maps: bool = False,
        stop: str = "",
        resume: str = "",
    ) -> Tensor | tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: images, or with ``resume`` a convolution's output.
            identity: with ``resume``, what that convolution's block adds.
            maps: whether to return each block's last convolution's own output behind the features.
            stop: name of the convolution whose output and block's addition are returned instead.
            resume: name of the convolution whose output x is.
        """
        h = x if resume else self.maxpool(self.relu(self.bn1(self.conv1(x))))
        h, convs = self.through(h, identity, stop, resume)
        if stop:
            return h, *convs
        return (h, *convs) if maps else h


class ResNet50Classifier(Blocks):
    """C of ResNet-50: (B, 256, 56, 56) features at ``block1`` to (B, K) logits.

    Args:
        classes: K.
        split: the last residual block that belongs to E.
        bounded: whether the head sees tanh of the last hidden layer (``difa``).
        cosine: whether the head compares directions alone (``ldam``).
    """

    def __init__(
        self, classes: int, split: str = "block1", bounded: bool = False, cosine: bool = False
    ) -> None:
        whole = _whole()
        super().__init__(layers_of(split)[1], whole)
        self.bounded = bounded
        self.avgpool = whole.avgpool
        self.fc = head(2048, classes, cosine)

    def forward(
        self,
        x: Tensor,
        identity: Tensor | None = None,
        maps: bool = False,
        hidden: bool = False,
        stop: str = "",
        resume: str = "",
    ) -> Tensor | tuple[Tensor, ...]:
        """Classify features.

        Args:
            x: features, or with ``resume`` a convolution's output.
            identity: with ``resume``, what that convolution's block adds.
            maps: whether to return each block's last convolution's own output (F19) behind the
                logits.
            hidden: whether to return the last hidden layer, (B, 2048), behind the logits.
            stop: name of the convolution whose output and block's addition are returned instead.
            resume: name of the convolution whose output x is.
        """
        h, convs = self.through(x, identity, stop, resume)
        if stop:
            return h, *convs
        h = self.avgpool(h).flatten(1)
        h = torch.tanh(h) if self.bounded else h
        logits: Tensor = self.fc(h)
        if maps:
            return logits, *convs
        return (logits, h) if hidden else logits


def _whole() -> Any:
    """Return torchvision's ResNet-50 with random weights."""
    from torchvision.models import resnet50  # late: it takes a second, which other networks save

    return resnet50(weights=None)
