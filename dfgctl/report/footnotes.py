"""What must be said below the table of results."""

from collections.abc import Mapping, Sequence

from dfgctl.fragments import Pair, pairs_of, search_of
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.cards import classes_of, title_of
from dfgctl.report.statistics import Summary


def footnotes(
    runs: Sequence[Run], recipes: Mapping[str, Recipe], shortened: bool
) -> tuple[str, ...]:
    """Return what holds for runs as a whole or for a data set.

    Args:
        runs: the runs of the table.
        recipes: recipe of each data set.
        shortened: whether some are marked as shortened.
    """
    notes = []
    if shortened:
        notes.append("† Shortened with --steps: not what the recipe trains.")
    of_dataset: dict[str, list[Run]] = {name: [] for name in recipes}
    for run in runs:
        of_dataset[run.spec.dataset].append(run)
    for name, recipe in recipes.items():
        own = of_dataset[name]
        kinds = (_few_images(own), _tuning(own, recipe), several_sources(own))
        notes += [note for note in kinds if note]
    return tuple(notes)


def several_sources(runs: Sequence[Run]) -> str | None:
    """Say where runs of a data set share a source network in name alone.

    A source network is trained on each machine that has none, and rounding makes another of it.

    Args:
        runs: the runs of one data set.
    """
    weights: dict[str, set[str]] = {}
    for run in runs:
        identity = run.spec.source_identity
        if identity and run.metrics and run.metrics.source_weights:
            weights.setdefault(identity, set()).add(run.metrics.source_weights)
    most = max(map(len, weights.values()), default=0)
    if most < 2:
        return None
    return (
        f"{title_of(runs[0])}: runs from one source started from {most} networks, trained apart "
        "with the same settings (dfgctl runs compare shows which): a part of their differences is "
        "those networks'."
    )


def without_source(title: str, unseen: Mapping[str, Mapping[str, Summary]]) -> str | None:
    """Return a data set's accuracies without the test images that the source was trained on.

    Args:
        title: the data set's title.
        unseen: for each row, by its name, the accuracies of the methods that have them, by title.

    Returns:
        None for a data set without any.
    """
    lines = [
        f"{row}: {', '.join(f'{method} {s.text()} (n = {s.n})' for method, s in found.items())}."
        for row, found in unseen.items()
        if found
    ]
    if not lines:
        return None
    return (
        f"{title}, last step, without the test images that the source network was trained on. "
        + " ".join(lines)
    )


def _few_images(runs: Sequence[Run]) -> str | None:
    short: dict[int, int] = {}
    wanted = 0
    # Many runs have the same combination and images of each class; each such kind is looked at
    # once, in the order in which the kinds come last.
    kinds = dict.fromkeys(
        (run.spec.combination, run.class_counts, run.spec.majority_count) for run in reversed(runs)
    )
    for combination, counts, count in reversed(kinds):
        kept = {c: counts[c] for c in combination or range(len(counts))}
        short.update({c: n for c, n in kept.items() if n < count})
        wanted = max(wanted, count)
    if not short:
        return None
    classes = classes_of(runs[0])
    listed = ", ".join(f"{classes[c]} ({n:,})" for c, n in sorted(short.items()))
    return (
        f"{title_of(runs[0])}: majority classes with fewer than {wanted:,} images keep all they "
        f"have: {listed}."
    )


def _tuning(runs: Sequence[Run], recipe: Recipe) -> str | None:
    tuning = recipe.tuning
    pairs = {(tuple(c), s) for c in tuning.combinations for s in tuning.seeds} if tuning else set()
    whole = [r for r in runs if not r.spec.validation]
    chosen = ["the recipe's"] if any(_pair(r) in pairs for r in whole) else []
    if any(_pair(r) in pairs_of(search_of(r.spec).get("pairs", ())) for r in whole):
        chosen.append("tuned")
    if not chosen:
        return None
    return (
        f"{title_of(runs[0])}: some of these (combination, seed) pairs served to choose "
        f"{' and '.join(chosen)} settings."
    )


def _pair(run: Run) -> Pair:
    return run.spec.combination, run.spec.seed
