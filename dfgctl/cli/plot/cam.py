"""``dfgctl plot cam`` (Fig. 3 and 4)."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_DATA, DEFAULT_REGISTRY, DataDirOption, RegistryOption
from dfgctl.cli.output import err, escape, reported
from dfgctl.cli.plot.common import (
    DataOption,
    DatasetOption,
    OutputOption,
    check_methods,
    check_output,
    keep,
)
from dfgctl.cli.plot.opened import RunArgument, SeedOption, numbers, opened

if TYPE_CHECKING:
    from dfgctl.records import Run

PAPER = ("original", "finetune", "delta", "dfg")
"""The methods of Fig. 3 and 4."""


class Of(StrEnum):
    """Of which class a map is."""

    true = "true"
    predicted = "predicted"


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("cam", epilog="Example:  dfgctl plot cam --dataset caltech256 --images 4")(cam)


@reported
def cam(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A method; may be repeated. \\[default: original, finetune, delta, dfg]",
            autocompletion=complete.methods,
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=20, help="Pictures that are shown.")] = 4,
    pictures: Annotated[
        str | None,
        typer.Option(
            help="Test pictures, by number with commas. \\[default: by the seed, of minority "
            "classes where there are any]"
        ),
    ] = None,
    measure: Annotated[
        int, typer.Option(min=1, help="Pictures behind the numbers, those shown included.")
    ] = 100,
    of: Annotated[Of, typer.Option(help="Maps of the true class, or of the predicted one.")] = (
        Of.true
    ),
    seed: SeedOption = 0,
    output: OutputOption = None,
    data: DataOption = None,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw class activation maps of the same pictures by several methods (Fig. 3, 4).

    The runs are of one (combination, seed) pair. ResNet-50 has the classic
    maps, LeNet-5 and VGG-16 have Grad-CAM at their last convolution. Each map
    is scaled by its own maximum.
    """
    from dfgctl.report.chosen import pairs

    check_output(output, data)
    named = numbers(pictures, "--pictures") if pictures else None
    found = opened(registry, dataset)
    check_methods(method or (), found.runs)
    wanted = {name: partial(_is_of, name) for name in dict.fromkeys(method or PAPER)}
    like = found.named(run) if run else None
    pair = pairs(found.runs, found.recipes, wanted, found.kept, like)[0]

    from dfgctl.analysis.comparison import compare
    from dfgctl.report.activation import draw

    trained = {name: found.trained(member) for name, member in pair.items()}
    arrays = found.pictures(next(iter(pair.values())), data_dir)
    seen, maps = compare(trained, arrays, images, named, measure, of.value, seed)
    drawn = draw(seen, maps)
    err().print(f"{escape(_title(list(pair.values())))}:", soft_wrap=True)
    keep(drawn, output, data, found.store)


def _is_of(method: str, run: "Run") -> bool:
    return run.spec.method == method


def _title(runs: "Sequence[Run]") -> str:
    from dfgctl.report.names import of_pair

    ids = ", ".join(f"{run.spec.method} {run.id[:10]}" for run in runs)
    return f"{of_pair(runs[-1])}, runs {ids}"
