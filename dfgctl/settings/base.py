"""What sections of settings are made of, and those that several methods read."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def later(default: Any, *, counts_steps: bool = False, **options: Any) -> Any:
    """Describe a setting that earlier results were made without, in the way that its default says.

    A run's identity leaves it out while it has its default, so that those results stay what they
    are.

    Args:
        default: the default.
        counts_steps: see ``step_count``.
        options: what pydantic's ``Field`` takes.
    """
    extra: dict[str, Any] = {"later": True, "counts_steps": counts_steps}
    return Field(default=default, json_schema_extra=extra, **options)


def step_count(**options: Any) -> Any:
    """Describe a setting that counts steps: ``dfgctl tune`` shortens it as it does a training."""
    return Field(json_schema_extra={"counts_steps": True}, **options)


def searched(
    *,
    around: float | tuple[float, float] | None = None,
    between: tuple[float, float] | None = None,
    among: Sequence[Any] | None = None,
    **options: Any,
) -> Any:
    """Describe a setting that ``dfgctl tune`` searches, in one of three ways.

    Args:
        around: from the recipe's value divided by this to its product with it, on a logarithmic
            scale; two numbers are one for each side. A recipe's zero is not searched.
        between: from the first to the second.
        among: values to choose from.
        options: what pydantic's ``Field`` takes.
    """
    if around is not None:
        below, above = around if isinstance(around, tuple) else (around, around)
        search: dict[str, Any] = {"around": [below, above]}
    elif between is not None:
        search = {"between": list(between)}
    else:
        search = {"among": list(among or ())}
    return Field(json_schema_extra={"search": search}, **options)


class Section(BaseModel):
    """A section of a recipe: frozen, with no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def values(self) -> dict[str, Any]:
        """Return the section's keys and values."""
        return self.model_dump()

    def identifying(self) -> dict[str, Any]:
        """Return the keys and values that a run's identity holds (see ``later``)."""
        late = self.late()
        return {k: v for k, v in self.values().items() if k not in late or v != late[k]}

    @classmethod
    def late(cls) -> dict[str, Any]:
        """Return the defaults of those keys that ``identifying`` may leave out."""
        return {
            name: field.default
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("later")
        }


class TrainingSettings(Section):
    """What every method's own section has."""

    steps: int = Field(gt=0, description="training steps")
    batch_size: int = Field(gt=1, description="images in a batch (m in Algorithm 1)")


class OptimizerSettings(Section):
    """How a network goes down its loss: Adam, or SGD with momentum, and a falling rate."""

    optimizer: Literal["adam", "sgd"] = later("adam", description="adam or sgd")
    momentum: float = later(0.9, ge=0, lt=1, description="momentum of sgd")
    lr_decay_step: int = later(
        0, counts_steps=True, ge=0, description="step after which rates are a tenth; 0: never"
    )
    beta1: float = Field(ge=0, lt=1, default=0.5, description="Adam's first decay rate")
    beta2: float = Field(ge=0, lt=1, default=0.9, description="Adam's second decay rate")


class PlainSettings(OptimizerSettings, TrainingSettings):
    """Plain training: what ``original``, ``finetune``, ``delta`` and pre-training share."""

    lr: float = searched(around=10, gt=0, lt=10, description="learning rate")


class SourceSettings(PlainSettings):
    """Pre-training of the source network."""

    seed: int = Field(ge=0, default=0, description="seed of the source network")


class RegSettings(Section):
    """DELTA's regulariser, in ``delta`` and in DFG's E and C (F18)."""

    alpha: float = searched(
        around=10, ge=0, default=0.01, description="weight of the feature distance"
    )
    beta: float = searched(
        around=10, ge=0, default=0.01, description="weight of the head's L2 term"
    )
    temperature: float = Field(gt=0, default=5.0, description="softmax(w / temperature)")
    weight_batches: int = Field(gt=0, default=4, description="batches behind a channel's weight")
    head_epochs: int = Field(gt=0, default=10, description="epochs of a new head (F17)")
    head_lr: float = Field(gt=0, default=0.01, description="SGD's learning rate for a new head")
