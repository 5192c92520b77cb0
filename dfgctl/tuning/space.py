"""What is searched: the settings of a method that declare it, and its steps.

A setting says itself how it is searched, where it is declared (``settings.searched``); so a method
of one's own has a space like ours.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfgctl.dispatch.request import Variant
from dfgctl.plugins import MethodInfo
from dfgctl.settings import Section

if TYPE_CHECKING:
    from optuna import Trial

SHARES = (0.25, 0.5, 1.0)
"""Shares of the recipe's steps that are searched."""

EDGE = 0.05
"""Share of a range, at each end, in which a value counts as at its edge."""


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    Attributes:
        key: ``section.key``.
        own: the recipe's value.
        low: the range's lower end; None where values are chosen from some.
        high: its upper end; None likewise.
        log: whether the scale is logarithmic.
        choices: the values to choose from; empty for a range.
    """

    key: str
    own: Any
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggested(self, trial: "Trial") -> Any:
        """Let a trial choose a value."""
        if self.low is None or self.high is None:
            return trial.suggest_categorical(self.key, self.choices)
        if isinstance(self.own, int):
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def at_edge(self, value: Any) -> bool:
        """Say whether a value is so near an end of the range that a better one may lie beyond."""
        if self.low is None or self.high is None:
            return False
        low, high, value = (
            math.log(x) if self.log else float(x) for x in (self.low, self.high, value)
        )
        return bool(min(value - low, high - value) <= EDGE * (high - low))

    def text(self) -> str:
        """Say what is searched, in words."""
        if self.choices:
            return f"{self.key} among {', '.join(map(str, self.choices))}"
        scale = ", logarithmic" if self.log else ""
        return f"{self.key} from {self.low:g} to {self.high:g}{scale}"


def space(
    variant: Variant, method: MethodInfo, fixed: Sequence[str] = (), whole: bool = False
) -> tuple[Parameter, ...]:
    """Return what is searched for a method, in the order in which its sections declare it.

    Args:
        variant: the recipe's settings, and those of one's own methods.
        method: the method.
        fixed: settings that are not searched.
        whole: whether its steps are not searched.
    """
    found = []
    for name in method.sections:
        section = variant.section(name)
        for key, declared in _declared(section):
            parameter = _parameter(f"{name}.{key}", getattr(section, key), declared)
            if parameter is not None and parameter.key not in fixed:
                found.append(parameter)
    if whole:
        return tuple(found)
    steps: int = variant.section(method.name).steps  # type: ignore[attr-defined]
    shares = dict.fromkeys(max(1, round(share * steps)) for share in SHARES)
    return (Parameter(f"{method.name}.steps", steps, choices=tuple(shares)), *found)


def with_shorter_schedules(
    variant: Variant, method: MethodInfo, values: Mapping[str, Any], fixed: Collection[str] = ()
) -> dict[str, Any]:
    """Return a trial's settings, with those that count steps shortened as the training is.

    Args:
        variant: the recipe's settings, and those of one's own methods.
        method: the method.
        values: what the trial chose.
        fixed: settings that are left as they are.
    """
    steps: int = variant.section(method.name).steps  # type: ignore[attr-defined]
    share = values.get(f"{method.name}.steps", steps) / steps
    if share == 1:
        return dict(values)
    counts = {}
    for name in method.sections:
        section = variant.section(name)
        for key, declared in _extras(section):
            count = getattr(section, key) if declared.get("counts_steps") else 0
            if count and f"{name}.{key}" not in fixed:
                counts[f"{name}.{key}"] = max(1, round(share * count))
    return {**counts, **values}


def _parameter(key: str, own: Any, declared: Mapping[str, Any]) -> Parameter | None:
    """Return what a setting declares; the recipe's own value is always among what is searched."""
    if "around" in declared:
        below, above = declared["around"]
        return Parameter(key, own, own / below, own * above, log=True) if own > 0 else None
    if "between" in declared:
        low, high = declared["between"]
        return Parameter(key, own, min(low, own), max(high, own))
    choices = tuple(declared["among"])
    return Parameter(key, own, choices=choices if own in choices else (own, *choices))


def _declared(section: Section) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, extra in _extras(section):
        if "search" in extra:
            yield name, extra["search"]


def _extras(section: Section) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in type(section).model_fields.items():
        if isinstance(field.json_schema_extra, dict):
            yield name, field.json_schema_extra
