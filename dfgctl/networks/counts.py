"""How many parameters a run trains, as planning and tables can tell without torch.

The numbers are checked against the networks themselves by a test.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dfgctl.ledger import readings_of
from dfgctl.networks.catalog import BACKBONES, BackboneInfo
from dfgctl.records import RunSpec
from dfgctl.settings import METHOD_SECTIONS

RELEASED_LENET5 = replace(BACKBONES["lenet5"], body=544_396, head_inputs=128)
"""LeNet-5 with the dense layers of the released code (F09)."""


def trained_parameters(spec: RunSpec, classes: int) -> int | None:
    """Count the parameters of all networks that a run trains: E and C, and what helps them.

    For ``dfg`` these are E, C, G and D (Table 4), for ``difa`` E, C, S and its two critics. Layers
    of them that are kept fixed count, the frozen copy of the source network that ``delta`` and
    ``dfg`` compare with does not.

    Args:
        spec: the run's spec.
        classes: K.

    Returns:
        None for a method of one's own, which only its class knows.
    """
    if spec.method not in METHOD_SECTIONS:
        return None
    info = BACKBONES[spec.backbone]
    if spec.backbone == "lenet5" and "F09" in readings_of(spec):
        info = RELEASED_LENET5
    match spec.method:
        case "dfg":
            split = spec.settings.get("network", {}).get("split", "")
            more = int(spec.settings["dfg"]["noise"]) - info.noise
            return info.dfg_parameters(classes, split) + more * info.generator_units
        case "difa":
            return info.classifier_parameters(classes) + _difa(spec, info, classes)
        case "ldam":
            return info.classifier_parameters(classes) - classes  # its head has no bias
        case _:
            return info.classifier_parameters(classes)


def _difa(spec: RunSpec, info: BackboneInfo, classes: int) -> int:
    """Count S, M networks of three dense layers, and both critics, one of which sees the class."""
    own = spec.settings["difa"]
    units, features = int(own["units"]), info.head_inputs
    s = _dense((int(own["noise"]) + classes, units, units, features))
    critics = (_dense((features + seen, units, units, 1)) for seen in (classes, 0))
    return int(own["components"]) * s + sum(critics)


def _dense(widths: Sequence[int]) -> int:
    """Count weights and biases of dense layers."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))
