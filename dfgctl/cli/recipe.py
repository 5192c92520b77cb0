"""``dfgctl recipe``: what is fixed for each data set."""

from pathlib import Path
from typing import Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.names import counted
from dfgctl.cli.options import DEFAULT_REGISTRY, JsonOption, RegistryOption
from dfgctl.cli.output import err, out, print_json, reported


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Look at the recipes, or write one.")
    group.command("list", epilog="Example:  dfgctl recipe list")(list_recipes)
    group.command("show", epilog="Example:  dfgctl recipe show fmnist")(show_recipe)
    group.command(
        "new", epilog="Example:  dfgctl recipe new ./pictures --backbone resnet50 > my.toml"
    )(new_recipe)
    app.add_typer(group, name="recipe")


@reported
def list_recipes(json: JsonOption = False) -> None:
    """List the recipes: one a data set."""
    from rich.table import Table

    from dfgctl import recipe as recipes

    loaded = [recipes.load(name) for name in recipes.names()]
    if json:
        print_json(
            [
                {
                    "name": r.name,
                    "backbone": r.backbone,
                    "sources": r.sources,
                    **r.imbalance.values(),
                    **r.run.values(),
                }
                for r in loaded
            ]
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "Network", "Ratio", "Majority", "Repeats", "Steps of dfg", "Sources"):
        table.add_column(column)
    for r in loaded:
        table.add_row(
            r.name,
            r.backbone,
            r.imbalance.ratio,
            str(r.imbalance.majority),
            str(r.run.repeats),
            f"{r.dfg.steps:,}",
            ", ".join(r.sources),
        )
    out().print(table)


@reported
def show_recipe(
    name: Annotated[str, typer.Argument(help="The data set.", autocompletion=complete.recipes)],
    json: JsonOption = False,
) -> None:
    """Show a recipe: its file, or with --json all settings with their defaults."""
    from dfgctl import recipe as recipes

    if json:
        print_json(recipes.load(name).model_dump())
        return
    recipes.load(name)
    typer.echo(recipes.path_of(name).read_text(encoding="utf-8").rstrip("\n"))


@reported
def new_recipe(
    folder: Annotated[Path, typer.Argument(help="A folder of your own pictures.")],
    backbone: Annotated[
        str,
        typer.Option(
            help="The network: lenet5, vgg16 or resnet50.", autocompletion=complete.backbones
        ),
    ],
    test_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the pictures that tests, where there is no test/."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at broken pictures.")] = False,
    registry: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Write a recipe for a folder of pictures, to edit and to give to dfgctl run."""
    from dfgctl import templates
    from dfgctl.cli.planning import target_of
    from dfgctl.errors import InputError
    from dfgctl.registry.engine import home

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: name one with a folder for each class.")
    target = target_of(f"{folder}/", backbone, test_fraction, strict)
    target = target.looked_through(home(registry), keep=True)
    assert target.manifest is not None
    if target.manifest.broken:
        left_out = counted(len(target.manifest.broken), "broken picture")
        err().print(f"{left_out} will be left out.")
    typer.echo(templates.text(target.recipe).rstrip("\n"))
