"""What ``dfgctl run --dry-run`` shows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfgctl.cli.output import escape, out, print_json
from dfgctl.cli.planning import unready
from dfgctl.records import PRECISIONS

if TYPE_CHECKING:
    from dfgctl.dispatch.plan import Plan
    from dfgctl.memory import Profile
    from dfgctl.records import PlannedRun
    from dfgctl.registry import Registry


def show_plan(
    plan: "Plan", store: "Registry | None", force: bool, json: bool, packs: bool = True
) -> None:
    """Show a plan: its runs, which of them are there already, what the rest would cost.

    Args:
        plan: the plan.
        store: the registry, where there is one.
        force: whether runs that have ended count as missing.
        json: whether to print JSON.
        packs: whether to say how many runs are trained together where that was measured.
    """
    from rich.table import Table

    from dfgctl.cli.names import combination, counted, duration, short, size
    from dfgctl.dispatch.estimate import NEWEST, estimate

    known = store.runs(dataset=plan.recipe.name, newest=NEWEST) if store else []
    by_id = {r.id: r for r in store.runs(r.id for r in plan.runs)} if store else {}
    status = {r.id: by_id[r.id].status if r.id in by_id else "new" for r in plan.runs}
    missing = [r for r in plan.runs if force or r.id not in by_id or not by_id[r.id].ended]
    guess = estimate(missing, known, plan.recipe, unready(plan, missing, store))
    if json:
        print_json(
            [
                {
                    "id": r.id,
                    "dataset": r.spec.dataset,
                    "method": r.spec.method,
                    "source": r.spec.source,
                    "ratio": r.spec.ratio,
                    "combination": list(r.spec.combination),
                    "seed": r.spec.seed,
                    "steps": r.spec.steps,
                    "set": dict(r.sweep),
                    "protocol": r.spec.protocol,
                    "precision": r.spec.precision,
                    "settings": {name: dict(values) for name, values in r.spec.settings.items()},
                    "class_counts": list(r.class_counts),
                    "status": status[r.id],
                }
                for r in plan.runs
            ]
        )
        return
    precision = plan.runs[0].spec.precision
    title = f"{plan.recipe.name}: {counted(len(plan.runs), 'run')}"
    if precision != PRECISIONS[0]:
        title = f"{title}, precision {precision}"
    table = Table(title=title, title_justify="left")
    for column in ("Run", "Method", "Majority", "Seed", "Steps", "Set", "Status"):
        table.add_column(column, justify="right" if column in ("Seed", "Steps") else "left")
    for r in plan.runs:
        swept = ", ".join(f"{key}={value}" for key, value in r.sweep.items())
        table.add_row(
            short(r.id),
            r.spec.method,
            combination(r.spec),
            str(r.spec.seed),
            f"{r.spec.steps:,}",
            swept,
            status[r.id],
        )
    console = out()
    console.print(table)
    if not missing:
        console.print("All are finished already.")
    elif guess.seconds is None:
        console.print(
            f"{len(missing)} to train, how long is not known yet; about {size(guess.disk)} of disk."
        )
    else:
        console.print(
            f"{len(missing)} to train: about {duration(guess.seconds)}, by {guess.basis}; about "
            f"{size(guess.disk)} of disk."
        )
    if packs and store and missing:
        for line in expected_packs(missing, store.profiles()):
            console.print(escape(line))
    for note in plan.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")


def expected_packs(missing: "Sequence[PlannedRun]", profiles: "Sequence[Profile]") -> Iterator[str]:
    """Say, for each device on which it was measured, how many runs will be trained together.

    Args:
        missing: the runs that are to be trained.
        profiles: what was measured.
    """
    from dfgctl.cli.names import size
    from dfgctl.memory import kind_of, shared_out
    from dfgctl.networks.catalog import BACKBONES

    groups = Counter(run.spec.group() for run in missing)
    # Of several groups of a kind the largest one speaks for all.
    counts: dict[str, int] = {}
    for group, run in {run.spec.group(): run for run in missing}.items():
        kind = kind_of(run.spec)
        counts[kind] = max(groups[group], counts.get(kind, 0))
    said: dict[str, dict[str, str]] = {}
    for kind, count in counts.items():
        for profile in profiles:
            if profile.kind != kind or profile.line() is None:
                continue
            most = min(count, BACKBONES[profile.backbone].pack)
            pack = shared_out(count, profile.fitting(profile.device_bytes, most))
            takes = size(profile.bytes(pack) or 0)
            said.setdefault(profile.shown, {})[kind] = f"{pack} of {profile.method} ({takes})"
    for device, texts in said.items():
        yield f"Trained together on {device}, if nobody else uses it: {', '.join(texts.values())}."
