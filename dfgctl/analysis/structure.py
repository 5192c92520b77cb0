"""What the four networks of DFG are made of (Fig. 1), seen by sending a tensor through them.

The tensors have shapes but no numbers, so that even large networks take neither time nor memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dfgctl.data.catalog import DATASETS
from dfgctl.data.views import VIEWS
from dfgctl.errors import InputError
from dfgctl.networks.backbones import backbone
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.generator import generator
from dfgctl.networks.outline import Line, Outline, Structure
from dfgctl.recipe import Recipe

TITLES = {
    "E": "feature extractor",
    "C": "feature classifier",
    "G": "feature generator",
    "D": "feature discriminator",
}

ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "lReLU",
    "tanh": "tanh",
    # Eq. 9: the filter weights meet the last layer's maps.
    "mul": "W*",
}

STAGE = "layer"
"""How torchvision's names of residual blocks start."""


def structure(recipe: Recipe, split: str = "") -> Structure:
    """Return the four networks that a recipe trains, with the paper's readings.

    Args:
        recipe: the recipe of a published data set.
        split: where the classification network is split; empty for the recipe's own place.

    Raises:
        InputError: the network cannot be split there, or the data set is one's own.
    """
    if recipe.name not in DATASETS:
        raise InputError(
            f"How many classes {recipe.name} has is not known without its pictures: name a recipe "
            "that dfgctl recipe list shows."
        )
    info, whole = DATASETS[recipe.name], backbone(recipe.backbone, split)
    noise, classes, view = recipe.dfg.noise, info.class_count, VIEWS[recipe.backbone]
    with torch.device("meta"):
        made = {
            "G": generator(whole.name, whole.split, noise, classes),
            "D": discriminator(whole.name, whole.split),
            "E": whole.extractor(),
            "C": whole.classifier(classes),
        }
        image = torch.empty(1, view.channels, view.crop, view.crop)
        features = torch.empty(1, *BACKBONES[whole.name].splits[whole.split].output)
        drawn = torch.empty(1, noise), torch.empty(1, classes)
        weights = torch.empty(1, features.shape[1])
    inputs = {"G": (*drawn, weights), "D": (features,), "E": (image,), "C": (features,)}
    shapes = {"G": (noise + classes,)}
    return Structure(
        dataset=recipe.name,
        title=info.title,
        backbone=BACKBONES[whole.name].title,
        split=whole.split,
        classes=classes,
        noise=noise,
        networks={
            letter: Outline(
                letter,
                TITLES[letter],
                shapes.get(letter) or tuple(inputs[letter][0].shape[1:]),
                lines_of(network, *inputs[letter]),
            )
            for letter, network in made.items()
        },
    )


def lines_of(network: nn.Module, *inputs: Tensor) -> list[Line]:
    """Return a network's layers in the order in which a tensor meets them.

    Each residual block of ResNet-50 is one line, and so are equal layers in a row.

    Args:
        network: the network, in any mode.
        inputs: what it is called with.
    """
    watch = _Watch({id(p): name for name, p in network.named_parameters()})
    training = network.training
    network.eval()
    with watch, torch.no_grad():
        network(*inputs)
    network.train(training)
    return _together([line.finished() for line in watch.lines])


@dataclass
class _Open:
    """A line that is still being written."""

    what: str
    shape: tuple[int, ...]
    parameters: int
    stage: str = ""
    members: set[str] = field(default_factory=set)
    activations: list[str] = field(default_factory=list)

    def finished(self) -> Line:
        """Return the line as it is read."""
        what = self.what
        if self.stage:
            number = self.stage.removeprefix(STAGE)
            what = f"residual block {number} ({len(self.members)} bottlenecks)"
        return Line(what, " · ".join(self.activations), self.shape, self.parameters)


class _Watch(TorchFunctionMode):
    """Writes down which layers a tensor meets: each call of torch's own functions passes here."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self.names = names
        self.lines: list[_Open] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if not isinstance(output, Tensor):
            return output
        shape = tuple(output.shape[1:])
        if name in LAYERS:
            own = [p for p in (*args, *kwargs.values()) if id(p) in self.names]
            self._layer(LAYERS[name](args, kwargs), shape, own)
        elif name in ACTIVATIONS:
            self._activation(ACTIVATIONS[name], shape)
        elif name == "unflatten":
            for line in self.lines:  # the dense layer's output is read as feature maps
                line.shape = shape
        return output

    def _layer(self, what: str, shape: tuple[int, ...], own: Sequence[Tensor]) -> None:
        count = sum(p.numel() for p in own)
        path = self.names[id(own[0])].split(".") if own else [""]
        stage = path[0] if path[0].startswith(STAGE) else ""
        if stage and self.lines and self.lines[-1].stage == stage:
            line = self.lines[-1]
            line.parameters += count
            line.shape = shape
        else:
            line = _Open(what, shape, count, stage)
            self.lines.append(line)
        if stage:
            line.members.add(path[1])
            line.activations = ["ReLU"]

    def _activation(self, name: str, shape: tuple[int, ...]) -> None:
        line = self.lines[-1]
        if not line.stage and line.shape == shape:
            line.activations.append(name)


def _convolution(kind: str) -> Callable[[Sequence[Any], dict[str, Any]], str]:
    def describe(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        kernel = tuple(args[1].shape[2:])
        stride = args[3][0] if len(args) > 3 else 1
        return f"{kind} {kernel[0]}×{kernel[1]}" + (f", stride {stride}" if stride > 1 else "")

    return describe


def _max_pool(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    size, stride = args[1], kwargs.get("stride")
    return f"max pool {size}×{size}" + (f", stride {stride}" if stride not in (None, size) else "")


LAYERS: dict[str, Callable[[Sequence[Any], dict[str, Any]], str]] = {
    "conv2d": _convolution("conv"),
    "conv_transpose2d": _convolution("transposed conv"),
    "linear": lambda args, kwargs: "dense",
    "batch_norm": lambda args, kwargs: "batch norm",
    "max_pool2d": _max_pool,
    "adaptive_avg_pool2d": lambda args, kwargs: "average pool",
}
"""Torch's functions that are layers, and how each is described."""


def _together(lines: Sequence[Line]) -> list[Line]:
    """Put equal layers in a row together."""
    found: list[Line] = []
    for line in lines:
        last = found[-1] if found else None
        same = last and (last.what, last.activation, last.shape) == (
            line.what,
            line.activation,
            line.shape,
        )
        if last and same:
            total = last.parameters + line.parameters
            found[-1] = replace(last, parameters=total, count=last.count + 1)
        else:
            found.append(line)
    return found
