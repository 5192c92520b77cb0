"""The settings of every method: keys, types, ranges. Torch-free, so that planning is quick.

A recipe gives each its values; ``--set section.key=value`` changes one.
"""

from typing import Literal

from pydantic import Field, create_model

from dfgctl.ledger import SWITCHES
from dfgctl.settings.base import (
    OptimizerSettings,
    PlainSettings,
    RegSettings,
    Section,
    SourceSettings,
    TrainingSettings,
    later,
    searched,
    step_count,
)
from dfgctl.settings.paper import (
    DeltaSettings,
    DfgSettings,
    DifaSettings,
    FinetuneSettings,
    OriginalSettings,
)
from dfgctl.settings.rivals import (
    BalancedSettings,
    CbLossSettings,
    CrtSettings,
    LdamSettings,
    LogitAdjustSettings,
    RivalSettings,
    SmoteSettings,
)

__all__ = [
    "METHOD_SECTIONS",
    "SHARED_SECTIONS",
    "TRAINING_SECTIONS",
    "BalancedSettings",
    "CbLossSettings",
    "CrtSettings",
    "DeltaSettings",
    "DfgSettings",
    "DifaSettings",
    "FidelityBase",
    "FidelitySettings",
    "FinetuneSettings",
    "LdamSettings",
    "LogitAdjustSettings",
    "OptimizerSettings",
    "OriginalSettings",
    "PlainSettings",
    "Reading",
    "RegSettings",
    "RivalSettings",
    "Section",
    "SmoteSettings",
    "SourceSettings",
    "TrainingSettings",
    "later",
    "searched",
    "step_count",
]

Reading = Literal["paper", "released"]


class FidelityBase(Section):
    """Readings of single switches of the ledger; None leaves one to the protocol."""


FidelitySettings: type[FidelityBase] = create_model(
    "FidelitySettings",
    __base__=FidelityBase,
    **{
        i: (Reading | None, Field(default=None, description=f"{entry.what}: paper or released"))
        for i, entry in SWITCHES.items()
    },  # type: ignore[call-overload]
)

METHOD_SECTIONS: dict[str, tuple[str, ...]] = {
    "original": ("original",),
    "finetune": ("finetune",),
    "delta": ("delta", "reg"),
    "difa": ("difa",),
    "dfg": ("dfg", "reg"),
    "balanced": ("balanced",),
    "cbloss": ("cbloss",),
    "logitadjust": ("logitadjust",),
    "ldam": ("ldam",),
    "crt": ("crt",),
    "smote": ("smote",),
}
"""The recipe sections that each method reads, its own first."""

TRAINING_SECTIONS: dict[str, type[TrainingSettings]] = {
    "original": OriginalSettings,
    "finetune": FinetuneSettings,
    "delta": DeltaSettings,
    "difa": DifaSettings,
    "dfg": DfgSettings,
    "balanced": BalancedSettings,
    "cbloss": CbLossSettings,
    "logitadjust": LogitAdjustSettings,
    "ldam": LdamSettings,
    "crt": CrtSettings,
    "smote": SmoteSettings,
}
"""The methods' own sections."""

SHARED_SECTIONS: dict[str, type[Section]] = {"reg": RegSettings}
"""Sections that several methods read."""
