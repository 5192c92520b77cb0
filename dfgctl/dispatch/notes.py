"""What the user should know about a plan before it starts."""

from collections.abc import Sequence

from dfgctl import ledger
from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.request import Checked
from dfgctl.fragments import pairs_of, search_of
from dfgctl.records import PlannedRun


def notes(checked: Checked, runs: Sequence[PlannedRun], target: Manifest) -> tuple[str, ...]:
    """Return the notes on a plan, one sentence each."""
    return (
        *_left_out(target),
        *_short_classes(checked, runs, target),
        *_early_end(runs),
        *idle_settings(checked),
        *_tuned_on(checked, runs),
        *_searched_on(runs),
    )


def _left_out(target: Manifest) -> list[str]:
    if not target.broken:
        return []
    names = ", ".join(target.broken[:5])
    more = f" and {len(target.broken) - 5:,} more" if len(target.broken) > 5 else ""
    many = len(target.broken) > 1
    which = f"{len(target.broken):,} broken pictures are" if many else "1 broken picture is"
    return [f"{which} left out: {names}{more} (--strict stops instead)."]


def _short_classes(checked: Checked, runs: Sequence[PlannedRun], target: Manifest) -> list[str]:
    info = checked.info
    wanted = runs[0].spec.majority_count
    short = [
        f"{info.class_name(c)} ({n:,})" for c, n in enumerate(target.train_counts) if n < wanted
    ]
    if not short:
        return []
    return [
        f"Fewer than {wanted:,} images, so all are kept where a majority class: {', '.join(short)}."
    ]


def _early_end(runs: Sequence[PlannedRun]) -> list[str]:
    for spec in {r.spec.group(): r.spec for r in runs if r.spec.method == "dfg"}.values():
        n_W = spec.settings["dfg"]["n_W"]
        if spec.steps <= n_W:
            return [
                f"dfg trains {spec.steps:,} steps and first updates its filter weights at step "
                f"{n_W:,} (dfg.n_W): rho cannot matter."
            ]
    return []


def idle_settings(checked: Checked) -> list[str]:
    """Return a sentence for each setting that was given and can change nothing."""
    found = []
    if checked.request.split and not any(m.name == "dfg" or m.code for m in checked.methods):
        found.append("--split touches none of the chosen methods.")
    touched = {"imbalance", *(name for m in checked.methods for name in m.sections)}
    if checked.needs_source:
        touched.add("source")
    changed = checked.variants[0].changes
    for key in changed:
        section, _, name = key.partition(".")
        if section == "fidelity":
            entry = ledger.SWITCHES[name]
            idle = not any(entry.touches(m.name, checked.recipe.backbone) for m in checked.methods)
            # F15 also chooses the majority classes that all methods share.
            idle = idle and not (name == "F15" and checked.majority and not checked.combinations)
        else:
            idle = section not in touched
        if idle:
            found.append(f"--set {key} touches none of the chosen methods.")
    for variant in checked.variants:
        for note in ledger.ineffective(variant.readings, changed):
            if note not in found:
                found.append(note)
    return found


def _tuned_on(checked: Checked, runs: Sequence[PlannedRun]) -> list[str]:
    tuning = checked.recipe.tuning
    if tuning is None or checked.request.validation:
        return []
    pairs = {(tuple(c), s) for c in tuning.combinations for s in tuning.seeds}
    if not any((r.spec.combination, r.spec.seed) in pairs for r in runs):
        return []
    return [
        "Some of these (combination, seed) pairs served to choose the recipe's settings: take "
        "other seeds for results."
    ]


def _searched_on(runs: Sequence[PlannedRun]) -> list[str]:
    whole = [r.spec for r in runs if not r.spec.validation]
    if not any(
        (spec.combination, spec.seed) in pairs_of(search_of(spec).get("pairs", ()))
        for spec in whole
    ):
        return []
    return [
        "Some of these (combination, seed) pairs served dfgctl tune to find their settings: take "
        "other seeds for results."
    ]
