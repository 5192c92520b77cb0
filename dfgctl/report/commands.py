"""The commands that train runs."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dfgctl.contenders import RANDOM, RIVALS
from dfgctl.data.catalog import DATASETS
from dfgctl.data.imbalance import Ratio
from dfgctl.departures import departures, exact
from dfgctl.errors import InputError
from dfgctl.fragments import search_of
from dfgctl.recipe import Recipe
from dfgctl.records import PRECISIONS, Run, RunSpec
from dfgctl.report.groups import BALANCED
from dfgctl.templates import recipe_of


def target_of(run: Run) -> list[str]:
    """Return the words that train something on a run's data set."""
    return ["dfgctl", "run", *shlex.split(data_of(recipe_of(run.spec, run.card)))]


def method_of(run: Run) -> str:
    """Return what a run's method is called in a command."""
    return str(run.spec.settings.get("code", {}).get("class", run.spec.method))


def contenders_of(runs: Sequence[Run], names: Sequence[str], recipe: Recipe) -> list[str]:
    """Return the words that train contenders, rivals from what they start from.

    Args:
        runs: runs, among them those of methods of one's own that are named.
        names: the contenders (see ``CONTENDERS``), or methods of one's own.
        recipe: the recipe of the data set.
    """
    own = {run.spec.method: method_of(run) for run in runs if "code" in run.spec.settings}
    starts: dict[str, list[str]] = {}
    for name in names:
        method, _, init = (own[name], "", "") if name in own else name.partition("/")
        starts.setdefault(method, []).append(init or RANDOM)
    inits = {m: ",".join(dict.fromkeys(found)) for m, found in starts.items() if m in RIVALS}
    return [
        *(f"--method {method}" for method in starts),
        *(f"--set {m}.init={init}" for m, init in inits.items() if init != recipe.start(m)),
    ]


def tuned(spec: RunSpec, recipe: Recipe) -> list[str]:
    """Return the words that give a run what was found for it; none where nothing was."""
    if not search_of(spec):
        return []
    init = spec.settings[spec.method].get("init")
    if init in (None, recipe.start(spec.method)):
        return ["--tuned"]
    return ["--tuned", "--set", f"{spec.method}.init={init}"]


def settings_of(
    run: Run,
    weights: str = "FILE",
    protocol: str | None = None,
    usual: bool = True,
    free: str | None = None,
) -> list[str]:
    """Return the words that give a run its source and its settings.

    Args:
        run: the run.
        weights: the file of its source network, where that is no data set's.
        protocol: the protocol instead of the run's own, with none of its single switches.
        usual: whether also the source is named that ``run`` takes by itself.
        free: a setting, ``dfg.rho`` say, that is left out.
    """
    spec = run.spec
    recipe = recipe_of(spec, run.card)
    words = []
    if spec.source is not None and spec.source.startswith("file:"):
        words += ["--source-weights", weights]
    elif spec.source is not None and (usual or spec.source != recipe.sources[0]):
        words += ["--source", spec.source]
    if (protocol or spec.protocol) != "paper":
        words += ["--protocol", protocol or spec.protocol]
    if split := spec.settings.get("network", {}).get("split"):
        words += ["--split", split]
    if spec.precision != PRECISIONS[0]:
        words += ["--precision", spec.precision]
    if spec.steps != recipe.steps_of(spec):
        words += ["--steps", str(spec.steps)]
    if spec.eval_every != recipe.run.eval_every:
        words += ["--eval-every", str(spec.eval_every)]
    if spec.validation:
        words += ["--validation", exact(spec.validation)]
    if spec.majority_count not in (0, recipe.imbalance.majority_count):
        words += ["--set", f"imbalance.majority_count={spec.majority_count}"]
    words += tuned(spec, recipe)
    left_out = {"network", "numerics"} | ({"fidelity"} if protocol is not None else set())
    settable = {n: v for n, v in spec.settings.items() if n not in left_out}
    for departure in departures(recipe, settable):
        if departure.partition("=")[0] != free:
            words += ["--set", departure]
    return words


def references_of(runs: Iterable[Run]) -> list[str]:
    """Return the commands that train the balanced references of runs, as few as there can be."""
    methods: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for run in runs:
        target, tail = target_of(run), settings_of(run, usual=False)
        named = methods.setdefault((tuple(target), tuple(tail)), [])
        named += [name for name in [method_of(run)] if name not in named]
    commands = []
    for (start, end), names in methods.items():
        named = [word for name in names for word in ("--method", name)]
        commands.append(shlex.join([*start, *named, "--imbalance", BALANCED, *end]))
    return commands


def data_of(recipe: Recipe) -> str:
    """Return what ``dfgctl run`` must be given for a recipe's data set."""
    if recipe.pictures is None:
        return recipe.name
    fraction = recipe.pictures.test_fraction
    split = "" if fraction is None else f" --test-fraction {exact(fraction)}"
    return f"{shlex.quote(recipe.pictures.folder)} --backbone {recipe.backbone}{split}"


def command(run: Run, *more: str, free: str | None = None) -> str:
    """Return the command that trains runs like one, all but the contender, the repeats and seeds.

    What the data set's recipe says is left out.

    Args:
        run: the run.
        more: options at the end, e.g. ``--method dfg``.
        free: a setting of the run that is left out, as ``more`` gives its values.
    """
    spec, imbalance = run.spec, recipe_of(run.spec, run.card).imbalance
    words = target_of(run)
    if spec.ratio != imbalance.ratio:
        words += ["--imbalance", spec.ratio]
    if spec.majority not in (0, imbalance.majority):
        words += ["--majority", str(spec.majority)]
    # What a rival starts from is said with its name (see ``contenders_of``).
    spec = replace(spec, settings={n: _startless(n, own) for n, own in spec.settings.items()})
    words += settings_of(replace(run, spec=spec), usual=False, free=free)
    return " ".join([shlex.join(words), *more])


def _startless(section: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {k: v for k, v in values.items() if k != "init"} if section in RIVALS else values


def command_for(
    recipe: Recipe,
    methods: Iterable[str] = (),
    ratio: str | None = None,
    majority: int | None = None,
    protocol: str | None = None,
    source: str | None = None,
) -> str:
    """Return a command that trains runs which pass filters; what is None is left open.

    Args:
        recipe: the recipe of the data set.
        methods: their methods; empty for all.
        ratio: their imbalance.
        majority: how many majority classes they have; 0 at 1:1.
        protocol: their protocol.
        source: their source.

    Raises:
        InputError: there can be no such runs.
    """
    classes = DATASETS[recipe.name].class_count if recipe.name in DATASETS else None
    stepped = Ratio.parse(ratio or recipe.imbalance.ratio).value > 1
    if majority == 0:
        if ratio is not None and stepped:
            raise InputError(f"At {ratio} there are majority classes: leave --majority 0 out.")
        ratio = ratio or BALANCED
    elif majority is not None:
        if classes is not None and majority >= classes:
            raise InputError(
                f"{majority} majority classes of {classes} leave no imbalance: --majority takes 1 "
                f"to {classes - 1}, or 0 at {BALANCED}."
            )
        if ratio is not None and not stepped:
            raise InputError(f"At {ratio} there are no majority classes: leave --majority out.")
        ratio = ratio if stepped else "10:1"
    words = ["dfgctl", "run", *shlex.split(data_of(recipe))]
    words += [word for method in methods for word in ("--method", method)]
    words += ["--imbalance", ratio] if ratio else []
    words += ["--majority", str(majority)] if majority else []
    words += ["--protocol", protocol] if protocol else []
    words += ["--source", source] if source else []
    return shlex.join(words)
