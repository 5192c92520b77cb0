"""Uses what was trained: a run's classifier on pictures, and as a file for other programs."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from dfgctl.data.augment import centred
from dfgctl.data.catalog import DATASETS
from dfgctl.data.files import IdxFiles
from dfgctl.data.sources import PADDING
from dfgctl.data.views import VIEWS, View
from dfgctl.errors import InputError
from dfgctl.ledger import Readings, readings_of
from dfgctl.lookup import backbone_of, method_of
from dfgctl.networks.backbones import backbone
from dfgctl.networks.weights import read, write
from dfgctl.numerics import numerics
from dfgctl.records import Run

FORMAT = "dfgctl classifier 1"
"""Names the way in which a classifier is written."""


@dataclass(frozen=True)
class ClassifierCard:
    """What must be known to use a classifier.

    Attributes:
        run: the run's id.
        dataset: the data set that it was trained on.
        method: the method.
        backbone: the network.
        split: where it is split into E and C.
        bounded: whether the head sees tanh of the last hidden layer.
        released: the ledger's switches that change the network and are read as released.
        classes: the classes' names, in the order of the probabilities.
        channels: 1 for grey pictures, 3 for RGB.
        resize: pictures are brought to this height and width by bilinear interpolation,
        pad: then get this many black pixels on each side,
        crop: then their centre of this height and width is taken.
        cosine: whether the head compares directions alone; files of older dfgctls do not say.
    """

    run: str
    dataset: str
    method: str
    backbone: str
    split: str
    bounded: bool
    released: tuple[str, ...]
    classes: tuple[str, ...]
    channels: int
    resize: int
    pad: int
    crop: int
    cosine: bool = False

    def view(self) -> View:
        """Return how pictures are read, before they are padded and cropped."""
        return View(self.channels, self.resize, self.crop, 0, False)


class Classifier(nn.Module):
    """A trained E and C: pictures to class probabilities.

    Args:
        card: what must be known of it.
        state: its weights (``E.conv.weight``, ...).
    """

    def __init__(self, card: ClassifierCard, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        network = backbone(
            card.backbone,
            card.split,
            Readings(frozenset(card.released)),
            card.bounded,
            card.cosine,
        )
        self.card = card
        self.E, self.C = network.extractor(), network.classifier(len(card.classes))
        self.load_state_dict(dict(state))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the probabilities (N, K) of pictures (N, channels, crop, crop) in 0 to 255."""
        logits: Tensor = self.C(self.E(pixels / 127.5 - 1))
        return logits.softmax(1)

    @torch.no_grad()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Return the probabilities (N, K) of pictures (N, channels, resize, resize) as uint8."""
        padded = nn.functional.pad(pixels, (self.card.pad,) * 4)
        shown = centred(
            padded, View(self.card.channels, padded.shape[-1], self.card.crop, 0, False)
        )
        with numerics(pixels.device):
            result: Tensor = self(shown.to(torch.float32))
        return result


def state_of(run: Run, weights: Path) -> dict[str, Tensor]:
    """Read all that a run's file of weights holds.

    Raises:
        InputError: it is not there, or broken.
    """
    if not weights.is_file():
        raise InputError(
            f"The weights of run {run.id[:10]} are not at {weights}: train it once more with "
            "--force."
        )
    try:
        return read(weights)
    except InputError as error:
        raise InputError(
            f"The weights of run {run.id[:10]} in {weights} are damaged: train it once more with "
            "--force, or copy the file from a backup."
        ) from error


def of_run(run: Run, weights: Path, classes: tuple[str, ...]) -> Classifier:
    """Return a finished run's classifier.

    Args:
        run: the run.
        weights: the file of its newest finished attempt.
        classes: the classes' names.

    Raises:
        InputError: its weights are not there, or broken.
    """
    state = {n: t for n, t in state_of(run, weights).items() if n.startswith(("E.", "C."))}
    spec = run.spec
    network, readings, method = backbone_of(spec), readings_of(spec), method_of(spec)
    view = VIEWS[spec.backbone]
    info = DATASETS.get(spec.dataset)
    pad = PADDING if info is not None and isinstance(info.files, IdxFiles) else 0
    uncropped = "F29" in readings
    card = ClassifierCard(
        run=run.id,
        dataset=spec.dataset,
        method=spec.method,
        backbone=spec.backbone,
        split=network.split,
        bounded=method.bounded,
        released=tuple(sorted(readings.released)),
        classes=classes,
        channels=view.channels,
        resize=view.stored - 2 * pad,
        pad=pad,
        crop=view.stored if uncropped else view.crop,
        cosine=method.cosine,
    )
    try:
        return Classifier(card, state)
    except RuntimeError as error:
        raise InputError(
            f"Run {run.id[:10]} has networks of its own, not those of {spec.backbone}: use them by "
            "your own code."
        ) from error


def load(file: Path) -> Classifier:
    """Read a classifier that ``save`` wrote.

    Raises:
        InputError: it is none.
    """
    state = read(file)
    try:
        with safe_open(file, "pt") as opened:
            content = json.loads((opened.metadata() or {})["dfgctl"])
        if content["format"] != FORMAT:
            raise InputError(
                f"{file} is a '{content['format']}', which this dfgctl does not know: upgrade it."
            )
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in content["card"].items()
        }
        return Classifier(ClassifierCard(**fields), state)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{file} is no classifier that dfgctl export wrote: name one, or a run's id."
        ) from error


def description(classifier: Classifier) -> dict[str, Any]:
    """Return what other programs must know, as plain data."""
    card = asdict(classifier.card)
    return {
        "format": FORMAT,
        "classes": card.pop("classes"),
        "preprocessing": {
            "mode": "L" if card["channels"] == 1 else "RGB",
            "resize": card.pop("resize"),
            "interpolation": "bilinear",
            "pad": card.pop("pad"),
            "centre_crop": card.pop("crop"),
            "scale": "pixel / 127.5 - 1",
        },
        **card,
    }


def save(classifier: Classifier, file: Path) -> None:
    """Write a classifier as safetensors; its card is in the file, too.

    Raises:
        OSError: it cannot be written.
    """
    # A dropout's stream only serves training.
    state = {n: t.contiguous() for n, t in classifier.state_dict().items()}
    metadata = {
        "format": "pt",
        "dfgctl": json.dumps({"format": FORMAT, "card": asdict(classifier.card)}),
    }
    write(file, state, metadata)


def save_onnx(classifier: Classifier, file: Path) -> None:
    """Write a classifier as ONNX: ``images`` (N, channels, crop, crop) in 0 to 255, float32, to
    ``probabilities`` (N, K).

    Raises:
        InputError: the packages of the extra ``onnx`` are not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"Writing ONNX needs {error.name}: install dfgctl with pip install 'dfgctl[onnx]'."
        ) from error
    card = classifier.card
    example = torch.zeros(2, card.channels, card.crop, card.crop)
    beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    torch.onnx.export(
        classifier,
        (example,),
        beside,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("pictures")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    beside.replace(file)
