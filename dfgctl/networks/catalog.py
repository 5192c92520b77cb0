"""What the backbones are, as data that planning can read without torch.

The numbers of parameters are checked against the networks themselves by a test.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class BackboneInfo:
    """A backbone: its input and how many parameters each part has.

    Attributes:
        name: the name in recipes.
        title: the name in the paper.
        body: parameters without the last dense layer.
        head_inputs: inputs of the last dense layer.
        generator_body: parameters of G less those that see the classes.
        generator_units: units of G's dense layer; each has one weight a class.
        discriminator: parameters of D.
    """

    name: str
    title: str
    body: int
    head_inputs: int
    generator_body: int
    generator_units: int
    discriminator: int

    def classifier_parameters(self, classes: int) -> int:
        """Parameters of E and C together."""
        return self.body + (self.head_inputs + 1) * classes

    def dfg_parameters(self, classes: int) -> int:
        """Parameters of E, C, G and D together (the first column of Table 4)."""
        generator = self.generator_body + self.generator_units * classes
        return self.classifier_parameters(classes) + generator + self.discriminator


BACKBONES = {
    "lenet5": BackboneInfo(
        name="lenet5",
        title="LeNet-5",
        body=60_856,
        head_inputs=84,
        generator_body=272_708,
        generator_units=2048,
        discriminator=261_313,
    ),
}
