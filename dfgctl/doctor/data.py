"""Which data sets are here, and which recipes they suffice for."""

from collections.abc import Iterator
from pathlib import Path

from dfgctl import recipe as recipes
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import missing_files, size_on_disk
from dfgctl.errors import DfgctlError
from dfgctl.records import Finding


def examine(data_dir: Path) -> Iterator[Finding]:
    """Look for the data sets.

    Args:
        data_dir: the data directory.
    """
    missing = {name: missing_files(info, data_dir) for name, info in DATASETS.items()}
    here = {name for name, files in missing.items() if not files}
    parts = {
        name: files
        for name, files in missing.items()
        if files and size_on_disk(DATASETS[name], data_dir)
    }
    built_in = sorted(n for n in here if DATASETS[n].files is None)
    found = sorted(here - set(built_in))
    listed = ", ".join(found) or "none"
    yield Finding("ok", "data", f"built in: {', '.join(built_in)}; in {data_dir}: {listed}")
    for name, files in parts.items():
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        yield Finding(
            "note",
            "data",
            f"{name} is here in part: {files[0]}{more} missing",
            f"dfgctl data fetch {name}",
        )
    yield from runnable(here)


def runnable(here: set[str]) -> Iterator[Finding]:
    """Say which recipes can be run with what is here.

    Args:
        here: the data sets that are here.
    """
    ready, lacking = [], []
    for name in recipes.names():
        try:
            sources = recipes.load(name).sources
        except DfgctlError as error:
            yield Finding(
                "problem", "recipes", str(error), f"mend {recipes.path_of(name)}, or install anew"
            )
            continue
        usable = [source for source in sources if source in here]
        if name in here and usable:
            ready.append(f"{name} (source {', '.join(usable)})")
        else:
            lacking.append(f"{name} ({_lacks(name, sources, here)})")
    if ready:
        yield Finding("ok", "recipes", f"can be run: {'; '.join(ready)}")
    if lacking:
        said = f"lack data that dfgctl run or dfgctl data fetch downloads: {', '.join(lacking)}"
        yield Finding("ok", "recipes", said)


def _lacks(name: str, sources: list[str], here: set[str]) -> str:
    lacks = [] if name in here else [name]
    if not here & set(sources):
        lacks.append(sources[0])
    return " and ".join(lacks)
