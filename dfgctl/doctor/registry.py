"""Whether the registry can be opened and is well, and what lies about beside it."""

from collections.abc import Iterator
from pathlib import Path

from dfgctl.errors import DfgctlError
from dfgctl.memory import Profile
from dfgctl.records import Finding
from dfgctl.registry import Registry
from dfgctl.registry.backups import schema_of, shown
from dfgctl.registry.engine import HEAD, home, registry_url, sqlite_path
from dfgctl.registry.mounts import network_kind


def folder_of(where: str) -> Path:
    """Return where a registry's files lie; the current folder if it names none."""
    try:
        return home(where)
    except DfgctlError:
        return Path()


def examine(where: str) -> Iterator[Finding]:
    """Look at the registry, which is neither made nor brought up to date.

    Args:
        where: its path or URL.
    """
    try:
        file = sqlite_path(registry_url(where))
        if file is not None:
            yield from _place(file)
            if not file.exists():
                yield _finding("ok", f"none at {file} yet: dfgctl run makes it")
                return
        schema = schema_of(where)
        if schema != HEAD:
            yield _finding(
                "note",
                f"{shown(registry_url(where))} has the schema {schema} of an older dfgctl, this "
                f"one's is {HEAD}",
                "dfgctl db upgrade brings it up to date, after a backup",
            )
            return
        registry = Registry(where, create=False)
    except DfgctlError as error:
        yield _failed(error)
        return
    try:
        yield from _contents(registry)
    except DfgctlError as error:
        yield _failed(error)
    finally:
        registry.close()


def _place(file: Path) -> Iterator[Finding]:
    kind = network_kind(file)
    if kind is not None:
        yield _finding(
            "problem",
            f"{file} is on a network file system ({kind}), where SQLite's locks do not hold",
            "name a registry on a local disk with --registry, or for several machines one on "
            "PostgreSQL, postgresql://host/name (pip install 'dfgctl[postgres]')",
        )


def _contents(registry: Registry) -> Iterator[Finding]:
    facts = registry.facts()
    statuses = ", ".join(f"{n:,} {status}" for status, n in sorted(facts.runs.items()))
    only = ", read-only" if facts.read_only else ""
    said = f"{facts.where}, {facts.database}, schema {facts.schema}{only}"
    yield _finding("ok", f"{said}: {statuses or 'no runs'}, {facts.workers} workers alive")
    found = registry.health()
    yield from found
    if not any(finding.level == "problem" for finding in found):
        yield _finding("ok", "whole: its file, leases, attempts and results agree")
    yield from _profiles(registry)
    waste = registry.waste()
    size = sum(file.size for file in waste.files)
    if waste.files:
        kinds = sorted({file.kind for file in waste.files})
        yield Finding(
            "note",
            "files",
            f"{len(waste.files):,} file{'s' * (len(waste.files) > 1)} that no run needs, "
            f"{size / 1e6:,.1f} MB ({', '.join(kinds)})",
            "dfgctl gc deletes them, after asking",
        )
    else:
        yield Finding("ok", "files", f"nothing to clear in {registry.folder}")


def _profiles(registry: Registry) -> Iterator[Finding]:
    """Say on which devices it was measured what packs take."""
    by_device: dict[str, list[Profile]] = {}
    for profile in registry.profiles():
        by_device.setdefault(profile.device, []).append(profile)
    for device, profiles in by_device.items():
        kinds, failed = len(profiles), sum(p.failures > 0 for q in profiles for p in q.points)
        said = f"memory measured on {device}: {kinds:,} kind{'s' * (kinds > 1)} of packs"
        if failed:
            said += f", {failed:,} size{'s' * (failed > 1)} ran out"
        yield _finding("ok", said)


def _failed(error: DfgctlError) -> Finding:
    """Divide an error's sentence into what is wrong and, after its last colon, the remedy."""
    said, _, remedy = str(error).rpartition(": ")
    return _finding("problem", said or remedy, remedy.rstrip("."))


def _finding(level: str, text: str, remedy: str = "") -> Finding:
    return Finding(level, "registry", text, remedy)
