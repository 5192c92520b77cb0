"""Plans runs: methods x repeats x swept values, from a recipe and what the user asked for."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from dfgctl import ledger
from dfgctl.data.imbalance import (
    class_counts,
    combination_at,
    random_combination,
    validation_counts,
)
from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.notes import notes
from dfgctl.dispatch.request import Checked, Variant
from dfgctl.errors import InputError
from dfgctl.fragments import TUNED, check_fits
from dfgctl.networks.catalog import BACKBONES
from dfgctl.plugins import MethodInfo
from dfgctl.recipe import Recipe
from dfgctl.records import PRECISIONS, DatasetCard, PlannedRun, RunSpec, SourceSpec
from dfgctl.seeding import key as seeding_key

NETWORK_SWITCHES = ("F09", "F27")
"""Switches that change the network itself, and so the source's network too."""

SHAPE_SWITCHES = ("F09",)
"""Those of them that change its weights, so that a file of weights is of one reading."""


@dataclass(frozen=True)
class Plan:
    """What ``dfgctl run`` is to do.

    Attributes:
        recipe: the recipe, as its file has it.
        runs: the runs, in the order in which they are to be trained.
        sources: the source networks that the runs need.
        notes: what the user should know before it starts.
        card: what the registry keeps of it.
    """

    recipe: Recipe
    card: DatasetCard
    runs: tuple[PlannedRun, ...]
    sources: tuple[SourceSpec, ...]
    notes: tuple[str, ...] = field(default=())


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
    for i in range(checked.repeats * checked.request.seeds):
        for method in checked.methods:
            for variant in checked.variants:
                network = None
                if method.starts_from_source(variant.section(method.name)):
                    network = source_of(checked, variant, source, source_weights)
                    sources[network.identity()] = network
                spec = spec_of(checked, variant, method, target, network)
                combination, seed = repeat(checked, variant, i, len(target.train_counts))
                spec = replace(spec, combination=combination, seed=seed)
                asked = "imbalance.majority_count" in variant.changes
                counts = counts_of(checked, spec, target, asked)
                own = {k: v for k, v in variant.changes.items() if _touches(k, spec)}
                runs.append(PlannedRun(spec, counts, own))
    unique: dict[str, PlannedRun] = {}
    for run in runs:  # a method that a swept value does not touch runs once
        unique.setdefault(run.id, run)
    plan = tuple(unique.values())
    return Plan(
        recipe=checked.recipe,
        card=card_of(checked, target),
        runs=plan,
        sources=tuple(sources.values()),
        notes=notes(checked, plan, target),
    )


def _touches(key: str, spec: RunSpec) -> bool:
    """Say whether a swept setting changes a run."""
    section, _, name = key.partition(".")
    if section == "fidelity":
        return name == "F15" or ledger.SWITCHES[name].touches(spec.method, spec.backbone)
    return section == "imbalance" or section in spec.settings


