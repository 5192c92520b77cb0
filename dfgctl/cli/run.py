"""``dfgctl run``: plan runs, train what is missing, show what came out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    JsonOption,
    MethodsOption,
    RegistryOption,
    SelectOption,
    open_registry,
)
from dfgctl.cli.output import reported
from dfgctl.cli.planned import (
    BackboneOption,
    EvalEveryOption,
    ImbalanceOption,
    MajorityOption,
    SourceOption,
    TestFractionOption,
)
from dfgctl.cli.slurm import GresOption, PartitionOption, SetOption, SetupOption, TimeOption
from dfgctl.cli.worker import CheckpointOption, DeterministicOption, DeviceOption, PackOption
from dfgctl.errors import InputError

if TYPE_CHECKING:
    pass

EPILOG = (
    "Examples:  dfgctl run digits --imbalance 10:1 --repeats 3   |   "
    "dfgctl run digits --method dfg --set dfg.rho=0,0.25,0.5,0.75,1   |   "
    "dfgctl run fmnist --source mnist --repeats 5 --dry-run   |   "
    "dfgctl run ./pictures --backbone resnet50"
)


WORKERS = "Workers"  # the panel of --help with what says who trains


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EPILOG)(run)


@reported
def run(
    dataset: Annotated[
        str,
        typer.Argument(
            help="The data set: a recipe's name, a recipe's file (my.toml), or a folder of your "
            "own pictures (./folder).",
            autocompletion=complete.targets,
        ),
    ],
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    combinations: Annotated[
        str, typer.Option(help="Sets of majority classes: all, or such as '0,4;1,7'.")
    ] = "all",
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs of combination and seed. \\[default: the recipe's]"),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Seeds for each of the repeats' combinations (table spread)."),
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first repeats.")] = 0,
    method: MethodsOption = None,
    source: SourceOption = None,
    source_weights: Annotated[
        Path | None,
        typer.Option(help="Weights (safetensors, or torchvision's .pth) instead of a source."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting, section.key=value; values with commas are a sweep. init=source or "
            "init=random: what all the rivals asked for start from.",
            autocompletion=complete.settings,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="How the ledger is read: paper or released (dfgctl ledger).",
            autocompletion=complete.protocols,
        ),
    ] = "paper",
    split: Annotated[
        str | None,
        typer.Option(
            help="Where dfg splits ResNet-50: block1 to block4 (Table 3).",
            autocompletion=complete.splits,
        ),
    ] = None,
    backbone: BackboneOption = None,
    test_fraction: TestFractionOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a folder's broken pictures.")
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            help="How methods compute: fp32, tf32 (NVIDIA GPUs since A100) or bf16 (autocast). "
            "Source networks and evaluations are always fp32.",
            autocompletion=complete.precisions,
        ),
    ] = "fp32",
    tuned: Annotated[
        bool,
        typer.Option("--tuned", help="Take the settings that dfgctl tune found for each method."),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of every method, for a trial.")
    ] = None,
    eval_every: EvalEveryOption = None,
    validation: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of the training subset that is held out."),
    ] = 0.0,
    pack: PackOption = "auto",
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes, or Slurm jobs. \\[default: one for each GPU; on a CPU one for "
            "each core if LeNet-5 trains for more than a minute, else this process; one job]",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    launcher: Annotated[
        str,
        typer.Option(
            help="local, slurm, or dry-run: print what would be submitted to Slurm.",
            autocompletion=complete.launchers,
            rich_help_panel=WORKERS,
        ),
    ] = "local",
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Return at once; dfgctl runs watch looks on.",
            rich_help_panel=WORKERS,
        ),
    ] = False,
    slurm_partition: PartitionOption = None,
    slurm_time: TimeOption = None,
    slurm_gres: GresOption = None,
    slurm_set: SetOption = None,
    slurm_setup: SetupOption = None,
    checkpoint_every: CheckpointOption = "auto",
    deterministic: DeterministicOption = False,
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
    from dfgctl.cli.launching import Launch, train
    from dfgctl.cli.planning import check_weights, enqueue, plan_for, target_of
    from dfgctl.cli.summary import announce, conclude, foreseen, show_json
    from dfgctl.dispatch.request import Request, check
    from dfgctl.dispatch.slurm import SlurmOptions
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
        seeds=seeds,
        seed=seed,
        source=source,
        source_weights=source_weights,
        methods=tuple(method or ()),
        settings=tuple(settings or ()),
        protocol=protocol,
        split=split or "",
        precision=precision,
        steps=steps,
        eval_every=eval_every,
        validation=validation,
    )
    if select == "val" and not validation:
        raise InputError("--select val needs images to choose by: add --validation 0.1.")
    jobs = (tuple(slurm_set or ()), tuple(slurm_setup or ()))
    slurm = SlurmOptions(slurm_partition, slurm_time, slurm_gres, *jobs)
    how = (launcher, workers, detach, device, pack, data_dir, checkpoint_every, slurm)
    launch = Launch(registry, *how, deterministic)
    launch.check()
    checked = check(request)  # names and numbers, before a picture is looked at
    dry = dry_run or launcher == "dry-run"
    if not dry or device not in ("auto", "cpu"):  # the others are there without a look at torch
        launch.check_precision(precision)
    target = target.looked_through(folder, keep=not dry)
    checked = check(replace(request, recipe=target.recipe))
    if tuned:
        from dfgctl.cli.tune import named
        from dfgctl.dispatch.tuned import with_fragments

        checked = with_fragments(checked, folder, named(dataset, backbone, test_fraction))
    if dry:
        plan = plan_for(checked, target, data_dir, folder, keep=False)
        known = open_registry(registry, optional=True)
        if dry_run:
            from dfgctl.cli.dry_run import show_plan

            show_plan(plan, known, force, json, packs=pack == "auto" and device != "cpu")
        else:
            from dfgctl.cli.slurm import show_submission

            show_submission(launch, plan, known, folder, force)
        return
    if source_weights is not None:
        check_weights(source_weights, checked)
    store = open_registry(registry, create=True)
    assert store is not None
    plan = plan_for(checked, target, data_dir, store.folder, keep=True)
    queued = enqueue(store, plan, force, source_weights)
    status = store.statuses(r.id for r in plan.runs)
    missing = [r for r in plan.runs if status.get(r.id) in ("queued", "running")]
    guess = foreseen(plan, missing, store)
    launch = launch.on_all_cores(missing, guess.seconds)
    announce(plan, queued, missing, store, guess, launch.workers or 1)
    if missing and not train(launch, store, queued, len(missing)):
        if json:
            show_json(plan, store, select)
        return
    conclude(plan, store, select, json)
