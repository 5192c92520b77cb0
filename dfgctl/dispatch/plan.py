"""Plans runs: methods x repeats x swept values, from a recipe and what the user asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from dfgctl import recipe as recipes
from dfgctl.data.catalog import DATASETS, dataset
from dfgctl.data.imbalance import (
    Ratio,
    class_counts,
    combination_at,
    parse_combinations,
    validation_counts,
)
from dfgctl.data.manifest import Manifest
from dfgctl.errors import InputError, SettingError, UnknownNameError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.recipe import Recipe
from dfgctl.records import METHODS, PlannedRun, RunSpec, SourceSpec
from dfgctl.settings import METHOD_SECTIONS


@dataclass(frozen=True)
class Request:
    """What the user asked ``dfgctl run`` for; None takes the recipe's."""

    dataset: str
    imbalance: str | None = None
    majority: int | None = None
    combinations: str = "all"
    repeats: int | None = None
    seed: int = 0
    source: str | None = None
    source_weights: Path | None = None
    methods: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    steps: int | None = None
    eval_every: int | None = None
    validation: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What ``dfgctl run`` is to do.

    Attributes:
        recipe: the recipe, as its file has it.
        runs: the runs, in the order in which they are to be trained.
        sources: the source networks that the runs need.
        notes: what the user should know before it starts.
    """

    recipe: Recipe
    runs: tuple[PlannedRun, ...]
    sources: tuple[SourceSpec, ...]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Checked:
    """A request whose names and numbers have been checked, before any data is looked at."""

    request: Request
    recipe: Recipe
    variants: tuple[Recipe, ...]
    sweeps: tuple[Mapping[str, Any], ...]
    methods: tuple[str, ...]
    source: str
    ratio: Ratio
    majority: int
    repeats: int
    combinations: tuple[tuple[int, ...], ...] | None


def check(request: Request) -> Checked:
    """Check a request against its recipe.

    Raises:
        InputError: a name, number or setting cannot be.
    """
    recipe = recipes.load(request.dataset)
    classes = dataset(recipe.name).class_count
    for method in request.methods:
        if method not in METHODS:
            raise UnknownNameError("method", method, METHODS)
    if not 0 <= request.validation <= 0.5:
        raise InputError(f"--validation takes a share of 0 to 0.5, not {request.validation:g}.")
    methods = tuple(m for m in METHODS if not request.methods or m in request.methods)
    sweeps = _sweeps(request.settings)
    variants = tuple(recipe.with_settings(changes) for changes in sweeps)

    imbalance = variants[0].imbalance
    ratio = Ratio.parse(request.imbalance or imbalance.ratio)
    majority = request.majority if request.majority is not None else imbalance.majority
    balanced = ratio.value == 1
    if not balanced and not 1 <= majority < classes:
        raise InputError(
            f"{majority} majority classes of {classes} leave no imbalance: --majority takes 1 to "
            f"{classes - 1}."
        )
    if balanced and request.combinations != "all":
        raise InputError("At 1:1 there are no majority classes: leave --combinations out.")
    combinations = None if balanced else parse_combinations(request.combinations, classes, majority)
    repeats = request.repeats
    if repeats is None and combinations is not None:
        repeats = len(combinations)
    return Checked(
        request=request,
        recipe=recipe,
        variants=variants,
        sweeps=sweeps,
        methods=methods,
        source=_source_name(request, recipe),
        ratio=ratio,
        majority=0 if balanced else majority,
        repeats=repeats if repeats is not None else variants[0].run.repeats,
        combinations=combinations,
    )


def make(
    checked: Checked, target: Manifest, source: Manifest | None, source_weights: str | None = None
) -> Plan:
    """Make the plan.

    Args:
        checked: the request.
        target: the target's manifest.
        source: the source's; None where ``source_weights`` stands for it or no method needs one.
        source_weights: SHA-256 of the file that was named instead of a source.

    Raises:
        InputError: a class cannot have as many images as was asked for.
    """
    runs = []
    sources: dict[str, SourceSpec] = {}
    for i in range(checked.repeats):
        combination, seed = repeat(checked, i, len(target.train_counts))
        for method in checked.methods:
            for variant, sweep in zip(checked.variants, checked.sweeps, strict=True):
                network = None
                if method != "original":
                    network = _source_spec(checked, variant, source, source_weights)
                    sources[network.identity()] = network
                asked = "imbalance.majority_count" in sweep
                spec = _spec(checked, variant, method, combination, seed, target, network)
                counts = _counts(checked, spec, target, asked)
                touches = {*spec.settings, "imbalance"}
                own = {k: v for k, v in sweep.items() if k.partition(".")[0] in touches}
                runs.append(PlannedRun(spec, counts, own))
    unique = {run.id: run for run in runs}  # a method that a swept value does not touch runs once
    plan = tuple(unique.values())
    return Plan(checked.recipe, plan, tuple(sources.values()), _notes(checked, plan, target))


def repeat(checked: Checked, i: int, classes: int) -> tuple[tuple[int, ...], int]:
    """Return the combination and seed of repeat i.

    Combination ``order[i mod C]`` and seed ``S + i div C``; at 1:1 none and ``S + i``.
    """
    seed = checked.request.seed
    if checked.majority == 0:
        return (), seed + i
    if checked.combinations is not None:
        count = len(checked.combinations)
        return checked.combinations[i % count], seed + i // count
    count = math.comb(classes, checked.majority)
    return combination_at(i % count, classes, checked.majority), seed + i // count


def _sweeps(settings: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Read all ``--set`` options: every combination of their values."""
    axes: dict[str, list[Any]] = {}
    for text in settings:
        key, equals, values = text.partition("=")
        if not equals:
            raise SettingError(f"--set takes section.key=value, not '{text}': e.g. dfg.rho=0.5.")
        if key in axes:
            raise SettingError(f"--set {key} is given twice: write its values with commas.")
        if key.endswith(".steps") and key != "source.steps":
            raise SettingError(f"--set {key}: use --steps, which marks a run as shortened.")
        if key in ("run.repeats", "run.eval_every", "imbalance.ratio", "imbalance.majority"):
            option = {"run.repeats": "--repeats", "run.eval_every": "--eval-every"}.get(
                key, "--imbalance" if key.endswith("ratio") else "--majority"
            )
            raise SettingError(f"--set {key}: use {option} instead.")
        axes[key] = recipes.parse_values(key, values)
    return tuple(dict(zip(axes, point, strict=True)) for point in product(*axes.values()))


