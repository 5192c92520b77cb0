"""Recipes: a TOML file a data set with everything that is fixed for it, read and checked."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AllowInfNan,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from dfgctl.contenders import RIVALS
from dfgctl.data.catalog import DATASETS, dataset
from dfgctl.data.imbalance import Ratio
from dfgctl.errors import InputError, SettingError, UnknownNameError, nearest
from dfgctl.fragments import search_of
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import RunSpec
from dfgctl.settings import (
    BalancedSettings,
    CbLossSettings,
    CrtSettings,
    DeltaSettings,
    DfgSettings,
    DifaSettings,
    FinetuneSettings,
    LdamSettings,
    LogitAdjustSettings,
    OriginalSettings,
    RegSettings,
    Section,
    SmoteSettings,
    SourceSettings,
)


class ImbalanceSettings(Section):
    """How the training set is made imbalanced."""

    ratio: str = Field(description="majority to minority, R:1, or as-is")
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
    difa: float = Field(gt=0)
    dfg: float = Field(gt=0)
    evaluation: float = Field(gt=0)


class PicturesSettings(Section):
    """Where one's own pictures lie."""

    folder: str = Field(description="a folder of train/CLASS/* and test/CLASS/*, or of CLASS/*")
    test_fraction: float | None = Field(
        default=None, gt=0, lt=1, description="share of each class that tests, of CLASS/*"
    )


