"""The table of searches: how far each method came with the same budget."""

from collections.abc import Sequence

from dfgctl.report.table import Cell, Column, Table
from dfgctl.tuning.outcome import TOP, Outcome

COLUMNS = (
    *(Column("Method", "label"), Column("Trials"), Column("Best"), Column("Recipe")),
    *(Column(f"{TOP} best"), Column("Seconds"), Column("At the edge")),
)


def make(found: Sequence[Outcome]) -> Table:
    """Make the table of searches on one data set, a row for each method.

    Args:
        found: what they found, at least one.
    """
    task = found[0].task
    spec = task.spec
    step = "last" if task.select == "last" else "best"
    counts = {len(o.trials) for o in found}
    notes = []
    if len(counts) > 1:
        notes.append(
            "The methods have not the same number of trials: those with more are tuned better."
        )
    return Table(
        name="tuning",
        title=f"{spec.dataset} {spec.ratio}, tuned",
        columns=COLUMNS,
        rows=[_row(o) for o in found],
        caption=f"Balanced accuracy in % on {spec.validation:g} of the training images of each "
        f"class, held out, at the {step} step, mean over {len(task.pairs)} pairs; test images were "
        "not looked at. Recipe: its own settings, the first trial. The best of many trials "
        "flatters: dfgctl run --tuned tells what it is worth.",
        notes=notes,
        records=[record(o) for o in found],
    )


def record(found: Outcome) -> dict[str, object]:
    """Return what a search found, for scripts."""
    best, spec = found.best, found.task.spec
    return {
        "dataset": spec.dataset,
        "ratio": spec.ratio,
        "method": spec.method,
        "contender": spec.contender,
        "study": found.task.study,
        "trials": len(found.trials),
        "wanted": found.wanted,
        "pruned": found.pruned,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "diverged": found.diverged,
        "best": best.value if best else None,
        "recipe": found.own,
        "top": found.top,
        "seconds": found.seconds,
        "edge": found.edge,
        "settings": found.task.settings(best.parameters) if best else {},
        "pairs": [[list(combination), seed] for combination, seed in found.task.pairs],
    }


def _row(found: Outcome) -> list[Cell]:
    top = found.top
    more = ("pruned", "diverged", "failed", "interrupted")
    said = [f"{n} {name}" for name in more if (n := getattr(found, name))]
    mean = sum(top) / len(top) if top else None
    return [
        Cell([found.task.title]),
        Cell([str(len(found.trials)), *said], order=len(found.trials)),
        _percent(found.best.value if found.best else None),
        _percent(found.own),
        Cell(
            [f"{100 * mean:.2f}", f"{100 * top[-1]:.2f} to {100 * top[0]:.2f}"]
            if mean is not None
            else [],
            order=mean,
        ),
        Cell([f"{found.seconds:,.0f}"], order=found.seconds),
        Cell([", ".join(found.edge)] if found.edge else []),
    ]


def _percent(value: float | None) -> Cell:
    return Cell([] if value is None else [f"{100 * value:.2f}"], order=value)
