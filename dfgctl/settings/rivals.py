"""The settings of the simple rivals: methods for imbalanced data that the paper does not compare.

What a recipe leaves out of a rival's section is as in its section ``original``.
"""

from typing import Literal

from pydantic import Field

from dfgctl.settings.base import PlainSettings, searched


class RivalSettings(PlainSettings):
    """What all rivals share: plain training, from random weights or from the source's."""

    init: Literal["random", "source"] = Field(
        default="random", description="first weights: random, or the source's"
    )


class BalancedSettings(RivalSettings):
    """Settings of ``balanced``."""


class CbLossSettings(RivalSettings):
    """Settings of ``cbloss``."""

    loss: Literal["softmax", "focal"] = searched(
        among=("softmax", "focal"),
        default="softmax",
        description="cross-entropy of a softmax, or the focal loss",
    )
    beta: float = searched(
        among=(0.9, 0.99, 0.999, 0.9999),
        default=0.9999,
        ge=0,
        lt=1,
        description="beta of the effective number of images",
    )
    gamma: float = searched(
        among=(0.5, 1.0, 2.0), default=1.0, ge=0, description="gamma of the focal loss"
    )


class LogitAdjustSettings(RivalSettings):
    """Settings of ``logitadjust``."""

    tau: float = searched(
        between=(0, 3), default=1.0, ge=0, description="weight of the classes' log frequencies"
    )


class LdamSettings(RivalSettings):
    """Settings of ``ldam``."""

    margin: float = searched(
        between=(0.1, 1), default=0.5, gt=0, description="the largest margin, the rarest class's"
    )
    beta: float = Field(
        default=0.9999, ge=0, lt=1, description="beta of the deferred weights of the classes"
    )
    share_1: float = searched(
        between=(0.3, 0.95),
        default=0.8,
        ge=0,
        le=1,
        description="share of steps before classes are weighed",
    )


class DecoupledSettings(RivalSettings):
    """What the methods share that train the network first, and then a new head."""

    share_1: float = searched(
        between=(0.5, 0.95),
        default=0.9,
        gt=0,
        lt=1,
        description="share of steps that learn the representation",
    )
    head_lr: float = searched(
        around=10, default=1e-2, gt=0, lt=10, description="learning rate of the new head"
    )


class CrtSettings(DecoupledSettings):
    """Settings of ``crt``."""


class SmoteSettings(DecoupledSettings):
    """Settings of ``smote``."""

    neighbours: int = searched(
        between=(1, 10), default=5, gt=0, description="k, nearest neighbours of an image"
    )
