"""The settings of every method: keys, types, ranges. Torch-free, so that planning is quick.

A recipe gives each its values; ``--set section.key=value`` changes one.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of a recipe: frozen, with no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def values(self) -> dict[str, Any]:
        """Return the section's keys and values."""
        return self.model_dump()


class TrainingSettings(Section):
    """What every method's own section has."""

    steps: int = Field(gt=0, description="training steps")
    batch_size: int = Field(gt=1, description="images in a batch (m in Algorithm 1)")


class AdamSettings(TrainingSettings):
    """Training by Adam: what ``original``, ``finetune``, ``delta`` and pre-training share."""

    lr: float = Field(gt=0, lt=10, description="learning rate")
    beta1: float = Field(ge=0, lt=1, default=0.5, description="Adam's first decay rate")
    beta2: float = Field(ge=0, lt=1, default=0.9, description="Adam's second decay rate")


class OriginalSettings(AdamSettings):
    """Settings of ``original``."""


class FinetuneSettings(AdamSettings):
    """Settings of ``finetune``."""


class DeltaSettings(AdamSettings):
    """Settings of ``delta``, beside those of its regulariser (``reg``)."""


class SourceSettings(AdamSettings):
    """Pre-training of the source network."""

    seed: int = Field(ge=0, default=0, description="seed of the source network")


class RegSettings(Section):
    """DELTA's regulariser, in ``delta`` and in DFG's E and C (F18)."""

    alpha: float = Field(ge=0, default=0.01, description="weight of the feature distance")
    beta: float = Field(ge=0, default=0.01, description="weight of the head's L2 term")
    temperature: float = Field(gt=0, default=5.0, description="softmax(w / temperature)")
    weight_batches: int = Field(gt=0, default=4, description="batches behind a channel's weight")
    head_epochs: int = Field(gt=0, default=10, description="epochs of a new head (F17)")
    head_lr: float = Field(gt=0, default=0.01, description="SGD's learning rate for a new head")


class DfgSettings(TrainingSettings):
    """DFG: appendix A's settings and Algorithm 1's constants."""

    eta_E: float = Field(gt=0, lt=10, description="learning rate of the feature extractor")
    eta_C: float = Field(gt=0, lt=10, description="learning rate of the feature classifier")
    eta_G: float = Field(gt=0, lt=10, description="learning rate of the feature generator")
    eta_D: float = Field(gt=0, lt=10, description="learning rate of the feature discriminator")
    beta1: float = Field(ge=0, lt=1, default=0.5, description="Adam's first decay rate")
    beta2: float = Field(ge=0, lt=1, default=0.9, description="Adam's second decay rate")
    n_D: int = Field(gt=0, lt=64, default=5, description="updates of D in a step")
    n_C1: int = Field(gt=0, default=2, description="steps between updates of G, E, C (lines 13-17)")
    n_C2: int = Field(gt=0, default=10, description="steps between updates of C (lines 18-20)")
    n_W: int = Field(gt=0, default=5000, description="steps between updates of the filter weights")
    rho: float = Field(ge=0, le=1, default=0.75, description="share of the source's weights, Eq. 7")
    delta: float = Field(ge=0, default=0.95, description="threshold of the filter weights")
    alpha: float = Field(ge=0, le=1, default=0.333, description="weight of L_C^r in Eq. 4")
    beta: float = Field(ge=0, le=1, default=0.333, description="weight of L_C^g in Eq. 4")
    gamma: float = Field(ge=0, le=1, default=0.333, description="weight of L_C^c in Eq. 4")
    gp_lambda: float = Field(ge=0, default=10.0, description="lambda, weight of the penalty, Eq. 1")
    noise: int = Field(gt=0, default=100, description="noise numbers that G is given")
    weight_images: int = Field(ge=0, default=0, description="images a class for Eq. 6; 0: all")

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> "DfgSettings":
        total = self.alpha + self.beta + self.gamma
        if abs(total - 1) > 0.01:
            raise ValueError(
                f"alpha + beta + gamma must be 1 (Eq. 4), not {total:g}: set all three together"
            )
        return self


METHOD_SECTIONS: dict[str, tuple[str, ...]] = {
    "original": ("original",),
    "finetune": ("finetune",),
    "delta": ("delta", "reg"),
    "dfg": ("dfg", "reg"),
}
"""The recipe sections that each method reads, its own first."""

TRAINING_SECTIONS: dict[str, type[TrainingSettings]] = {
    "original": OriginalSettings,
    "finetune": FinetuneSettings,
    "delta": DeltaSettings,
    "dfg": DfgSettings,
}
"""The methods' own sections."""

SHARED_SECTIONS: dict[str, type[Section]] = {"reg": RegSettings}
"""Sections that several methods read."""
