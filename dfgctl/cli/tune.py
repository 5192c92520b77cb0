"""``dfgctl tune``: search each method's settings with the same budget."""

import shlex
from typing import Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    JsonOption,
    RegistryOption,
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
from dfgctl.cli.worker import DeviceOption, PackOption, pack_of
from dfgctl.errors import UnknownNameError

EPILOG = (
    "Examples:  dfgctl tune digits --method balanced --trials 20   |   "
    "dfgctl tune svhn --method all --workers 4   |   dfgctl tune digits --show   |   "
    "dfgctl run digits --tuned --method balanced"
)

SELECTS = ("last", "val")

NOT_PASSED = ("dataset", "workers", "device", "registry", "show", "json", "threads", "with_parent")
"""Parameters that helping processes do not take from this one's command line."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune", epilog=EPILOG)(tune)


@reported
def tune(
    ctx: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            help="The data set: a recipe's name, a recipe's file, or a folder of pictures.",
            autocompletion=complete.targets,
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A method, paper, rivals or all, or package.module:Class; may be repeated. "
            "\\[default: all]",
            autocompletion=complete.several_methods,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each method, pruned ones included. \\[default: 20]"),
    ] = None,
    imbalance: ImbalanceOption = None,
    majority: MajorityOption = None,
    combinations: Annotated[
        str,
        typer.Option(
            help="Sets of majority classes to tune on, such as '0,4;1,7'. \\[default: those set "
            "aside]",
            show_default=False,
        ),
    ] = "all",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the pairs, and of the search. \\[default: 900]"),
    ] = None,
    source: SourceOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting that is fixed, section.key=value, and so is not searched.",
            autocompletion=complete.settings,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="How the ledger is read: paper or released.", autocompletion=complete.protocols
        ),
    ] = "paper",
    split: Annotated[
        str | None,
        typer.Option(help="Where dfg splits ResNet-50.", autocompletion=complete.splits),
    ] = None,
    backbone: BackboneOption = None,
    test_fraction: TestFractionOption = None,
    precision: Annotated[
        str,
        typer.Option(help="fp32, tf32 or bf16.", autocompletion=complete.precisions),
    ] = "fp32",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps of every method, which are not searched then."),
    ] = None,
    eval_every: EvalEveryOption = None,
    validation: Annotated[
        float,
        typer.Option(min=0.01, max=0.5, help="Share of the training subset to judge by."),
    ] = 0.2,
    select: Annotated[
        str,
        typer.Option(
            help="Judge by the last step, or by each run's best on the validation share (val)."
        ),
    ] = "last",
    pack: PackOption = "auto",
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the search.")] = 1,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
    show: Annotated[
        bool, typer.Option("--show", help="Show what was found so far, and stop.")
    ] = False,
    json: JsonOption = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads.", hidden=True)] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Help another process.", hidden=True)
    ] = False,
) -> None:
    """Search the settings of methods on a validation share, each with the same budget.

    Trials train on pairs that are set aside, and never look at the test images. What is found goes
    to tuned/ beside the registry; dfgctl run --tuned uses it. The same command typed again goes on.
    """
    from dfgctl.cli.planning import target_of
    from dfgctl.cli.tuning import Search, show_found, tune_all
    from dfgctl.dispatch.request import Request
    from dfgctl.registry.engine import home

    if select not in SELECTS:
        raise UnknownNameError("--select of a search", select, SELECTS)
    target = target_of(dataset, backbone, test_fraction, strict=False)
    target = target.looked_through(home(registry), keep=not show)
    request = Request(
        dataset=target.recipe.name,
        recipe=target.recipe,
        info=target.info,
        imbalance=imbalance,
        majority=majority,
        combinations=combinations,
        source=source,
        methods=tuple(method or ("all",)),
        settings=tuple(settings or ()),
        protocol=protocol,
        split=split or "",
        precision=precision,
        steps=steps,
        eval_every=eval_every,
        validation=validation,
    )
    search = Search(
        request=request,
        target=target,
        named=named(dataset, backbone, test_fraction),
        typed=typed(ctx),
        registry=registry,
        data_dir=data_dir,
        trials=trials,
        seed=seed,
        select=select,
        pack=pack_of(pack),
        device=device,
        workers=workers,
        threads=threads,
        helps=with_parent,
    )
    if show:
        show_found(search, json)
    else:
        tune_all(search, json)


def named(dataset: str, backbone: str | None, test_fraction: float | None) -> str:
    """Return what a command calls a data set, or a folder of pictures."""
    words = [dataset]
    if backbone is not None:
        words += ["--backbone", backbone]
    if test_fraction is not None:
        words += ["--test-fraction", repr(test_fraction)]
    return shlex.join(words)


def typed(ctx: typer.Context) -> tuple[str, ...]:
    """Return the words with which another process makes the same search."""
    words = [str(ctx.params["dataset"])]
    for parameter in ctx.command.params:
        value = ctx.params.get(str(parameter.name))
        if parameter.name in NOT_PASSED or value is None or value == parameter.default:
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            words += [parameter.opts[-1], str(one)]
    return tuple(words)
