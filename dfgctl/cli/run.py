"""``dfgctl run``: plan runs, train what is missing, show what came out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
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
from dfgctl.cli.output import err, escape, print_json, reported
from dfgctl.errors import InputError, RunsFailedError

if TYPE_CHECKING:
    from dfgctl.dispatch.plan import Plan
    from dfgctl.records import PlannedRun, Run
    from dfgctl.registry import Registry
    from dfgctl.report.selection import Select

EPILOG = (
    "Examples:  dfgctl run digits --imbalance 10:1 --repeats 3   |   "
    "dfgctl run digits --method dfg --set dfg.rho=0,0.25,0.5,0.75,1   |   "
    "dfgctl run fmnist --source mnist --repeats 5 --dry-run   |   "
    "dfgctl run ./pictures --backbone resnet50"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EPILOG)(run)


@reported
def run(
    dataset: Annotated[
        str,
        typer.Argument(
            help="The data set: a recipe's name, a recipe's file (my.toml), or a folder of your "
            "own pictures (./folder)."
        ),
    ],
    imbalance: Annotated[
        str | None,
        typer.Option(help="Majority to minority, R:1, or as-is. \\[default: the recipe's]"),
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
        list[str] | None,
        typer.Option(
            help="A method, or package.module:Class; may be repeated. \\[default: all of ours]"
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The source data set. \\[default: the recipe's first]")
    ] = None,
    source_weights: Annotated[
        Path | None,
        typer.Option(help="Weights (safetensors, or torchvision's .pth) instead of a source."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, section.key=value; values with commas are a sweep."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="How the ledger is read: paper or released (dfgctl ledger).")
    ] = "paper",
    split: Annotated[
        str | None,
        typer.Option(help="Where dfg splits ResNet-50: block1 to block4 (Table 3)."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="The network for a folder: lenet5, vgg16 or resnet50.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(help="Share of a folder's pictures that tests, where it has no test/."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a folder's broken pictures.")
    ] = False,
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
    from dfgctl.cli.planning import check_weights, plan_for, target_of
    from dfgctl.dispatch.request import Request, check
    from dfgctl.registry.engine import home

    folder = home(registry)
    target = target_of(dataset, backbone, test_fraction, strict)
    request = Request(
        dataset=target.recipe.name,
        recipe=target.recipe,
        info=target.info,
        imbalance=imbalance,
        majority=majority,
        combinations=combinations,
        repeats=repeats,
        seed=seed,
        source=source,
        source_weights=source_weights,
        methods=tuple(method or ()),
        settings=tuple(settings or ()),
        protocol=protocol,
        split=split or "",
        steps=steps,
        eval_every=eval_every,
        validation=validation,
    )
    if select == "val" and not validation:
        raise InputError("--select val needs images to choose by: add --validation 0.1.")
    checked = check(request)  # names and numbers, before a picture is looked at
    target = target.looked_through(folder, keep=not dry_run)
    checked = check(replace(request, recipe=target.recipe))
    pack_size = _pack(pack)
    if dry_run:
        from dfgctl.cli.dry_run import show_plan

        plan = plan_for(checked, target, data_dir, folder, keep=False)
        show_plan(plan, open_registry(registry, optional=True), force, json)
        return
    from dfgctl.dispatch.worker import Place, Worker, auto_pack, choose_device

    torch_device = choose_device(device)
    if source_weights is not None:
        check_weights(source_weights, checked)
    store = open_registry(registry, create=True)
    assert store is not None
    plan = plan_for(checked, target, data_dir, store.folder, keep=True)
    store.keep_card(plan.card)
    store.enqueue(plan.runs, force)
    status = store.statuses(r.id for r in plan.runs)
    missing = [r for r in plan.runs if status[r.id] in ("queued", "running")]
    _announce(plan, missing, store)
    place = Place(
        torch_device,
        pack_size or auto_pack(torch_device, checked.recipe.backbone),
        data_dir,
        request.source_weights,
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


def _announce(plan: "Plan", missing: "Sequence[PlannedRun]", store: "Registry") -> None:
    from dfgctl.cli.names import counted, duration
    from dfgctl.cli.planning import unready
    from dfgctl.dispatch.estimate import estimate

    console = err()
    console.print(
        f"{plan.recipe.name}: {counted(len(plan.runs), 'run')}, {len(plan.runs) - len(missing)} "
        f"ended already, {len(missing)} to train."
    )
    if missing:
        known = store.runs(dataset=plan.recipe.name)
        guess = estimate(missing, known, plan.recipe, unready(plan, missing, store))
        if guess.seconds is not None:
            console.print(f"About {duration(guess.seconds)}, by {guess.basis}.")
    for note in plan.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")


def _conclude(plan: "Plan", store: "Registry", select: "Select | None", json: bool) -> None:
    """Show what came out; exit 0 only if all runs of the plan are finished."""
    from dfgctl.cli.runs import record
    from dfgctl.cli.table import show
    from dfgctl.report.tables import results
    from dfgctl.templates import recipes_of

    by_id = {r.id: r for r in store.runs(run.id for run in plan.runs)}
    runs = [by_id[run.id] for run in plan.runs]
    if json:
        print_json([record(r, select) for r in runs])
    else:
        show(results(runs, recipes_of(runs, [plan.recipe.name]), select))
    unfinished = [r for r in runs if r.status != "finished"]
    if unfinished:
        raise RunsFailedError(_failures(unfinished))


def _failures(failed: "list[Run]") -> str:
    from dfgctl.cli.names import counted, short

    kinds = Counter(r.outcome or r.status for r in failed)
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    reason = (failed[0].error or "").strip().splitlines()
    why = f" The first one: {reason[-1]}" if reason else ""
    again = " --force trains diverged ones once more." if "diverged" in kinds else ""
    return (
        f"{counted(len(failed), 'run')} did not finish ({listed}).{why}{again} "
        f"See dfgctl runs show {short(failed[0].id)}."
    )
