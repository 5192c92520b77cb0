"""``dfgctl runs``: list runs, show one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli.options import (
    DEFAULT_REGISTRY,
    JsonOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import err, out, print_json, reported
from dfgctl.cli.show import command_of, print_run

if TYPE_CHECKING:
    from dfgctl.records import Attempt, Measurement, Run
    from dfgctl.report.selection import Select


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Look at the registry's runs.")
    group.command("list", epilog="Example:  dfgctl runs list --dataset digits --json")(list_runs)
    group.command("show", epilog="Example:  dfgctl runs show 3f9a")(show_run)
    app.add_typer(group, name="runs")


@reported
def list_runs(
    dataset: Annotated[str | None, typer.Option(help="Only of this data set.")] = None,
    method: Annotated[str | None, typer.Option(help="Only of this method.")] = None,
    status: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    select: SelectOption = None,
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """List runs, the oldest first."""
    from dfgctl.errors import UnknownNameError
    from dfgctl.records import METHODS, STATUSES

    if status is not None and status not in STATUSES:
        raise UnknownNameError("status", status, STATUSES)
    store = open_registry(registry)
    every = store.runs() if store else []
    methods = {*METHODS, *(r.spec.method for r in every)}
    if method is not None and method not in methods:
        raise UnknownNameError("method", method, methods)
    if dataset is not None and not any(r.spec.dataset == dataset for r in every):
        from dfgctl import recipe

        names = {*recipe.names(), *(r.spec.dataset for r in every)}
        if dataset not in names:
            raise UnknownNameError("data set", dataset, names)
    runs = [
        r
        for r in every
        if dataset in (None, r.spec.dataset)
        and method in (None, r.spec.method)
        and status in (None, r.status)
    ]
    if json:
        print_json([record(r, select) for r in runs])
        return
    if not runs:
        err().print("No such runs yet: train some, e.g. dfgctl run digits.")
        return
    _print_list(runs, select)


@reported
def show_run(
    run: Annotated[str, typer.Argument(help="The run's id, or the start of it.")],
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """Show a run: settings, results, evaluations, attempts, and the command that remakes it."""
    store = open_registry(registry)
    if store is None:
        from dfgctl.errors import InputError

        raise InputError(f"There is no run '{run}': there is no registry at {registry} yet.")
    found = store.find(run)
    attempts = store.attempts(found.id)
    shown = found.result_attempt or found.attempts
    measurements = store.measurements(found.id, shown) if shown else []
    identity = found.spec.source_identity
    command = command_of(found, store.source(identity) if identity else None)
    if json:
        print_json(_detail(found, command, attempts, measurements))
        return
    print_run(found, command, attempts, measurements)


def record(run: "Run", select: "Select | None" = None) -> dict[str, Any]:
    """Return a run as a plain object, its keys named as the records' fields.

    Args:
        run: the run.
        select: which of its accuracies is ``accuracy``; None for that of its own reading (F14).
    """
    from dataclasses import asdict

    from dfgctl.ledger import PAPER, RELEASED, readings_of, touching
    from dfgctl.report.selection import accuracy_of, shown_of

    used = readings_of(run.spec)
    switches = touching(run.spec.method, run.spec.backbone)
    spec = asdict(run.spec)
    metrics = asdict(run.metrics) if run.metrics else None
    return {
        "id": run.id,
        **spec,
        "readings": {i: RELEASED if i in used else PAPER for i in switches},
        "status": run.status,
        "outcome": run.outcome,
        "error": run.error,
        "class_counts": list(run.class_counts),
        "created_at": run.created_at.isoformat(),
        "attempts": run.attempts,
        "device": run.device,
        "dirty": run.dirty,
        "select": shown_of(run, select).value,
        "accuracy": accuracy_of(run, select),
        "metrics": metrics,
    }


def _detail(
    run: "Run", command: str, attempts: "list[Attempt]", measurements: "list[Measurement]"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **record(run),
        "command": command,
        "attempt_list": [asdict(a) for a in attempts],
        "measurements": [asdict(m) for m in measurements],
    }


def _print_list(runs: "list[Run]", select: "Select | None") -> None:
    from rich.table import Table

    from dfgctl.cli.names import combination, short
    from dfgctl.cli.names import status as status_of
    from dfgctl.report.selection import CAPTIONS, Select, shown_of

    shown = {shown_of(run, select) for run in runs}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("Run", "left"),
        ("Data set", "left"),
        ("Method", "left"),
        ("Ratio", "right"),
        ("Majority", "left"),
        ("Seed", "right"),
        ("Steps", "right"),
        ("Status", "left"),
        (f"{shown.copy().pop().capitalize()} %" if len(shown) == 1 else "Acc. %", "right"),
    ):
        whole = not column.endswith("%")  # a reason in place of a number may fold
        table.add_column(column, justify=justify, no_wrap=whole)  # type: ignore[arg-type]
    for run in runs:
        spec = run.spec
        table.add_row(
            short(run.id),
            spec.dataset,
            spec.method,
            spec.ratio,
            combination(spec),
            str(spec.seed),
            f"{spec.steps:,}",
            status_of(run),
            _accuracy(run, select, named=len(shown) > 1),
        )
    console = out(wide=True)
    console.print(table)
    if console.is_terminal:
        console.print(f"{len(runs)} runs", style="dim")
    for one in (s for s in Select if s in shown and s is not Select.last):
        err().print(f"{CAPTIONS[one]}.", style="dim", soft_wrap=True)


def _accuracy(run: "Run", select: "Select | None", named: bool) -> str:
    """Write the accuracy of a run that is shown, and which it is where the list has several."""
    from dfgctl.report.selection import accuracy_of, gap_of, shown_of

    accuracy = accuracy_of(run, select)
    if accuracy is None:
        return gap_of(run, select) or ""
    value = f"{100 * accuracy:.2f}"
    return f"{value} {shown_of(run, select)}" if named else value
