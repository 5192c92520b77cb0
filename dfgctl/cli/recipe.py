"""``dfgctl recipe``: what is fixed for each data set."""

from typing import Annotated

import typer

from dfgctl.cli.options import JsonOption
from dfgctl.cli.output import out, print_json, reported


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Look at the recipes.")
    group.command("list", epilog="Example:  dfgctl recipe list")(list_recipes)
    group.command("show", epilog="Example:  dfgctl recipe show fmnist")(show_recipe)
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
    name: Annotated[str, typer.Argument(help="The data set.")], json: JsonOption = False
) -> None:
    """Show a recipe: its file, or with --json all settings with their defaults."""
    from dfgctl import recipe as recipes

    if json:
        print_json(recipes.load(name).model_dump())
        return
    recipes.load(name)
    typer.echo(recipes.path_of(name).read_text(encoding="utf-8").rstrip("\n"))
