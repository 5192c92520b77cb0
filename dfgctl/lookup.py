"""What a run's spec names: its method, its network, its settings."""

from collections.abc import Mapping
from typing import Any

from dfgctl import plugins
from dfgctl.ledger import readings_of
from dfgctl.methods.balanced import Balanced
from dfgctl.methods.base import Method
from dfgctl.methods.cbloss import CbLoss
from dfgctl.methods.crt import Crt
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.ldam import Ldam
from dfgctl.methods.logitadjust import LogitAdjust
from dfgctl.methods.original import Original
from dfgctl.methods.smote import Smote
from dfgctl.networks.backbones import Backbone, backbone
from dfgctl.records import RunSpec
from dfgctl.settings import SHARED_SECTIONS, Section, TrainingSettings

CLASSES: Mapping[str, type[Method[Any]]] = {
    "original": Original,
    "finetune": Finetune,
    "delta": Delta,
    "difa": Difa,
    "dfg": Dfg,
    "balanced": Balanced,
    "cbloss": CbLoss,
    "logitadjust": LogitAdjust,
    "ldam": Ldam,
    "crt": Crt,
    "smote": Smote,
}


def method_of(spec: RunSpec) -> type[Method[Any]]:
    """Return the class of a run's method, ours or one's own.

    Raises:
        InputError: one's own cannot be imported, or has changed since the run was planned.
    """
    if spec.method in CLASSES:
        return CLASSES[spec.method]
    found: type[Method[Any]] = plugins.load_for(spec.settings["code"])
    return found


def backbone_of(spec: RunSpec) -> Backbone:
    """Return the network that a run trains, split and read as it says.

    Raises:
        InputError: its method is one's own and cannot be imported, or has changed.
    """
    split, method = spec.settings.get("network", {}).get("split", ""), method_of(spec)
    return backbone(spec.backbone, split, readings_of(spec), method.bounded, method.cosine)


def source_backbone_of(spec: RunSpec) -> Backbone:
    """Return the network of a run's source, split like the run's own; its head is a plain one."""
    split = spec.settings.get("network", {}).get("split", "")
    return backbone(spec.backbone, split, readings_of(spec))


def sections_of(spec: RunSpec) -> tuple[TrainingSettings, list[Section]]:
    """Return a run's settings: its method's own section, and the others that the method reads."""
    own, *others = plugins.sections_of(spec.settings, spec.method)
    main = method_of(spec).Settings.model_validate({**spec.settings[own], "steps": spec.steps})
    return main, [SHARED_SECTIONS[name].model_validate(spec.settings[name]) for name in others]
