"""``dfgctl runs``: list runs, show one."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from dfgctl.cli.output import err, escape, out, print_json, reported

if TYPE_CHECKING:
    from dfgctl.records import Attempt, Measurement, Run


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
    registry: RegistryOption = DEFAULT_REGISTRY,
    json: JsonOption = False,
) -> None:
    """List runs, the oldest first."""
    from dfgctl.errors import UnknownNameError
    from dfgctl.records import METHODS, STATUSES

    if method is not None and method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if status is not None and status not in STATUSES:
        raise UnknownNameError("status", status, STATUSES)
    if dataset is not None:
        from dfgctl import recipe

        recipe.path_of(dataset)
    store = open_registry(registry)
    runs = store.runs(dataset=dataset) if store else []
    runs = [
        r
        for r in runs
        if (method is None or r.spec.method == method) and (status is None or r.status == status)
    ]
    if json:
        print_json([record(r) for r in runs])
        return
    if not runs:
        err().print("No such runs yet: train some, e.g. dfgctl run digits.")
        return
    _print_list(runs)


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
    if json:
        print_json(_detail(found, attempts, measurements))
        return
    _print_run(found, attempts, measurements)


def record(run: "Run") -> dict[str, Any]:
    """Return a run as a plain object, its keys named as the records' fields."""
    from dataclasses import asdict

    spec = asdict(run.spec)
    metrics = asdict(run.metrics) if run.metrics else None
    return {
        "id": run.id,
        **spec,
        "status": run.status,
        "outcome": run.outcome,
        "error": run.error,
        "class_counts": list(run.class_counts),
        "created_at": run.created_at.isoformat(),
        "attempts": run.attempts,
        "device": run.device,
        "dirty": run.dirty,
        "metrics": metrics,
    }


def command_of(run: "Run") -> str:
    """Return the command that remakes a run."""
    from dfgctl import recipe as recipes

    spec = run.spec
    recipe = recipes.load(spec.dataset)
    words = ["dfgctl", "run", spec.dataset, "--method", spec.method, "--imbalance", spec.ratio]
    if spec.combination:
        words += ["--majority", str(spec.majority)]
        words += ["--combinations", ",".join(map(str, spec.combination))]
    words += ["--repeats", "1", "--seed", str(spec.seed)]
    if spec.source is not None and not spec.source.startswith("file:"):
        words += ["--source", spec.source]
    elif spec.source is not None:
        words += ["--source-weights", f"{spec.source.removeprefix('file:')}.safetensors"]
    if spec.steps != recipe.steps(spec.method):
        words += ["--steps", str(spec.steps)]
    if spec.eval_every != recipe.run.eval_every:
        words += ["--eval-every", str(spec.eval_every)]
    if spec.validation:
        words += ["--validation", repr(spec.validation)]
    if spec.majority_count != recipe.imbalance.majority_count:
        words += ["--set", f"imbalance.majority_count={spec.majority_count}"]
    for section, values in spec.settings.items():
        own = recipe.section(section).values()
        for name, value in values.items():
            if own.get(name) != value:
                words += ["--set", f"{section}.{name}={value!r}"]
    return shlex.join(words)


def _detail(
    run: "Run", attempts: "list[Attempt]", measurements: "list[Measurement]"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **record(run),
        "command": command_of(run),
        "attempt_list": [asdict(a) for a in attempts],
        "measurements": [asdict(m) for m in measurements],
    }


def _print_list(runs: "list[Run]") -> None:
    from rich.table import Table

    from dfgctl.cli.names import combination, short
    from dfgctl.cli.names import status as status_of

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
        ("Acc. %", "right"),
    ):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
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
            f"{100 * run.metrics.accuracy_last:.2f}" if run.metrics else "",
        )
    console = out()
    console.print(table)
    if not console.is_terminal:
        return
    console.print(f"{len(runs)} runs", style="dim")


