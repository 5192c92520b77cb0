"""``dfgctl data``: which data sets there are, downloading them, and checking what is here."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import DEFAULT_DATA, DataDirOption, JsonOption
from dfgctl.cli.output import err, escape, out, print_json, reported
from dfgctl.errors import DfgctlError

if TYPE_CHECKING:
    from dfgctl.data.catalog import DatasetInfo
    from dfgctl.data.manifest import Manifest

NameArgument = Annotated[
    str,
    typer.Argument(
        help="The data set, a name of dfgctl data list.", autocompletion=complete.published
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="List, download and check the data sets.")
    group.command("list", epilog="Example:  dfgctl data list --data-dir ~/data")(list_data)
    group.command("fetch", epilog="Example:  dfgctl data fetch svhn --data-dir ~/data")(fetch_data)
    group.command("verify", epilog="Example:  dfgctl data verify cinic10 --json")(verify_data)
    app.add_typer(group, name="data")


@reported
def list_data(data_dir: DataDirOption = DEFAULT_DATA, json: JsonOption = False) -> None:
    """List the data sets: which are here, how large, where from, under what licence."""
    from rich.table import Table

    from dfgctl.data.catalog import DATASETS

    records = [_record(info, data_dir) for info in DATASETS.values()]
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
            f"{r['train']:,}" if r["pictures"] else "weights",
            f"{r['test']:,}" if r["pictures"] else "",
            r["origin"],
            r["licence"],
        )
    console = out()
    console.print(table)
    console.print(
        f"Data directory: {data_dir} (--data-dir or DFGCTL_DATA)", style="dim", markup=False
    )


@reported
def fetch_data(name: NameArgument, data_dir: DataDirOption = DEFAULT_DATA) -> None:
    """Download a data set and check it; what is here already is only checked."""
    from dfgctl.data.catalog import dataset
    from dfgctl.data.manifest import missing_files

    info = dataset(name)
    if missing_files(info, data_dir):
        from dfgctl.data.fetch import fetch

        err().print(f"{info.title} is not in {escape(str(data_dir))}: downloading it.")
        fetch(info, data_dir)
    _describe(info, data_dir)
    where = "built in" if info.files is None else f"in {data_dir}"
    out().print(f"{info.title} is {escape(where)}, whole.")


@reported
def verify_data(
    name: NameArgument, data_dir: DataDirOption = DEFAULT_DATA, json: JsonOption = False
) -> None:
    """Check a data set against what is published: read every file, count every class.

    Exits 2 and names what is broken or missing.
    """
    from rich.progress import Progress

    from dfgctl.data.catalog import dataset
    from dfgctl.data.verify import check_pictures

    info = dataset(name)
    try:
        found = _describe(info, data_dir)
        console = err()
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("Decoding pictures", total=None)
            check_pictures(
                info, data_dir, lambda done, of: bar.update(task, completed=done, total=of)
            )
    except DfgctlError as error:
        if json:
            print_json({"name": info.name, "whole": False, "error": str(error)})
        raise
    if json:
        print_json(_verified(info, found))
    else:
        _show(info, found)


def _record(info: "DatasetInfo", data_dir: Path) -> dict[str, Any]:
    from dfgctl.cli.names import size
    from dfgctl.data.files import IdxFiles, OwnFolder, WeightsFile
    from dfgctl.data.manifest import missing_files, size_on_disk

    files = info.files
    missing = missing_files(info, data_dir)
    taken = size_on_disk(info, data_dir)
    state = "built in" if files is None else "no" if missing else size(taken)
    if isinstance(files, IdxFiles) and 0 < len(missing) < 4:
        state = f"{4 - len(missing)} of 4 files"
    elif missing and taken:
        state = "a part"
    in_folder = files is not None and not isinstance(files, OwnFolder)
    return {
        "name": info.name,
        "title": info.title,
        "roles": list(info.roles),
        "classes": info.class_count,
        "train": info.train,
        "test": info.test,
        "pictures": not isinstance(files, WeightsFile),
        "here": not missing,
        "missing": missing,
        "folder": str(data_dir / files.folder) if in_folder else None,  # type: ignore[union-attr]
        "bytes": taken,
        "licence": info.licence,
        "origin": info.origin,
        "state": state,
    }


def _describe(info: "DatasetInfo", data_dir: Path) -> "Manifest":
    """Describe a data set from its files alone, whatever is remembered about them."""
    from dfgctl.data.manifest import ChecksumCache, manifest

    return manifest(info, data_dir, ChecksumCache(Path(os.devnull), keep=False))


def _verified(info: "DatasetInfo", found: "Manifest") -> dict[str, Any]:
    return {
        "name": info.name,
        "whole": True,
        "digest": found.digest,
        "train": sum(found.train_counts),
        "test": sum(found.test_counts),
        "classes": [
            {
                "name": found.classes[c],
                "train": train,
                "train_published": info.train_counts[c] if info.train_counts else None,
                "test": test,
                "test_published": info.test_counts[c] if info.test_counts else None,
            }
            for c, (train, test) in enumerate(
                zip(found.train_counts, found.test_counts, strict=True)
            )
        ],
    }


def _show(info: "DatasetInfo", found: "Manifest") -> None:
    from rich.table import Table

    console = out()
    console.print(f"{info.title} is whole (SHA-256 of all: {found.digest[:12]}...).")
    if not found.train_counts:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Class")
    for column in ("Train", "published", "Test", "published"):
        table.add_column(column, justify="right", no_wrap=True)
    for c in _verified(info, found)["classes"]:
        counts = [c[key] for key in ("train", "train_published", "test", "test_published")]
        table.add_row(escape(c["name"]), *("" if n is None else f"{n:,}" for n in counts))
    console.print(table)