class Recipe(Section):
    """A recipe: frozen; unknown keys and impossible values are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    name: str
    backbone: str
    sources: list[str] = Field(min_length=1)
    pictures: PicturesSettings | None = None
    imbalance: ImbalanceSettings
    run: RunSettings
    source: SourceSettings | None = None
    original: OriginalSettings
    finetune: FinetuneSettings
    delta: DeltaSettings
    reg: RegSettings
    difa: DifaSettings
    dfg: DfgSettings
    balanced: BalancedSettings
    cbloss: CbLossSettings
    logitadjust: LogitAdjustSettings
    ldam: LdamSettings
    crt: CrtSettings
    smote: SmoteSettings
    tuning: TuningSettings | None = None
    cost: CostSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _rivals_are_like_original(cls, content: Any) -> Any:
        """Take from ``original`` what a rival's section leaves out."""
        plain = content.get("original") if isinstance(content, Mapping) else None
        if not isinstance(plain, Mapping):
            return content
        given = {rival: content.get(rival, {}) for rival in RIVALS}
        tables = {r: {**plain, **own} for r, own in given.items() if isinstance(own, Mapping)}
        return {**content, **given, **tables}

    def section(self, name: str) -> Section:
        """Return a section by its name."""
        section: Section = getattr(self, name)
        return section

    def steps(self, method: str) -> int:
        """Return a method's number of training steps."""
        steps: int = self.section(method).steps  # type: ignore[attr-defined]
        return steps

    def start(self, method: str) -> str | None:
        """Return what a method starts from, ``random`` or ``source``; None if it has no choice."""
        return getattr(self.section(method), "init", None) if method in RIVALS else None

    def steps_of(self, spec: RunSpec) -> int:
        """Return the steps that a run of that method has unless it is shortened."""
        found = search_of(spec).get("values", {}).get(f"{spec.method}.steps")
        if found is not None:
            return int(found)
        if "code" in spec.settings:
            return int(spec.settings["code"]["defaults"]["steps"])
        return self.steps(spec.method)

    def with_settings(self, changes: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with ``section.key`` settings changed.

        Raises:
            SettingError: a value has the wrong type or is out of range.
        """
        merged = self.model_dump()
        for key, value in changes.items():
            section, _, name = key.partition(".")
            if merged[section] is None:
                raise SettingError(f"{self.name} has no '{section}': leave --set {key} out.")
            merged[section][name] = value
        return _validated(merged, self.name)


SETTABLE = (
    "imbalance",
    "run",
    "source",
    "original",
    "finetune",
    "delta",
    "reg",
    "difa",
    "dfg",
    *RIVALS,
)
"""Sections that ``--set`` may change, beside ``fidelity`` and those of one's own methods."""

Extra = Mapping[str, type[Section]]
T = TypeVar("T", bound=Section)


def folder() -> Path:
    """Return the recipes' folder: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "recipes"


def names() -> list[str]:
    """Return the names of all recipes, in the catalog's order."""
    order = {name: i for i, name in enumerate(DATASETS)}
    found = (path.stem for path in folder().glob("*.toml"))
    return sorted(found, key=lambda name: (order.get(name, len(order)), name))


def path_of(name: str) -> Path:
    """Return a recipe's file.

    Raises:
        UnknownNameError: there is no such recipe.
    """
    if name not in names():
        raise UnknownNameError("data set", name, names())
    return folder() / f"{name}.toml"


def load(name: str) -> Recipe:
    """Read and check the recipe of a published data set.

    Raises:
        UnknownNameError: there is no such recipe.
        SettingError: it has an unknown key or an impossible value.
    """
    return read(path_of(name))


def read(file: Path) -> Recipe:
    """Read and check a recipe's file.

    Raises:
        InputError: it cannot be read.
        UnknownNameError: it names a data set, a source or a network that there is not.
        SettingError: it has an unknown key or an impossible value.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}): name the file of a recipe."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is no TOML: {error}. Mend the file.") from error
    recipe = _validated(content, file.stem if file.parent == folder() else str(file))
    if recipe.pictures is None:
        dataset(recipe.name, "target")
    if recipe.backbone not in BACKBONES:
        raise UnknownNameError("backbone", recipe.backbone, BACKBONES)
    for source in recipe.sources:
        dataset(source, "source")
    return recipe


def keys(extra: Extra | None = None) -> list[str]:
    """Return all ``section.key`` names that ``--set`` takes.

    Args:
        extra: sections that are no recipe's, by name.
    """
    models = {section: model_of(section) for section in SETTABLE} | dict(extra or {})
    return [f"{section}.{name}" for section, model in models.items() for name in model.model_fields]


def parse_values(key: str, text: str, extra: Extra | None = None) -> list[Any]:
    """Read the values of ``--set key=a,b,c``, each checked for type and range.

    Args:
        key: the setting.
        text: its values.
        extra: sections that are no recipe's, by name.

    Raises:
        SettingError: the key is unknown, or a value has the wrong type or is out of range.
    """
    section, _, name = key.partition(".")
    known = keys(extra)
    if key not in known:
        near = nearest(key, known)
        hint = f"did you mean '{near}'? " if near else ""
        raise SettingError(
            f"Unknown setting '{key}': {hint}dfgctl recipe show NAME lists those of a data set."
        )
    field = (extra[section] if extra and section in extra else model_of(section)).model_fields[name]
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


def model_of(section: str) -> type[Section]:
    """Return what a section of a recipe takes."""
    return _MODELS[section]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def validated(model: type[T], name: str, values: Mapping[str, Any]) -> T:
    """Make a section of settings from values.

    Raises:
        SettingError: they do not fit together.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([name, *(str(part) for part in first["loc"])])
        reason = _lower(first["msg"].removeprefix("Value error, "))
        raise SettingError(f"{where}: {reason}.") from error


def _validated(content: Mapping[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = _lower(first["msg"].removeprefix("Value error, "))
        if first["type"] == "extra_forbidden":
            near = nearest(where, [*keys(), *Recipe.model_fields])
            reason = f"there is no such setting{f'; did you mean {near}?' if near else ''}"
        raise SettingError(
            f"Recipe {name}: {where}: {reason.rstrip('.?')}{_end(reason)}"
        ) from error


def _end(reason: str) -> str:
    return "?" if reason.endswith("?") else "."


def _section_model(name: str) -> type[Section]:
    """Return the class of a recipe's section, also of one that may be left out."""
    annotation: Any = Recipe.model_fields[name].annotation
    chosen = next((a for a in get_args(annotation) if a is not type(None)), annotation)
    assert isinstance(chosen, type)
    return chosen


_MODELS = {name: _section_model(name) for name in SETTABLE}
