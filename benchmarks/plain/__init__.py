"""Each method's training of one run, as plain as a PyTorch tutorial: the yardstick and the oracle.

Ordinary modules, a ``Dataset`` of single images, a ``DataLoader``, ``zero_grad``, ``backward`` and
``step``; one run, one image at a time, no replica axis. Nothing of how dfgctl trains is used: of
dfgctl come the run's description, the choice of its images and the words of its random streams, so
that a loop here has the same losses and weights as dfgctl up to rounding.

Only what the published settings of LeNet-5 need is here, read as the paper has it: no augmentation
(LeNet-5's pictures are not augmented), Adam, rates that stay, a source with as many classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfgctl import seeding
from dfgctl.contenders import SOURCE
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import subset, validation_counts
from dfgctl.errors import InputError
from dfgctl.ledger import readings_of
from dfgctl.records import RunSpec
from dfgctl.settings import TRAINING_SECTIONS, RegSettings
from plain.balanced import PlainBalanced
from plain.cbloss import PlainCbLoss
from plain.decoupled import PlainCrt, PlainSmote
from plain.delta import PlainDelta
from plain.dfg import PlainDfg
from plain.difa import PlainDifa
from plain.finetune import PlainFinetune
from plain.given import Given, PlainMethod
from plain.ldam import PlainLdam
from plain.logitadjust import PlainLogitAdjust
from plain.original import PlainOriginal

METHODS: Mapping[str, Any] = {
    "original": PlainOriginal,
    "finetune": PlainFinetune,
    "delta": PlainDelta,
    "difa": PlainDifa,
    "dfg": PlainDfg,
    "balanced": PlainBalanced,
    "cbloss": PlainCbLoss,
    "logitadjust": PlainLogitAdjust,
    "ldam": PlainLdam,
    "crt": PlainCrt,
    "smote": PlainSmote,
}

FROM_SOURCE = ("finetune", "delta", "difa", "dfg")
"""The methods that always start from a source network; rivals do where ``init`` says so."""


def make(
    spec: RunSpec,
    class_counts: Sequence[int],
    data: ImageArrays,
    source: Mapping[str, Tensor] | None,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    workers: int = 0,
    steps: Iterable[int] | None = None,
) -> PlainMethod:
    """Make the plain training of a run.

    Args:
        spec: the run.
        class_counts: images of each class that it keeps.
        data: the target data set.
        source: the source network's weights (``E.conv.weight``, ...), of as many classes.
        device: where to train; the CPU by default.
        dtype: the type of weights and activations.
        workers: processes that load images (``DataLoader``'s ``num_workers``).
        steps: the steps in the order in which they will be trained; from 1 on by default.

    Raises:
        InputError: the run is none that the plain loops train.
    """
    values = dict(spec.settings[spec.method])
    settings = TRAINING_SECTIONS[spec.method].model_validate({**values, "steps": spec.steps})
    _check(spec, class_counts, values, source)
    key = seeding.run_key(spec.seed, spec.combination)
    held_out = validation_counts(class_counts, spec.validation)
    given = Given(
        pixels=data.train,
        labels=data.train_labels,
        subset=subset(data.train_labels, class_counts, held_out, key)[0].astype(np.int64),
        key=key,
        classes=len(class_counts),
        batch_size=settings.batch_size,
        source=source or {},
        device=device or torch.device("cpu"),
        dtype=dtype,
        workers=workers,
        steps=count(1) if steps is None else steps,
    )
    sections = [settings]
    if "reg" in spec.settings:
        sections.append(RegSettings.model_validate(spec.settings["reg"]))
    made: PlainMethod = METHODS[spec.method](given, *sections)
    return made


def _check(
    spec: RunSpec,
    class_counts: Sequence[int],
    values: Mapping[str, Any],
    source: Mapping[str, Tensor] | None,
) -> None:
    """Refuse a run that would be trained in another way than it says."""
    name = spec.method
    if spec.backbone != "lenet5":
        raise InputError(
            f"The plain loops train lenet5, not {spec.backbone}: name a data set of lenet5's."
        )
    if readings_of(spec).released:
        raise InputError("The plain loops read the paper as it is: leave the ledger's switches.")
    if values.get("optimizer", "adam") != "adam":
        raise InputError(f"The plain loops go down by Adam: leave {name}.optimizer as it is.")
    if values.get("lr_decay_step", 0):
        raise InputError(f"The plain loops keep their rates: leave {name}.lr_decay_step at 0.")
    from_source = name in FROM_SOURCE or values.get("init") == SOURCE
    if from_source and (source is None or len(source["C.head.bias"]) != len(class_counts)):
        raise InputError(f"{name} needs a source network of {len(class_counts)} classes: give one.")
