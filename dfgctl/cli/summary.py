"""What ``dfgctl run`` says before it trains, and what it shows after."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfgctl.cli.output import err, escape, out, print_json
from dfgctl.errors import RunsFailedError

if TYPE_CHECKING:
    from dfgctl.dispatch.estimate import Estimate
    from dfgctl.dispatch.plan import Plan
    from dfgctl.records import PlannedRun, Run
    from dfgctl.registry import Registry
    from dfgctl.report.selection import Select


def foreseen(plan: "Plan", missing: "Sequence[PlannedRun]", store: "Registry") -> "Estimate":
    """Estimate what the runs of a plan that are still to be trained will take.

    Args:
        plan: the plan.
        missing: those runs.
        store: the registry.
    """
    from dfgctl.cli.planning import unready
    from dfgctl.dispatch.estimate import NEWEST, Estimate, estimate

    if not missing:
        return Estimate(0.0, 0, "")
    known = store.runs(dataset=plan.recipe.name, newest=NEWEST)
    return estimate(missing, known, plan.recipe, unready(plan, missing, store))


def announce(
    plan: "Plan",
    queued: str,
    missing: "Sequence[PlannedRun]",
    store: "Registry",
    guess: "Estimate",
    workers: int,
) -> None:
    """Say how many runs there are, how long they will take, and what should be known of them.

    Args:
        plan: the plan.
        queued: its id in the registry.
        missing: its runs that are still to be trained.
        store: the registry.
        guess: how long they will take.
        workers: how many workers train them.
    """
    from dfgctl.cli.names import counted, duration

    console = err()
    console.print(
        f"{plan.recipe.name}: {counted(len(plan.runs), 'run')}, {len(plan.runs) - len(missing)} "
        f"ended already, {len(missing)} to train."
    )
    if busy := store.counts(queued)["running"]:
        console.print(f"{busy} of them being trained already, by other commands.")
    if missing and guess.seconds is not None:
        alone = f" for one worker, of {workers}" if workers > 1 else ""
        console.print(f"About {duration(guess.seconds)}{alone}, by {guess.basis}.")
    for note in plan.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")


def conclude(plan: "Plan", store: "Registry", select: "Select | None", json: bool) -> None:
    """Show what came out; exit 0 only if all runs of the plan are finished."""
    from dfgctl.cli.names import counted
    from dfgctl.cli.table_view import show
    from dfgctl.report.advice import advice
    from dfgctl.report.results import make
    from dfgctl.report.view import View
    from dfgctl.templates import recipes_of

    by_id = {r.id: r for r in store.runs(run.id for run in plan.runs)}
    runs = [by_id[run.id] for run in plan.runs if run.id in by_id]
    if json:
        show_json(plan, store, select)
    elif runs:
        view = View(runs, recipes_of(runs, [plan.recipe.name]), select)
        show(make(view))
        for sentence in advice(view).sentences():
            out().print(escape(sentence))
    unfinished = [r for r in runs if r.status != "finished"]
    if unfinished:
        raise RunsFailedError(_failures(unfinished))
    if gone := len(plan.runs) - len(runs):
        raise RunsFailedError(
            f"{counted(gone, 'run')} did not finish: removed from the registry meanwhile."
        )


def show_json(plan: "Plan", store: "Registry", select: "Select | None") -> None:
    """Print a plan's runs as JSON, as they are now."""
    from dfgctl.cli.runs import record

    by_id = {r.id: r for r in store.runs((run.id for run in plan.runs), whole=True)}
    print_json([record(by_id[run.id], select) for run in plan.runs if run.id in by_id])


def _failures(failed: "list[Run]") -> str:
    from dfgctl.cli.names import counted, short

    kinds = Counter(r.outcome or r.status for r in failed)
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    reason = (failed[0].error or "").strip().splitlines()
    why = f" The first one: {reason[-1].rstrip('.')}." if reason else ""
    again = " --force trains diverged ones once more." if "diverged" in kinds else ""
    if set(kinds) - {"diverged"}:
        again += " Type the command again to train the others."
    return (
        f"{counted(len(failed), 'run')} did not finish ({listed}).{why}{again} "
        f"See dfgctl runs show {short(failed[0].id)}."
    )
