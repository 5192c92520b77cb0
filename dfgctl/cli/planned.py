"""Options that say which runs are planned, of ``run`` and ``tune`` alike."""

from typing import Annotated

import typer

from dfgctl.cli import complete

ImbalanceOption = Annotated[
    str | None,
    typer.Option(help="Majority to minority, R:1, or as-is. \\[default: the recipe's]"),
]
MajorityOption = Annotated[
    int | None, typer.Option(help="Number of majority classes. \\[default: the recipe's]")
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        help="The source data set. \\[default: the recipe's first]",
        autocompletion=complete.sources,
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(
        help="The network for a folder: lenet5, vgg16 or resnet50.",
        autocompletion=complete.backbones,
    ),
]
TestFractionOption = Annotated[
    float | None,
    typer.Option(help="Share of a folder's pictures that tests, where it has no test/."),
]
EvalEveryOption = Annotated[
    int | None, typer.Option(min=1, help="Steps between evaluations. \\[default: the recipe's]")
]
