"""Which finished runs a figure of networks shows."""

from collections.abc import Callable, Hashable, Mapping, Sequence

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.commands import command, data_of
from dfgctl.report.groups import row_of

Kept = Callable[[Run], bool]
"""Whether a run's weights are still there."""

Pair = Mapping[str, Run]
"""Runs of one (combination, seed) pair, by what each stands for."""


def newest(runs: Sequence[Run], recipes: Mapping[str, Recipe], method: str, kept: Kept) -> Run:
    """Return the newest finished run of a method: by the recipe, and with weights, if one is.

    Args:
        runs: the runs, in any state.
        recipes: recipe of each data set that is looked at.
        method: the method.
        kept: whether a run's weights are there.

    Raises:
        NothingToShowError: there is none.
        InputError: several data sets have such runs.
    """
    found = [
        run
        for run in runs
        if run.spec.method == method and run.spec.dataset in recipes and run.metrics is not None
    ]
    _check_one({run.spec.dataset for run in found}, recipes)
    if not found:
        recipe = recipes.get("digits", next(iter(recipes.values())))
        of = f" on {recipe.name}" if len(recipes) == 1 else ""
        raise NothingToShowError(
            f"There is no finished run of {method}{of}: train one with dfgctl run "
            f"{data_of(recipe)} --method {method}"
        )

    def rank(run: Run) -> tuple[Hashable, ...]:
        recipe = recipes[run.spec.dataset]
        return kept(run), _by_recipe(run, recipe), run.created_at, run.id

    return max(found, key=rank)


def pairs(
    runs: Sequence[Run],
    recipes: Mapping[str, Recipe],
    wanted: Mapping[str, Callable[[Run], bool]],
    kept: Kept,
    like: Run | None = None,
    without: str | None = None,
) -> list[Pair]:
    """Find (combination, seed) pairs that have a finished run of each kind that is wanted.

    Runs of a pair agree in data, imbalance, protocol and source; a method without a source joins
    any. Of several runs of a kind the recipe's own comes first, then the newest.

    Args:
        runs: the runs, in any state.
        recipes: recipe of each data set that is looked at.
        wanted: what tells each kind, by its name.
        kept: whether a run's weights are there.
        like: a run of the pair that is wanted; None for any.
        without: a setting, ``dfg.rho`` say, in which the runs of a pair differ; all others are
            then the same. None where they may differ, as several methods do.

    Returns:
        The pairs, best first: with weights, the recipe's imbalance, source and settings, the
        newest.

    Raises:
        NothingToShowError: there is no such pair.
        InputError: several data sets have such pairs.
    """
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        if run.spec.dataset not in recipes or run.metrics is None:
            continue
        if any(test(run) for test in wanted.values()):
            groups.setdefault(_shared(run, recipes[run.spec.dataset], without), []).append(run)
    if like is not None:
        key = _shared(like, recipes[like.spec.dataset], without)
        groups = {k: members for k, members in groups.items() if k == key}
    found: list[Pair] = []
    lacking: list[tuple[Pair, list[str]]] = []
    for members in groups.values():
        sources = {run.spec.source_identity for run in members} - {None} or {None}
        if like is not None and like.spec.source_identity is not None:
            sources = {like.spec.source_identity}
        for source in sorted(sources, key=str):
            of_source = [r for r in members if r.spec.source_identity in (None, source)]
            pair = {}
            for name, test in wanted.items():
                fitting = [run for run in of_source if test(run)]
                if fitting:
                    pair[name] = max(
                        fitting,
                        key=lambda r: (
                            like is not None and r.id == like.id,
                            kept(r),
                            _by_recipe(r, recipes[r.spec.dataset]),
                            r.created_at,
                            r.id,
                        ),
                    )
            if len(pair) == len(wanted):
                found.append(pair)
            elif pair:
                lacking.append((pair, [name for name in wanted if name not in pair]))
    if not found:
        raise NothingToShowError(_missing(lacking, recipes, wanted, like, without))
    _check_one({_first(pair).spec.dataset for pair in found}, recipes)
    return sorted(found, key=lambda pair: _rank(pair, recipes, kept), reverse=True)


