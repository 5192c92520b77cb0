"""The settings of the paper's methods."""

from typing import Literal

from pydantic import Field, model_validator

from dfgctl.settings.base import (
    OptimizerSettings,
    PlainSettings,
    TrainingSettings,
    later,
    searched,
    step_count,
)


class OriginalSettings(PlainSettings):
    """Settings of ``original``."""


class FinetuneSettings(PlainSettings):
    """Settings of ``finetune``."""


class DeltaSettings(PlainSettings):
    """Settings of ``delta``, beside those of its regulariser (``reg``)."""


class DifaSettings(OptimizerSettings, TrainingSettings):
    """DIFA + cMWGAN, an interpretation (N01): the settings of its three stages.

    Stages 0 and 1 take their shares of all ``steps``, stage 2 takes the rest.
    """

    share_0: float = searched(
        between=(0.2, 0.6), gt=0, lt=1, default=0.4, description="share of steps of stage 0"
    )
    lr: float = searched(
        around=10, gt=0, lt=10, description="stage 0: learning rate of the network"
    )
    share_1: float = searched(
        between=(0.1, 0.35), gt=0, lt=1, default=0.3, description="share of steps of stage 1"
    )
    components: int = Field(gt=0, le=64, default=4, description="stage 1: generators in S")
    noise: int = Field(gt=0, default=100, description="stage 1: noise numbers that S is given")
    units: int = Field(gt=0, default=256, description="hidden units of S and of both critics")
    eta_S: float = searched(
        around=10, gt=0, lt=10, default=1e-4, description="stage 1: learning rate of S"
    )
    eta_D: float = searched(
        around=10, gt=0, lt=10, default=1e-4, description="learning rate of both critics"
    )
    n_D: int = Field(gt=0, lt=32, default=5, description="updates of a critic in a step")
    gp_lambda: float = Field(ge=0, default=10.0, description="weight of the gradient penalty")
    eta_E: float = searched(
        around=10, gt=0, lt=10, description="stage 2: learning rate of the encoder"
    )
    eta_H: float = searched(
        around=10, gt=0, lt=10, description="stage 2: learning rate of the head"
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> "DifaSettings":
        if self.share_0 + self.share_1 >= 1:
            raise ValueError("share_0 + share_1 must be below 1, to leave steps for stage 2")
        return self


class DfgSettings(TrainingSettings):
    """DFG: appendix A's settings and Algorithm 1's constants."""

    eta_E: float = searched(
        around=(10, 100), gt=0, lt=10, description="learning rate of the feature extractor"
    )
    eta_C: float = searched(
        around=(10, 100), gt=0, lt=10, description="learning rate of the feature classifier"
    )
    eta_G: float = searched(
        around=10, gt=0, lt=10, description="learning rate of the feature generator"
    )
    eta_D: float = searched(
        around=10, gt=0, lt=10, description="learning rate of the feature discriminator"
    )
    optimizer: Literal["adam", "sgd"] = later("adam", description="of E and C: adam or sgd")
    momentum: float = later(0.9, ge=0, lt=1, description="momentum of sgd")
    lr_decay_step: int = later(
        0,
        counts_steps=True,
        ge=0,
        description="step after which E's and C's rates are a tenth; 0: never",
    )
    beta1: float = Field(ge=0, lt=1, default=0.5, description="Adam's first decay rate")
    beta2: float = Field(ge=0, lt=1, default=0.9, description="Adam's second decay rate")
    n_D: int = Field(gt=0, lt=64, default=5, description="updates of D in a step")
    n_C1: int = searched(
        among=(1, 2, 5),
        gt=0,
        default=2,
        description="steps between updates of G, E, C (lines 13-17)",
    )
    n_C2: int = searched(
        among=(2, 5, 10), gt=0, default=10, description="steps between updates of C (lines 18-20)"
    )
    n_W: int = step_count(
        gt=0, default=5000, description="steps between updates of the filter weights"
    )
    rho: float = searched(
        between=(0, 1), ge=0, le=1, default=0.75, description="share of the source's weights, Eq. 7"
    )
    delta: float = searched(
        between=(0.5, 1), ge=0, default=0.95, description="threshold of the filter weights"
    )
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
