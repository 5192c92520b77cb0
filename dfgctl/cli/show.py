"""How one run is shown, and the command that remakes it."""

from typing import TYPE_CHECKING, Any

from dfgctl.cli.output import escape, out
from dfgctl.fragments import TUNED
from dfgctl.records import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dfgctl.records import Attempt, Measurement, Metrics, Run, Source


def command_of(run: "Run", source: "Source | None") -> str:
    """Return the command that remakes a run.

    Args:
        run: the run.
        source: its source network, where it has one that is ready.
    """
    from dfgctl.report.remake import command

    return command(run, weights=source.path if source else None)


def print_run(
    run: "Run", command: str, attempts: "list[Attempt]", measurements: "list[Measurement]"
) -> None:
    """Print a run: settings, results, evaluations, attempts, and the command that remakes it."""
    from rich.table import Table

    from dfgctl.cli.names import combination, duration
    from dfgctl.cli.names import status as status_of
    from dfgctl.report.cards import classes_of

    spec, console = run.spec, out()
    majority = f"majority classes {combination(spec)}" if spec.combination else combination(spec)
    facts: list[tuple[str, str]] = [
        ("Run", run.id),
        ("Status", status_of(run)),
        ("Data set", f"{spec.dataset}, {spec.ratio}, {majority}"),
        ("Images a class", ", ".join(map(str, run.class_counts))),
        ("Method", f"{spec.method} on {spec.backbone}, protocol {spec.protocol}"),
        ("Source", _source(run)),
        ("Seed", str(spec.seed)),
        ("Steps", f"{spec.steps:,}, evaluated every {spec.eval_every:,}"),
    ]
    if spec.validation:
        share = f"{spec.validation:g} of these images are held out"
        facts.insert(4, ("Validation", share))
    if spec.precision != PRECISIONS[0]:
        facts.append(("Precision", f"{spec.precision}, evaluated in {PRECISIONS[0]}"))
    for section, values in spec.settings.items():
        if section == "numerics":
            continue
        if section == TUNED:
            text = f"{values['trials']} trials (fragment {values['found'][:7]}): "
            facts.append((section, text + _listed(values["values"])))
            continue
        facts.append((section, _listed(values)))
    if run.metrics is not None:
        m = run.metrics
        facts += [
            ("Accuracy", _accuracies(m)),
            (
                "Balanced",
                f"accuracy {100 * m.balanced_accuracy:.2f} %, macro F1 "
                f"{100 * m.macro_f1:.2f} %, G-mean {100 * m.gmean:.2f} %",
            ),
        ]
        if m.accuracy_unseen is not None:
            text = f"{100 * m.accuracy_unseen:.2f} % at the end, without the test images that the "
            facts.append(("Unseen", f"{text}source network was trained on"))
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
    if run.checkpoint_step and run.status != "running":
        facts.append(("Checkpoint", f"at step {run.checkpoint_step:,}: it goes on from there"))
    if run.error:
        facts.append(("Error", run.error.strip()))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, escape(value))
    console.print(table)

    if run.metrics is not None:
        classes = classes_of(run)
        recalls = Table(title="Recall of each class", title_justify="left", box=None)
        recalls.add_column("Class")
        recalls.add_column("Images", justify="right")
        recalls.add_column("Recall %", justify="right")
        for c, recall in enumerate(run.metrics.recalls):
            star = " (majority)" if c in spec.combination else ""
            value = "" if recall is None else f"{100 * recall:.2f}"
            recalls.add_row(f"{c} {escape(classes[c])}{star}", str(run.class_counts[c]), value)
        console.print(recalls)
    if measurements:
        _print_evaluations(console, measurements)
    for attempt in attempts:
        _print_attempt(console, attempt, newest=attempt is attempts[-1])
    console.print("\nRemake it with:", style="bold")
    console.print(command, markup=False, soft_wrap=True)


def _source(run: "Run") -> str:
    """Name the source, with the fingerprint of the weights that the run started from."""
    if run.spec.source is None:
        return "none: random weights"
    weights = run.metrics.source_weights if run.metrics else None
    return f"{run.spec.source}, weights {weights}" if weights else run.spec.source


def _listed(values: "Mapping[str, Any]") -> str:
    return ", ".join(f"{k}={v}" for k, v in values.items())


def _print_attempt(console: Any, attempt: "Attempt", newest: bool) -> None:
    """Print an attempt: how it ended, when, where and by whom; the newest's error stands above."""
    from dfgctl.cli.names import duration, size, when

    commit = attempt.provenance.get("commit")
    tree = {True: " (tree not clean)", False: "", None: ""}[attempt.provenance.get("dirty")]
    made = f"commit {commit[:10]}{tree}" if commit else f"dfgctl {attempt.provenance['dfgctl']}"
    facts = [attempt.outcome or "under way", f"started {when(attempt.started_at)}"]
    if attempt.ended_at is not None:
        seconds = (attempt.ended_at - attempt.started_at).total_seconds()
        facts.append(f"lasted {duration(max(seconds, 0))}")
    if attempt.resumed_step:
        facts.append(f"went on from step {attempt.resumed_step:,}")
    if attempt.provenance.get("deterministic"):
        facts.append("deterministic")
    facts += [attempt.device, f"pack of {attempt.pack_size}"]
    if attempt.peak_bytes is not None:
        facts.append(f"which took {size(attempt.peak_bytes)}")
    facts.append(f"worker {attempt.worker}")
    facts += [made, f"torch {attempt.provenance['packages']['torch']}"]
    console.print(f"Attempt {attempt.number}: {', '.join(facts)}", style="dim", markup=False)
    if attempt.error and not newest:
        console.print(attempt.error.strip(), style="dim", markup=False, soft_wrap=True)


def _accuracies(metrics: "Metrics") -> str:
    """Write the last, the best and, where there is one, the validated accuracy."""
    m = metrics
    parts = [
        f"{100 * m.accuracy_last:.2f} % at the end",
        f"best {100 * m.accuracy_best:.2f} % at step {m.best_step:,} (by the test set)",
    ]
    if m.accuracy_val is not None and m.val_step is not None:
        parts.append(
            f"{100 * m.accuracy_val:.2f} % at step {m.val_step:,} (by the validation share)"
        )
    return ", ".join(parts)


def _print_evaluations(console: Any, measurements: "list[Measurement]") -> None:
    from rich.table import Table

    keep = 12
    stride = -(-len(measurements) // keep)
    shown = [m for i, m in enumerate(measurements) if (len(measurements) - 1 - i) % stride == 0]
    names = sorted({name for m in measurements for name in m.losses})
    title = "Evaluations" if stride == 1 else f"Evaluations (one of {stride}; --json has all)"
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