def same_kind(pair: Pair, other: Pair) -> bool:
    """Say whether two pairs differ in combination and seed alone."""
    return pair.keys() == other.keys() and all(
        pair[name].spec.group() == other[name].spec.group() for name in pair
    )


def _first(pair: Pair) -> Run:
    return next(iter(pair.values()))


def _by_recipe(run: Run, recipe: Recipe) -> bool:
    spec = run.spec
    usual = spec.ratio == recipe.imbalance.ratio and spec.source in (None, recipe.sources[0])
    return usual and row_of(run, recipe).is_recipe()


def _shared(run: Run, recipe: Recipe, without: str | None) -> Hashable:
    """Return what the runs of a pair have in common, beside their source."""
    spec = run.spec
    key: tuple[Hashable, ...] = (
        spec.dataset,
        spec.data_digest,
        spec.backbone,
        spec.protocol,
        spec.ratio,
        spec.majority,
        spec.majority_count,
        spec.combination,
        spec.seed,
        spec.validation,
        spec.results_version,
        spec.precision,
    )
    if without is None:
        return key
    notes = row_of(run, recipe).notes
    return (*key, tuple(note for note in notes if not note.startswith(f"{without}=")))


def _rank(pair: Pair, recipes: Mapping[str, Recipe], kept: Kept) -> tuple[bool | int | str, ...]:
    members = list(pair.values())
    recipe = recipes[members[0].spec.dataset]
    sources = {run.spec.source for run in members} - {None}
    return (
        all(map(kept, members)),
        members[0].spec.ratio == recipe.imbalance.ratio,
        sources <= {recipe.sources[0]},
        sum(_by_recipe(run, recipe) for run in members),
        max(run.created_at for run in members).isoformat(),
        members[0].id,
    )


def _missing(
    lacking: Sequence[tuple[Pair, list[str]]],
    recipes: Mapping[str, Recipe],
    wanted: Mapping[str, Callable[[Run], bool]],
    like: Run | None,
    without: str | None,
) -> str:
    """Say which runs are missing, and what to type."""
    names = ", ".join(wanted)
    if lacking:
        pair, missing = min(lacking, key=lambda item: len(item[1]))
        # Not all methods have a source, and the command must name it.
        run = next((r for r in pair.values() if r.spec.source is not None), _first(pair))
    elif like is not None:
        run, missing = like, list(wanted)
    else:
        recipe = recipes.get("digits", next(iter(recipes.values())))
        of = f" on {recipe.name}" if len(recipes) == 1 else ""
        options = _options(list(wanted))
        return (
            f"There are no finished runs of {names}{of}: train some with dfgctl run "
            f"{data_of(recipe)}{options} --repeats 1"
        )
    spec = run.spec
    classes = ",".join(map(str, spec.combination))
    where = f"combination {{{classes}}} and seed {spec.seed}" if classes else f"seed {spec.seed}"
    chosen = [f'--combinations "{classes}"'] if classes else []
    train = command(
        run, *chosen, f"--seed {spec.seed} --repeats 1{_options(missing)}", free=without
    )
    return (
        f"No (combination, seed) pair has finished runs of {names}: with {where} on "
        f"{spec.dataset} there is none of {', '.join(missing)}. Train with {train}"
    )


def _options(names: Sequence[str]) -> str:
    """Return the options that make runs of these kinds: methods, or values of one setting."""
    settings: dict[str, list[str]] = {}
    methods = [name for name in names if "=" not in name]
    for name in names:
        key, equals, value = name.partition("=")
        if equals:
            settings.setdefault(key, []).append(value)
            methods = list(dict.fromkeys([*methods, key.partition(".")[0]]))
    chosen = "".join(f" --method {method}" for method in methods)
    return chosen + "".join(f" --set {key}={','.join(v)}" for key, v in settings.items())


def _check_one(datasets: set[str], recipes: Mapping[str, Recipe]) -> None:
    """Refuse to choose among data sets."""
    if len(datasets) > 1:
        named = [name for name in recipes if name in datasets]
        raise InputError(
            f"There are such runs of {' and '.join(named)}: choose one with --dataset."
        )
