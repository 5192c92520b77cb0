"""What this program's training can do beside the plain thing; the one place that knows."""

import inspect
from dataclasses import replace
from typing import Any

from dfgctl.errors import InputError, UnknownNameError
from dfgctl.records import RunSpec

PRECISIONS = ("fp32", "tf32", "bf16")


def has_graphs() -> bool:
    """Say whether training can replay CUDA graphs."""
    from dfgctl.training import Trainer

    return "graphs" in inspect.signature(Trainer.__init__).parameters


def graph_options(graphs: bool) -> dict[str, Any]:
    """Return what ``Trainer`` is given to train by graphs, or without."""
    return {"graphs": graphs} if has_graphs() else {}


def unrecorded(trainer: object) -> str | None:
    """Return why a trainer that was to replay CUDA graphs does not; None if it does."""
    stepper = getattr(trainer, "stepper", None)
    if getattr(stepper, "recorder", None) is not None:
        return None
    return getattr(stepper, "problem", "") or "its pictures lie in the host's memory"


def close(trainer: object) -> None:
    """End what a trainer does beside its steps, such as reading ahead."""
    end = getattr(trainer, "close", None)
    if end is not None:
        end()


def check_precision(name: str, device: str) -> None:
    """Check that training can compute in a precision on a device.

    Raises:
        UnknownNameError: there is none of that name.
        InputError: there is, but not here.
    """
    if name not in PRECISIONS:
        raise UnknownNameError("precision", name, PRECISIONS)
    if name == "tf32" and device == "cpu":
        raise InputError("tf32 is for NVIDIA's GPUs: leave it out of --precision on a CPU.")
    if name != "fp32" and not hasattr(RunSpec, "precision"):
        raise InputError(f"This dfgctl trains in fp32 only: leave {name} out of --precision.")


def with_precision(spec: RunSpec, name: str) -> RunSpec:
    """Return the spec of a run in another precision; fp32 is the default, and left out."""
    if name == "fp32":
        return spec
    return replace(spec, settings={**spec.settings, "numerics": {"precision": name}})


def waited(trainer: object) -> float:
    """Return the seconds for which a trainer has waited for pictures so far."""
    return float(getattr(trainer, "waited", 0.0))