def _print_run(run: "Run", attempts: "list[Attempt]", measurements: "list[Measurement]") -> None:
    from rich.table import Table

    from dfgctl.cli.names import combination, duration
    from dfgctl.cli.names import status as status_of
    from dfgctl.data.catalog import DATASETS

    spec, console = run.spec, out()
    facts: list[tuple[str, str]] = [
        ("Run", run.id),
        ("Status", status_of(run)),
        ("Data set", f"{spec.dataset}, {spec.ratio}, majority classes {combination(spec)}"),
        ("Images a class", ", ".join(map(str, run.class_counts))),
        ("Method", f"{spec.method} on {spec.backbone}, protocol {spec.protocol}"),
        ("Source", spec.source or "none: random weights"),
        ("Seed", str(spec.seed)),
        ("Steps", f"{spec.steps:,}, evaluated every {spec.eval_every:,}"),
    ]
    for section, values in spec.settings.items():
        facts.append((section, ", ".join(f"{k}={v}" for k, v in values.items())))
    if run.metrics is not None:
        m = run.metrics
        facts += [
            (
                "Accuracy",
                f"{100 * m.accuracy_last:.2f} % at the end, best "
                f"{100 * m.accuracy_best:.2f} % at step {m.best_step:,} (by the test set)",
            ),
            (
                "Balanced",
                f"accuracy {100 * m.balanced_accuracy:.2f} %, macro F1 "
                f"{100 * m.macro_f1:.2f} %, G-mean {100 * m.gmean:.2f} %",
            ),
        ]
        if m.majority_recall is not None and m.minority_recall is not None:
            facts.append(
                (
                    "Recall",
                    f"majority {100 * m.majority_recall:.2f} %, minority "
                    f"{100 * m.minority_recall:.2f} %",
                )
            )
        facts.append(
            ("Time", f"{duration(m.train_seconds)} training, {duration(m.eval_seconds)} evaluation")
        )
    if run.error:
        facts.append(("Error", run.error.strip()))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, escape(value))
    console.print(table)

    if run.metrics is not None:
        classes = DATASETS[spec.dataset].classes
        recalls = Table(title="Recall of each class", title_justify="left", box=None)
        recalls.add_column("Class")
        recalls.add_column("Images", justify="right")
        recalls.add_column("Recall %", justify="right")
        for c, recall in enumerate(run.metrics.recalls):
            star = " (majority)" if c in spec.combination else ""
            recalls.add_row(
                f"{c} {escape(classes[c])}{star}", str(run.class_counts[c]), f"{100 * recall:.2f}"
            )
        console.print(recalls)
    if measurements:
        _print_evaluations(console, measurements)
    for attempt in attempts:
        commit = attempt.provenance.get("commit")
        tree = {True: " (tree not clean)", False: "", None: ""}[attempt.provenance.get("dirty")]
        made = f"commit {commit[:10]}{tree}" if commit else f"dfgctl {attempt.provenance['dfgctl']}"
        console.print(
            f"Attempt {attempt.number}: {attempt.outcome or 'under way'}, "
            f"{attempt.started_at:%Y-%m-%d %H:%M} UTC, {attempt.device}, pack of "
            f"{attempt.pack_size}, {made}, torch {attempt.provenance['packages']['torch']}",
            style="dim",
            markup=False,
        )
    console.print("\nRemake it with:", style="bold")
    console.print(command_of(run), markup=False, soft_wrap=True)


def _print_evaluations(console: Any, measurements: "list[Measurement]") -> None:
    from rich.table import Table

    keep = 12
    stride = -(-len(measurements) // keep)
    shown = [m for i, m in enumerate(measurements) if (len(measurements) - 1 - i) % stride == 0]
    names = sorted({name for m in measurements for name in m.losses})
    title = "Evaluations" if stride == 1 else f"Evaluations (each {stride}th; --json has all)"
    table = Table(title=title, title_justify="left", box=None)
    columns = ["Step", "Acc. %", "Loss", *names]
    if shown[-1].val_accuracy is not None:
        columns.insert(2, "Val. %")
    for column in columns:
        table.add_column(column, justify="right")
    for m in shown:
        cells = [f"{m.step:,}", f"{100 * m.accuracy:.2f}", f"{m.loss:.3f}"]
        if m.val_accuracy is not None:
            cells.insert(2, f"{100 * m.val_accuracy:.2f}")
        table.add_row(*cells, *(f"{m.losses[n]:.3f}" if n in m.losses else "" for n in names))
    console.print(table)
