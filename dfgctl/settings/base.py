"""What sections of settings are made of, and those that several methods read."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def later(default: Any, **options: Any) -> Any:
    """Describe a setting that earlier results were made without, in the way that its default says.

    A run's identity leaves it out while it has its default, so that those results stay what they
    are.
    """
    return Field(default=default, json_schema_extra={"later": True}, **options)


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
    lr_decay_step: int = later(0, ge=0, description="step after which rates are a tenth; 0: never")
    beta1: float = Field(ge=0, lt=1, default=0.5, description="Adam's first decay rate")
    beta2: float = Field(ge=0, lt=1, default=0.9, description="Adam's second decay rate")


class PlainSettings(OptimizerSettings, TrainingSettings):
    """Plain training: what ``original``, ``finetune``, ``delta`` and pre-training share."""

    lr: float = Field(gt=0, lt=10, description="learning rate")


class SourceSettings(PlainSettings):
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