def _source_name(request: Request, recipe: Recipe) -> str:
    if request.source_weights is not None:
        if request.source is not None:
            raise InputError("Give --source or --source-weights, not both.")
        return request.source_weights.stem
    name = request.source or recipe.sources[0]
    if name not in recipe.sources:
        raise UnknownNameError(f"source of {recipe.name}", name, recipe.sources)
    return name


def _source_spec(
    checked: Checked, variant: Recipe, source: Manifest | None, weights: str | None
) -> SourceSpec:
    if weights is not None:
        return SourceSpec(f"file:{weights[:10]}", variant.backbone, weights, {}, weights)
    assert source is not None
    return SourceSpec(source.name, variant.backbone, source.digest, variant.source.values())


def _spec(
    checked: Checked,
    variant: Recipe,
    method: str,
    combination: tuple[int, ...],
    seed: int,
    target: Manifest,
    network: SourceSpec | None,
) -> RunSpec:
    request = checked.request
    settings = {name: variant.section(name).values() for name in METHOD_SECTIONS[method]}
    steps = settings[method].pop("steps")
    if network is not None and network.weights_digest is None:
        settings["source"] = variant.source.values()
    return RunSpec(
        dataset=variant.name,
        source=network.dataset if network is not None else None,
        source_identity=network.identity() if network is not None else None,
        method=method,
        backbone=variant.backbone,
        protocol="paper",
        ratio=str(checked.ratio),
        majority=checked.majority,
        majority_count=variant.imbalance.majority_count,
        combination=combination,
        seed=seed,
        steps=request.steps or steps,
        eval_every=request.eval_every or variant.run.eval_every,
        validation=request.validation,
        settings=settings,
        data_digest=target.digest,
    )


def _counts(checked: Checked, spec: RunSpec, target: Manifest, asked: bool) -> tuple[int, ...]:
    available = target.train_counts
    fewest = min(available[c] for c in spec.combination or range(len(available)))
    if asked and spec.majority_count > fewest:
        raise InputError(
            f"{spec.majority_count} images of each majority class are more than there are: "
            f"imbalance.majority_count can be at most {fewest} here."
        )
    counts = class_counts(available, spec.combination, checked.ratio, spec.majority_count)
    if spec.validation and not any(validation_counts(counts, spec.validation)):
        raise InputError("With one image a class none can be held out: leave --validation out.")
    return counts


def _notes(checked: Checked, runs: Sequence[PlannedRun], target: Manifest) -> tuple[str, ...]:
    notes = []
    info = DATASETS[checked.recipe.name]
    first = runs[0].spec
    short = [
        f"{info.class_name(c)} ({n:,})"
        for c, n in enumerate(target.train_counts)
        if n < first.majority_count
    ]
    if short:
        notes.append(
            f"Fewer than {first.majority_count:,} images, so all are kept where a majority class: "
            + ", ".join(short)
            + "."
        )
    for spec in {r.spec.group(): r.spec for r in runs if r.spec.method == "dfg"}.values():
        n_W = spec.settings["dfg"]["n_W"]
        if spec.steps <= n_W:
            notes.append(
                f"dfg trains {spec.steps:,} steps and first updates its filter weights at step "
                f"{n_W:,} (dfg.n_W): rho cannot matter."
            )
            break
    touched = {name for m in checked.methods for name in METHOD_SECTIONS[m]}
    if any(m != "original" for m in checked.methods):
        touched.add("source")
    for key in checked.sweeps[0]:
        section = key.partition(".")[0]
        if section != "imbalance" and section not in touched:
            notes.append(f"--set {key} touches none of the chosen methods.")
    tuning = checked.recipe.tuning
    if tuning is not None and not checked.request.validation:
        pairs = {(tuple(c), s) for c in tuning.combinations for s in tuning.seeds}
        if any((r.spec.combination, r.spec.seed) in pairs for r in runs):
            notes.append(
                "Some of these (combination, seed) pairs served to choose the recipe's settings: "
                "take other seeds for results."
            )
    return tuple(notes)


def trained_parameters(run: PlannedRun) -> int:
    """Return how many parameters a run's weights file holds."""
    info = BACKBONES[run.spec.backbone]
    classes = len(run.class_counts)
    if run.spec.method == "dfg":
        return info.dfg_parameters(classes)
    return info.classifier_parameters(classes)
