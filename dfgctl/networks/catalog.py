"""What the backbones are, as data that planning can read without torch.

The numbers of parameters are checked against the networks themselves by a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SplitInfo:
    """G and D of a split.

    Attributes:
        generator_body: parameters of G less those that see the classes.
        discriminator: parameters of D.
        output: shape of E's output, channels, height and width.
    """

    generator_body: int
    discriminator: int
    output: tuple[int, int, int]


@dataclass(frozen=True)
class BackboneInfo:
    """A backbone: its input and how many parameters each part has.

    Attributes:
        name: the name in recipes.
        title: the name in the paper.
        body: parameters without the last dense layer.
        head_inputs: inputs of the last dense layer.
        generator_units: units of G's dense layer; each has one weight a class and a noise number.
        noise: noise numbers that ``generator_body`` is counted with, the paper's.
        splits: where it can be split, the paper's own split first.
        pack: runs that ``--pack auto`` trains together on a GPU at the most, where its memory holds
            them: many small networks leave it idle, large ones fill it.
    """

    name: str
    title: str
    body: int
    head_inputs: int
    generator_units: int
    noise: int
    splits: Mapping[str, SplitInfo]
    pack: int

    def classifier_parameters(self, classes: int) -> int:
        """Parameters of E and C together."""
        return self.body + (self.head_inputs + 1) * classes

    def generator_parameters(self, classes: int, split: str = "") -> int:
        """Parameters of G."""
        return self._split(split).generator_body + self.generator_units * classes

    def dfg_parameters(self, classes: int, split: str = "") -> int:
        """Parameters of E, C, G and D together (the first column of Table 4)."""
        discriminator = self._split(split).discriminator
        generator = self.generator_parameters(classes, split)
        return self.classifier_parameters(classes) + generator + discriminator

    def _split(self, split: str) -> SplitInfo:
        return self.splits[split or next(iter(self.splits))]


BACKBONES = {
    "lenet5": BackboneInfo(
        name="lenet5",
        title="LeNet-5",
        body=60_856,
        head_inputs=84,
        generator_units=2048,
        noise=100,
        splits={"block1": SplitInfo(272_708, 261_313, (6, 14, 14))},
        pack=45,
    ),
    "vgg16": BackboneInfo(
        name="vgg16",
        title="VGG-16",
        body=119_576_896,
        head_inputs=512,
        generator_units=2048,
        noise=100,
        splits={"block1": SplitInfo(932_608, 307_713, (64, 16, 16))},
        pack=4,
    ),
    "resnet50": BackboneInfo(
        name="resnet50",
        title="ResNet-50",
        body=23_508_032,
        head_inputs=2048,
        generator_units=8192,
        noise=4900,
        splits={
            "block1": SplitInfo(46_983_680, 467_073, (256, 56, 56)),
            "block2": SplitInfo(49_605_632, 667_649, (512, 28, 28)),
            "block3": SplitInfo(52_752_384, 1_075_713, (1024, 14, 14)),
            "block4": SplitInfo(63_764_480, 1_894_529, (2048, 7, 7)),
        },
        pack=1,
    ),
}
