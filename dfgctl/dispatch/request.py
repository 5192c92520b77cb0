"""What the user asked ``dfgctl run`` for, checked before any data is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from dfgctl import ledger, plugins
from dfgctl import recipe as recipes
from dfgctl.contenders import BUILT_IN, RIVALS, each
from dfgctl.data.catalog import DatasetInfo, dataset
from dfgctl.data.imbalance import Ratio, parse_combinations
from dfgctl.errors import InputError, SettingError, UnknownNameError
from dfgctl.fragments import Fragment
from dfgctl.ledger import Readings
from dfgctl.networks.catalog import BACKBONES
from dfgctl.plugins import MethodInfo
from dfgctl.recipe import Recipe
from dfgctl.records import PRECISIONS
from dfgctl.settings import FidelitySettings, Section, TrainingSettings


@dataclass(frozen=True)
class Request:
    """What the user asked ``dfgctl run`` for; None takes the recipe's.

    ``recipe`` and ``info`` stand for a data set that has no recipe of its own.
    """

    dataset: str
    recipe: Recipe | None = None
    info: DatasetInfo | None = None
    imbalance: str | None = None
    majority: int | None = None
    combinations: str = "all"
    repeats: int | None = None
    seeds: int = 1
    seed: int = 0
    source: str | None = None
    source_weights: Path | None = None
    methods: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    protocol: str = ledger.PAPER
    split: str = ""
    precision: str = "fp32"
    steps: int | None = None
    eval_every: int | None = None
    validation: float = 0.0


@dataclass(frozen=True)
class Variant:
    """One point of a sweep.

    Attributes:
        changes: the swept settings, ``section.key`` to value.
        recipe: the recipe with those settings.
        readings: how the ledger's switches are read.
        own: the settings of one's own methods, by name.
        tuned: the fragments with what was found for each method, by name.
    """

    changes: Mapping[str, Any]
    recipe: Recipe
    readings: Readings
    own: Mapping[str, TrainingSettings] = field(default_factory=dict)
    tuned: Mapping[str, Fragment] = field(default_factory=dict)

    def of(self, method: str) -> "Variant":
        """Return the point with what was found for a method."""
        return self.with_values(self.tuned[method].values) if method in self.tuned else self

    def with_values(self, values: Mapping[str, Any]) -> "Variant":
        """Return the point with some settings changed, ``section.key`` to value.

        Raises:
            SettingError: one is unknown, has the wrong type or is out of range.
        """
        parts: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, _, name = key.partition(".")
            if section not in self.own and section not in recipes.SETTABLE:
                raise SettingError(f"Unknown setting '{key}': there is no section '{section}'.")
            parts.setdefault(section, {})[name] = value
        own = {
            name: recipes.validated(type(old), name, {**old.values(), **parts[name]})
            for name, old in self.own.items()
            if name in parts
        }
        ours = {k: v for k, v in values.items() if k.partition(".")[0] in recipes.SETTABLE}
        recipe = self.recipe.with_settings(ours) if ours else self.recipe
        return replace(self, recipe=recipe, own={**self.own, **own})

    def section(self, name: str) -> Section:
        """Return a section by its name."""
        return self.own[name] if name in self.own else self.recipe.section(name)


@dataclass(frozen=True)
class Checked:
    """A request whose names and numbers have been checked."""

    request: Request
    info: DatasetInfo
    recipe: Recipe
    variants: tuple[Variant, ...]
    methods: tuple[MethodInfo, ...]
    source: str
    ratio: Ratio
    majority: int
    repeats: int
    combinations: tuple[tuple[int, ...], ...] | None

    @property
    def needs_source(self) -> bool:
        """Whether any method starts from a source network."""
        return any(
            method.starts_from_source(variant.section(method.name))
            for method in self.methods
            for variant in self.variants
        )


def check(request: Request) -> Checked:
    """Check a request against its recipe.

    Raises:
        InputError: a name, number or setting cannot be.
    """
    recipe = request.recipe or recipes.load(request.dataset)
    info = request.info or dataset(recipe.name)
    classes = info.class_count
    if not 0 <= request.validation <= 0.5:
        raise InputError(f"--validation takes a share of 0 to 0.5, not {request.validation:g}.")
    if request.precision not in PRECISIONS:
        raise UnknownNameError("precision", request.precision, PRECISIONS)
    methods = _methods(request.methods)
    variants = _variants(request, recipe, methods)
    _check_split(request.split, recipe.backbone)

    imbalance = variants[0].recipe.imbalance
    ratio = Ratio.parse(request.imbalance or imbalance.ratio)
    majority = request.majority if request.majority is not None else imbalance.majority
    stepped = ratio.value > 1
    if stepped and not 1 <= majority < classes:
        raise InputError(
            f"{majority} majority classes of {classes} leave no imbalance: --majority takes 1 to "
            f"{classes - 1}."
        )
    if not stepped and request.combinations != "all":
        raise InputError(f"At {ratio} there are no majority classes: leave --combinations out.")
    if not stepped and request.seeds > 1:
        raise InputError(
            f"At {ratio} there are no combinations, and each repeat is a seed: leave --seeds out, "
            "and say how many with --repeats."
        )
    combinations = parse_combinations(request.combinations, classes, majority) if stepped else None
    repeats = request.repeats
    if repeats is None and combinations is not None:
        repeats = len(combinations)
    return Checked(
        request=request,
        info=info,
        recipe=recipe,
        variants=variants,
        methods=methods,
        source=_source_name(request, recipe),
        ratio=ratio,
        majority=majority if stepped else 0,
        repeats=repeats if repeats is not None else _default_repeats(recipe, ratio),
        combinations=combinations,
    )


INIT = "init"
"""The key of ``--set`` that says what all rivals start from."""

BALANCED_REPEATS = 10
"""Repeats without majority classes (section 4.1)."""


def _default_repeats(recipe: Recipe, ratio: Ratio) -> int:
    """Return the recipe's repeats; a balanced reference has section 4.1's."""
    stepped = Ratio.parse(recipe.imbalance.ratio).value > 1
    return BALANCED_REPEATS if ratio.value <= 1 and stepped else recipe.run.repeats


def _methods(names: Sequence[str]) -> tuple[MethodInfo, ...]:
    """Return the methods that were asked for: the paper's in its order, the rivals, one's own."""
    found: dict[str, MethodInfo] = {}
    for info in map(plugins.find, each(names)):
        if found.setdefault(info.name, info).code != info.code:
            raise InputError(
                f"Two methods are called '{info.name}': give one of them another name."
            )
    ours = [found.pop(name) for name in BUILT_IN if name in found]
    return (*ours, *found.values())


def _check_split(split: str, backbone: str) -> None:
    info = BACKBONES[backbone]
    if split and len(info.splits) == 1:
        raise InputError(f"{info.title} is split in one place only: leave --split out.")
    if split and split not in info.splits:
        raise UnknownNameError("split", split, info.splits)


def _variants(
    request: Request, recipe: Recipe, methods: Sequence[MethodInfo]
) -> tuple[Variant, ...]:
    """Read all ``--set`` options: every combination of their values."""
    own = {m.name: m.settings for m in methods if m.code}
    extra: dict[str, type[Section]] = {"fidelity": FidelitySettings, **own}
    axes: dict[str, list[Any]] = {}
    for text in request.settings:
        key, equals, values = text.partition("=")
        if not equals:
            raise SettingError(f"--set takes section.key=value, not '{text}': e.g. dfg.rho=0.5.")
        if key in axes:
            raise SettingError(f"--set {key} is given twice: write its values with commas.")
        _check_key(key)
        axes[key] = _values(key, values, extra, methods)
    points = [
        _for_each_rival(dict(zip(axes, point, strict=True)), methods)
        for point in product(*axes.values())
    ]
    return tuple(_variant(request, recipe, point, own) for point in points)


def _values(key: str, text: str, extra: recipes.Extra, methods: Sequence[MethodInfo]) -> list[Any]:
    """Read the values of a key; ``init`` is that of every rival."""
    if key != INIT:
        return recipes.parse_values(key, text, extra)
    if not any(method.name in RIVALS for method in methods):
        raise SettingError(
            "--set init says what the simple rivals start from, and none is asked for: add "
            f"--method rivals, or one of {', '.join(RIVALS)}."
        )
    return recipes.parse_values(f"{next(iter(RIVALS))}.{INIT}", text)


def _for_each_rival(point: Mapping[str, Any], methods: Sequence[MethodInfo]) -> dict[str, Any]:
    """Write ``init`` as the setting of each rival that was asked for."""
    found = dict(point)
    if INIT in found:
        init = found.pop(INIT)
        rivals = [method.name for method in methods if method.name in RIVALS]
        found |= {f"{name}.{INIT}": init for name in rivals if f"{name}.{INIT}" not in found}
    return found


def _variant(
    request: Request,
    recipe: Recipe,
    changes: Mapping[str, Any],
    own: Mapping[str, type[TrainingSettings]],
) -> Variant:
    """Apply one point of a sweep."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        section, _, name = key.partition(".")
        parts.setdefault(section, {})[name] = value
    return Variant(
        changes=changes,
        recipe=recipe.with_settings(
            {k: v for k, v in changes.items() if k.partition(".")[0] in recipes.SETTABLE}
        ),
        readings=ledger.readings(request.protocol, parts.get("fidelity", {})),
        own={name: recipes.validated(own[name], name, parts.get(name, {})) for name in own},
    )


def _check_key(key: str) -> None:
    """Refuse settings that have an option of their own."""
    if key.endswith(".steps") and key != "source.steps":
        raise SettingError(f"--set {key}: use --steps, which marks a run as shortened.")
    if key in ("run.repeats", "run.eval_every", "imbalance.ratio", "imbalance.majority"):
        option = {"run.repeats": "--repeats", "run.eval_every": "--eval-every"}.get(
            key, "--imbalance" if key.endswith("ratio") else "--majority"
        )
        raise SettingError(f"--set {key}: use {option} instead.")


def _source_name(request: Request, recipe: Recipe) -> str:
    if request.source_weights is not None:
        if request.source is not None:
            raise InputError("Give --source or --source-weights, not both.")
        return request.source_weights.stem
    name = request.source or recipe.sources[0]
    if name not in recipe.sources:
        raise UnknownNameError(f"source of {recipe.name}", name, recipe.sources)
    return name
