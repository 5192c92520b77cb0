"""``dfgctl plot tsne`` and ``pca`` (Fig. 2)."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dfgctl.cli.options import DEFAULT_DATA, DEFAULT_REGISTRY, DataDirOption, RegistryOption
from dfgctl.cli.output import err, escape, reported
from dfgctl.cli.plot.common import DataOption, DatasetOption, OutputOption, check_output, keep
from dfgctl.cli.plot.opened import RunArgument, SeedOption, class_numbers, opened
from dfgctl.errors import InputError

MOST = 10
"""Classes that colours and markers tell apart."""


class Real(StrEnum):
    """Which pictures the real features are of."""

    test = "test"
    training = "training"


ImagesOption = Annotated[
    int, typer.Option(min=1, help="Real features of a class, and as many generated ones.")
]
ClassesOption = Annotated[
    str | None,
    typer.Option(help="Classes, by number or name, with commas. \\[default: the first 10]"),
]
RealOption = Annotated[
    Real,
    typer.Option(help="Real features of test pictures, or of the run's own training pictures."),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("tsne", epilog="Example:  dfgctl plot tsne 3f9a --images 100 -o tsne.pdf")(tsne)
    group.command("pca", epilog="Example:  dfgctl plot pca --dataset digits --data pca.csv")(pca)


@reported
def tsne(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    images: ImagesOption = 50,
    classes: ClassesOption = None,
    real: RealOption = Real.test,
    seed: SeedOption = 0,
    output: OutputOption = None,
    data: DataOption = None,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw a run's real and generated features by t-SNE (Fig. 2), and say how well they match.

    Of dfg, features are E's output, and G's under the final filter weights;
    of difa, the last hidden layer and S's output. G's batch norms are in
    training mode, as when D and C learned from it. All numbers are measured on
    the features themselves, not in the picture.
    """
    _draw("tsne", run, dataset, images, classes, real, seed, output, data, data_dir, registry)


@reported
def pca(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    images: ImagesOption = 50,
    classes: ClassesOption = None,
    real: RealOption = Real.test,
    seed: SeedOption = 0,
    output: OutputOption = None,
    data: DataOption = None,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Draw a run's real and generated features by PCA (Fig. 2); see dfgctl plot tsne -h."""
    _draw("pca", run, dataset, images, classes, real, seed, output, data, data_dir, registry)


def _draw(
    kind: str,
    name: str | None,
    dataset: str | None,
    images: int,
    classes: str | None,
    real: Real,
    seed: int,
    output: Path | None,
    data: Path | None,
    data_dir: Path,
    registry: str,
) -> None:
    from dfgctl.report.cards import classes_of
    from dfgctl.report.chosen import newest
    from dfgctl.report.names import of_one
    from dfgctl.report.scatter import draw

    check_output(output, data)
    found = opened(registry, dataset)
    run = found.named(name) if name else newest(found.runs, found.recipes, "dfg", found.kept)
    names = classes_of(run)
    shown = class_numbers(classes, names) if classes else tuple(range(min(MOST, len(names))))
    if len(shown) > MOST:
        raise InputError(
            f"{len(shown)} classes cannot be told apart in a picture: name {MOST} at the most."
        )

    from dfgctl.analysis.features import features

    trained = found.trained(run)
    pictures = found.pictures(run, data_dir)
    computed = features(trained, pictures, shown, images, real.value, seed)
    drawn = draw(kind, computed, seed)
    err().print(f"{escape(of_one(run))}:", soft_wrap=True)
    keep(drawn, output, data, found.store)
    if len(shown) < len(names) and not classes:
        err().print(f"Shown: the first {MOST} of {len(names)} classes; --classes names others.")
