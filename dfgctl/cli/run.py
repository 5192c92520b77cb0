"""``dfgctl run``: plan runs, train what is missing, show what came out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    JsonOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import err, escape, out, print_json, reported
from dfgctl.errors import InputError, RunsFailedError

if TYPE_CHECKING:
    from dfgctl.data.manifest import ChecksumCache, Manifest
    from dfgctl.dispatch.plan import Checked, Plan
    from dfgctl.records import PlannedRun, Run, SourceSpec
    from dfgctl.registry import Registry
    from dfgctl.report.selection import Select

EPILOG = (
    "Examples:  dfgctl run digits --imbalance 10:1 --repeats 3   |   "
    "dfgctl run digits --method dfg --set dfg.rho=0,0.25,0.5,0.75,1   |   "
    "dfgctl run fmnist --source mnist --repeats 5 --dry-run"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EPILOG)(run)


@reported
def run(
    dataset: Annotated[str, typer.Argument(help="The data set: the name of a recipe.")],
    imbalance: Annotated[
        str | None,
        typer.Option(help="Majority to minority, R:1. \\[default: the recipe's]"),
    ] = None,
    majority: Annotated[
        int | None, typer.Option(help="Number of majority classes. \\[default: the recipe's]")
    ] = None,
    combinations: Annotated[
        str, typer.Option(help="Sets of majority classes: all, or such as '0,4;1,7'.")
    ] = "all",
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs of combination and seed. \\[default: the recipe's]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first repeats.")] = 0,
    method: Annotated[
        list[str] | None, typer.Option(help="A method; may be repeated. \\[default: all]")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The source data set. \\[default: the recipe's first]")
    ] = None,
    source_weights: Annotated[
        Path | None, typer.Option(help="Weights (safetensors) instead of a source data set.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, section.key=value; values with commas are a sweep."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of every method, for a trial.")
    ] = None,
    eval_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between evaluations. \\[default: the recipe's]")
    ] = None,
    validation: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of the training subset that is held out."),
    ] = 0.0,
    pack: Annotated[
        str, typer.Option(help="Runs that are trained together: a number, or auto.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train all of the plan once more; older attempts are kept."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and what it would cost, and stop.")
    ] = False,
    select: SelectOption = None,
    json: JsonOption = False,
) -> None:
    """Train all methods on a data set, or those asked for, and show the table.

    Only what is not finished yet is trained: an interrupted command, typed again, goes on.
    """
    from dfgctl.dispatch.plan import Request, check

    request = Request(
        dataset=dataset,
        imbalance=imbalance,
        majority=majority,
        combinations=combinations,
        repeats=repeats,
        seed=seed,
        source=source,
        source_weights=source_weights,
        methods=tuple(method or ()),
        settings=tuple(settings or ()),
        steps=steps,
        eval_every=eval_every,
        validation=validation,
    )
    if select == "val" and not validation:
        raise InputError("--select val needs images to choose by: add --validation 0.1.")
    checked = check(request)
    pack_size = _pack(pack)
    if dry_run:
        _dry_run(checked, data_dir, open_registry(registry, optional=True), force, json)
        return
    from dfgctl.dispatch.worker import Place, Worker, auto_pack, choose_device

    torch_device = choose_device(device)
    if source_weights is not None:
        _check_weights(source_weights, checked.recipe.backbone)
    store = open_registry(registry, create=True)
    assert store is not None
    plan = _plan(checked, data_dir, store.folder, download=True)
    store.enqueue(plan.runs, force)
    status = store.statuses(r.id for r in plan.runs)
    missing = [r for r in plan.runs if status[r.id] in ("queued", "running")]
    _announce(plan, missing, store)
    place = Place(
        torch_device, pack_size or auto_pack(torch_device), data_dir, request.source_weights
    )
    if missing:
        from dfgctl.cli.live import watcher

        with watcher(plan, len(missing)) as watch:
            Worker(store, plan, place, watch).work()
    _conclude(plan, store, select, json)


def _pack(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--pack takes auto or a number of at least 1, not '{text}'.")
    return int(text)


def _check_weights(file: Path, name: str) -> None:
    """Read the weights that the user named, so that nothing is queued that cannot start."""
    from dfgctl.networks.backbones import backbone
    from dfgctl.pretraining import read_weights

    read_weights(file, backbone(name))


def _plan(checked: "Checked", data_dir: Path, folder: Path, download: bool) -> "Plan":
    """Make the plan, from manifests; download what is missing if that is allowed."""
    from dfgctl.data.catalog import DATASETS
    from dfgctl.data.manifest import ChecksumCache
    from dfgctl.dispatch.plan import make

    cache = ChecksumCache(folder / "manifests" / "checksums.json", keep=download)
    target = _manifest(DATASETS[checked.recipe.name].name, data_dir, cache, download)
    weights = checked.request.source_weights
    if weights is not None:
        if not weights.is_file():
            raise InputError(f"There is no file {weights}: --source-weights takes safetensors.")
        return make(checked, target, None, cache.sha256(weights))
    source = None
    if any(m != "original" for m in checked.methods):
        source = _manifest(checked.source, data_dir, cache, download)
    return make(checked, target, source)


def _manifest(name: str, data_dir: Path, cache: "ChecksumCache", download: bool) -> "Manifest":
    from dfgctl.data.catalog import DATASETS
    from dfgctl.data.manifest import manifest, missing_files

    info = DATASETS[name]
    if download and missing_files(info, data_dir):
        from dfgctl.data.fetch import fetch

        err().print(f"{info.title} is not in {escape(str(data_dir))}: downloading it.")
        fetch(info, data_dir)
    return manifest(info, data_dir, cache)


def _unready(
    plan: "Plan", missing: "Sequence[PlannedRun]", store: "Registry | None"
) -> "list[SourceSpec]":
    """Return the source networks that are still to be trained."""
    needed = {run.spec.source_identity for run in missing}
    return [
        spec
        for spec in plan.sources
        if spec.identity() in needed
        and spec.weights_digest is None
        and (store is None or store.source(spec.identity()) is None)
    ]


def _announce(plan: "Plan", missing: "Sequence[PlannedRun]", store: "Registry") -> None:
    from dfgctl.cli.names import duration
    from dfgctl.dispatch.estimate import estimate

    console = err()
    console.print(
        f"{plan.recipe.name}: {len(plan.runs)} runs, {len(plan.runs) - len(missing)} have ended "
        f"already, {len(missing)} to train."
    )
    if missing:
        known = store.runs(dataset=plan.recipe.name)
        guess = estimate(missing, known, plan.recipe, _unready(plan, missing, store))
        if guess.seconds is not None:
            console.print(f"About {duration(guess.seconds)}, by {guess.basis}.")
    for note in plan.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")


def _conclude(plan: "Plan", store: "Registry", select: "Select | None", json: bool) -> None:
    """Show what came out; exit 0 only if all runs of the plan are finished."""
    from dfgctl.cli.runs import record
    from dfgctl.cli.table import show
    from dfgctl.report.tables import results

    by_id = {r.id: r for r in store.runs(run.id for run in plan.runs)}
    runs = [by_id[run.id] for run in plan.runs]
    if json:
        print_json([record(r, select) for r in runs])
    else:
        show(results(runs, {plan.recipe.name: plan.recipe}, select))
    unfinished = [r for r in runs if r.status != "finished"]
    if unfinished:
        raise RunsFailedError(_failures(unfinished))


def _failures(failed: "list[Run]") -> str:
    from dfgctl.cli.names import short

    kinds = Counter(r.outcome or r.status for r in failed)
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    reason = (failed[0].error or "").strip().splitlines()
    why = f" The first one: {reason[-1]}" if reason else ""
    again = " --force trains diverged ones once more." if "diverged" in kinds else ""
    return (
        f"{len(failed)} runs did not finish ({listed}).{why}{again} "
        f"See dfgctl runs show {short(failed[0].id)}."
    )


def _dry_run(
    checked: "Checked", data_dir: Path, store: "Registry | None", force: bool, json: bool
) -> None:
    from rich.table import Table

    from dfgctl.cli.names import combination, duration, short, size
    from dfgctl.dispatch.estimate import estimate

    folder = store.folder if store else Path(DEFAULT_REGISTRY).parent
    plan = _plan(checked, data_dir, folder, download=False)
    known = store.runs(dataset=plan.recipe.name) if store else []
    by_id = {r.id: r for r in known}
    status = {r.id: by_id[r.id].status if r.id in by_id else "new" for r in plan.runs}
    missing = [r for r in plan.runs if force or r.id not in by_id or not by_id[r.id].ended]
    guess = estimate(missing, known, plan.recipe, _unready(plan, missing, store))
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
                    "class_counts": list(r.class_counts),
                    "status": status[r.id],
                }
                for r in plan.runs
            ]
        )
        return
    table = Table(title=f"{plan.recipe.name}: {len(plan.runs)} runs", title_justify="left")
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
    time = "unknown" if guess.seconds is None else f"about {duration(guess.seconds)}"
    console.print(
        f"{len(missing)} to train: {time}, by {guess.basis}; about {size(guess.disk)} of disk."
        if missing
        else "All are finished already."
    )
    for note in plan.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")
