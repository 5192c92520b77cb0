"""``dfgctl data``: which data sets there are."""

from typing import Any

import typer

from dfgctl.cli.options import DEFAULT_DATA, DataDirOption, JsonOption
from dfgctl.cli.output import out, print_json, reported


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Look at the data sets.")
    group.command("list", epilog="Example:  dfgctl data list --data-dir ~/data")(list_data)
    app.add_typer(group, name="data")


@reported
def list_data(data_dir: DataDirOption = DEFAULT_DATA, json: JsonOption = False) -> None:
    """List the data sets: which are here, how large, where from, under what licence."""
    from rich.table import Table

    from dfgctl.data.catalog import DATASETS
    from dfgctl.data.manifest import missing_files

    records: list[dict[str, Any]] = []
    for info in DATASETS.values():
        missing = missing_files(info, data_dir)
        here = "built in" if info.files is None else "no" if missing else "yes"
        if missing and len(missing) < 4:
            here = f"{4 - len(missing)} of 4 files"
        records.append(
            {
                "name": info.name,
                "title": info.title,
                "roles": list(info.roles),
                "classes": len(info.classes),
                "train": info.train,
                "test": info.test,
                "here": not missing,
                "missing": missing,
                "folder": str(data_dir / info.files.folder) if info.files else None,
                "licence": info.licence,
                "origin": info.origin,
                "state": here,
            }
        )
    if json:
        print_json([{k: v for k, v in r.items() if k != "state"} for r in records])
        return
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for column in ("Name", "Role", "Here"):
        table.add_column(column, no_wrap=True)
    for column in ("Classes", "Train", "Test"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("Origin", "Licence"):
        table.add_column(column, overflow="fold")
    for r in records:
        table.add_row(
            r["name"],
            ", ".join(r["roles"]),
            r["state"],
            str(r["classes"]),
            f"{r['train']:,}",
            f"{r['test']:,}",
            r["origin"],
            r["licence"],
        )
    console = out()
    console.print(table)
    console.print(
        f"Data directory: {data_dir} (--data-dir or DFGCTL_DATA)", style="dim", markup=False
    )
