"""Recipes: a TOML file a data set with everything that is fixed for it, read and checked."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AllowInfNan, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from dfgctl.data.catalog import dataset
from dfgctl.data.imbalance import Ratio
from dfgctl.errors import InputError, SettingError, UnknownNameError, nearest
from dfgctl.settings import (
    DeltaSettings,
    DfgSettings,
    FinetuneSettings,
    OriginalSettings,
    RegSettings,
    Section,
    SourceSettings,
)


class ImbalanceSettings(Section):
    """How the training set is made imbalanced."""

    ratio: str = Field(description="majority to minority, R:1")
    majority: int = Field(ge=1, description="number of majority classes")
    majority_count: int = Field(ge=1, description="images of a majority class, where it has them")

    @field_validator("ratio")
    @classmethod
    def _is_ratio(cls, value: str) -> str:
        try:
            return str(Ratio.parse(value))
        except InputError as error:
            raise ValueError(str(error)) from None


class RunSettings(Section):
    """How often a run is repeated and evaluated."""

    repeats: int = Field(ge=1, description="pairs of combination and seed")
    eval_every: int = Field(ge=1, description="steps between evaluations")


class TuningSettings(Section):
    """What the baselines' settings were chosen on; used for nothing else."""

    combinations: list[tuple[int, ...]]
    seeds: list[int]


class CostSettings(Section):
    """Seconds of a training step and of an evaluation, measured once; for estimates only."""

    machine: str
    original: float = Field(gt=0)
    finetune: float = Field(gt=0)
    delta: float = Field(gt=0)
    dfg: float = Field(gt=0)
    evaluation: float = Field(gt=0)


class Recipe(Section):
    """A recipe: frozen; unknown keys and impossible values are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    name: str
    backbone: str
    sources: list[str]
    imbalance: ImbalanceSettings
    run: RunSettings
    source: SourceSettings
    original: OriginalSettings
    finetune: FinetuneSettings
    delta: DeltaSettings
    reg: RegSettings
    dfg: DfgSettings
    tuning: TuningSettings | None = None
    cost: CostSettings | None = None

    def section(self, name: str) -> Section:
        """Return a section by its name."""
        section: Section = getattr(self, name)
        return section

    def steps(self, method: str) -> int:
        """Return a method's number of training steps."""
        steps: int = self.section(method).values()["steps"]
        return steps

    def with_settings(self, changes: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with ``section.key`` settings changed.

        Raises:
            SettingError: a value has the wrong type or is out of range.
        """
        merged = self.model_dump()
        for key, value in changes.items():
            section, _, name = key.partition(".")
            merged[section][name] = value
        return _validated(merged, self.name)


SETTABLE = ("imbalance", "run", "source", "original", "finetune", "delta", "reg", "dfg")
"""Sections that ``--set`` may change."""


def folder() -> Path:
    """Return the recipes' folder: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "recipes"


def names() -> list[str]:
    """Return the names of all recipes."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def path_of(name: str) -> Path:
    """Return a recipe's file.

    Raises:
        UnknownNameError: there is no such recipe.
    """
    if name not in names():
        raise UnknownNameError("data set", name, names())
    return folder() / f"{name}.toml"


def load(name: str) -> Recipe:
    """Read and check a recipe.

    Raises:
        UnknownNameError: there is no such recipe.
        SettingError: it has an unknown key or an impossible value.
    """
    file = path_of(name)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file} is no TOML: {error}. Mend the file.") from error
    recipe = _validated(content, name)
    dataset(recipe.name, "target")
    for source in recipe.sources:
        dataset(source, "source")
    return recipe


def keys() -> list[str]:
    """Return all ``section.key`` names that ``--set`` takes."""
    return [f"{section}.{name}" for section in SETTABLE for name in _model(section).model_fields]


def parse_values(key: str, text: str) -> list[Any]:
    """Read the values of ``--set key=a,b,c``, each checked for type and range.

    Raises:
        SettingError: the key is unknown, or a value has the wrong type or is out of range.
    """
    section, _, name = key.partition(".")
    if key not in keys():
        near = nearest(key, keys())
        hint = f"did you mean '{near}'? " if near else ""
        raise SettingError(
            f"Unknown setting '{key}': {hint}dfgctl recipe show NAME lists those of a data set."
        )
    field = _model(section).model_fields[name]
    # Only this field's own type and bounds: what binds fields together is checked on the whole.
    bounded: Any = Annotated[field.annotation, *field.metadata, field]
    if field.annotation is float:
        bounded = Annotated[bounded, AllowInfNan(False)]
    adapter: TypeAdapter[Any] = TypeAdapter(bounded)
    values = []
    for part in text.split(","):
        try:
            value = adapter.validate_python(part.strip())
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise SettingError(
                f"{key} cannot be '{part.strip()}': {_lower(reason)}. It is: {field.description}."
            ) from error
        values.append(value)
    if len(set(values)) != len(values):
        raise SettingError(f"--set {key} names a value twice: name each once.")
    return values


def departures(recipe: Recipe, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return where a run's settings differ from the recipe's, as ``section.key=value``."""
    return [
        f"{section}.{name}={exact(value)}"
        for section, values in settings.items()
        for name, value in values.items()
        if value != recipe.section(section).values().get(name)
    ]


def exact(value: object) -> str:
    """Write a setting's value as short as it can be without becoming another one."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return repr(value)


def _model(section: str) -> type[Section]:
    annotation = Recipe.model_fields[section].annotation
    assert isinstance(annotation, type)
    return annotation


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _validated(content: Mapping[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = _lower(first["msg"].removeprefix("Value error, "))
        raise SettingError(f"Recipe {name}: {where}: {reason}.") from error