def repeat(checked: Checked, variant: Variant, i: int, classes: int) -> tuple[tuple[int, ...], int]:
    """Return the combination and seed of repeat i.

    Combination ``order[i mod C]`` and seed ``S + i div C``; without majority classes none and
    ``S + i``; with F15 read as released a random one and ``S + i``.

    With n seeds for each combination, the R repeats come n times. The seeds of ``order[i mod C]``
    are then ``S + n (i div C)`` and the n - 1 after it, or with F15 ``S + i`` and every R-th after
    it: no pair comes twice, and the first R are those of a plan with one seed if R is at most C.
    """
    again, i = divmod(i, checked.repeats)
    seed, n = checked.request.seed, checked.request.seeds
    if checked.majority == 0:
        return (), seed + i
    if checked.combinations is not None:
        count = len(checked.combinations)
        return checked.combinations[i % count], seed + n * (i // count) + again
    if "F15" in variant.readings:
        drawn = seeding_key("majority classes", seed + i)
        combination = random_combination(drawn, classes, checked.majority)
        return combination, seed + i + again * checked.repeats
    count = math.comb(classes, checked.majority)
    combination = combination_at(i % count, classes, checked.majority)
    return combination, seed + n * (i // count) + again


def card_of(checked: Checked, target: Manifest) -> DatasetCard:
    """Return what the registry keeps of a data set."""
    pictures = checked.recipe.pictures
    return DatasetCard(
        digest=target.digest,
        name=checked.recipe.name,
        title=checked.info.title,
        classes=target.classes or checked.info.classes,
        folder=pictures.folder if pictures else None,
        test_fraction=pictures.test_fraction if pictures else None,
        fewest=min(target.train_counts),
    )


def source_of(
    checked: Checked, variant: Variant, source: Manifest | None, weights: str | None
) -> SourceSpec:
    """Return the source network of a variant's runs.

    Args:
        checked: the request.
        variant: a point of its sweep.
        source: the source's manifest; None where a file of weights stands for it.
        weights: SHA-256 of that file.
    """
    backbone = variant.recipe.backbone
    switches = NETWORK_SWITCHES if weights is None else SHAPE_SWITCHES
    touching = [
        i for i in switches if i in variant.readings and backbone in ledger.SWITCHES[i].backbones
    ]
    settings: dict[str, Any] = {}
    if touching:
        settings["fidelity"] = dict.fromkeys(touching, ledger.RELEASED)
    if weights is not None:
        return SourceSpec(f"file:{weights[:10]}", backbone, weights, settings, weights)
    assert source is not None
    if variant.recipe.source:
        settings |= variant.recipe.source.identifying()
    return SourceSpec(source.name, backbone, source.digest, settings)


def spec_of(
    checked: Checked,
    variant: Variant,
    method: MethodInfo,
    target: Manifest,
    network: SourceSpec | None,
) -> RunSpec:
    """Return a run's spec, less its combination and seed.

    Args:
        checked: the request.
        variant: a point of its sweep.
        method: the method.
        target: the target's manifest.
        network: the source network; None for a method that starts from random weights.

    Raises:
        InputError: its settings were found for something else.
    """
    fragment = variant.tuned.get(method.name)
    variant = variant.of(method.name)
    request, recipe = checked.request, variant.recipe
    settings = {name: variant.section(name).identifying() for name in method.sections}
    steps = settings[method.name].pop("steps")
    if method.code:
        settings["code"] = dict(method.code)
    if network is not None and network.weights_digest is None and recipe.source is not None:
        settings["source"] = recipe.source.identifying()
    # Only DFG depends on where the network is split.
    if request.split not in ("", next(iter(BACKBONES[recipe.backbone].splits))) and (
        method.name == "dfg" or method.code
    ):
        settings["network"] = {"split": request.split}
    if request.precision != PRECISIONS[0]:
        settings["numerics"] = {"precision": request.precision}
    single = ledger.departing(variant.readings, request.protocol, method.name, recipe.backbone)
    if single:
        settings["fidelity"] = dict(single)
    if fragment is not None:
        settings[TUNED] = fragment.identifying()
    spec = RunSpec(
        dataset=recipe.name,
        source=network.dataset if network is not None else None,
        source_identity=network.identity() if network is not None else None,
        method=method.name,
        backbone=recipe.backbone,
        protocol=request.protocol,
        ratio=str(checked.ratio),
        majority=checked.majority,
        majority_count=0 if checked.ratio.as_is else recipe.imbalance.majority_count,
        combination=(),
        seed=0,
        steps=request.steps or steps,
        eval_every=request.eval_every or recipe.run.eval_every,
        validation=request.validation,
        settings=settings,
        data_digest=target.digest,
    )
    if fragment is not None:
        check_fits(fragment, spec, variant.changes)
    return spec


def counts_of(
    checked: Checked, spec: RunSpec, target: Manifest, asked: bool = False
) -> tuple[int, ...]:
    """Return the images of each class that a run keeps.

    Args:
        checked: the request.
        spec: the run.
        target: the target's manifest.
        asked: whether the user named the images of a majority class.

    Raises:
        InputError: a class cannot have as many, or none can be held out.
    """
    available = target.train_counts
    fewest = min(available[c] for c in spec.combination or range(len(available)))
    if asked and spec.majority_count > fewest:
        raise InputError(
            f"{spec.majority_count} images of each majority class are more than there are: "
            f"imbalance.majority_count can be at most {fewest} here."
        )
    counts = class_counts(available, spec.combination, checked.ratio, spec.majority_count)
    if spec.validation and not any(validation_counts(counts, spec.validation)):
        raise InputError(
            "With one image a class none can be held out: have more images of each class, or no "
            "validation share."
        )
    return counts
