"""The program itself, Python, and the packages that it needs or can use."""

import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import dfgctl
from dfgctl.errors import last_line
from dfgctl.provenance import git_state
from dfgctl.records import Finding

EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "onnx": (("onnx", "onnxscript"), "dfgctl export to .onnx"),
    "postgres": (("psycopg",), "a registry for several machines"),
    "slurm": (("submitit",), "dfgctl run --launcher slurm"),
}
"""What can be installed besides: the modules, and what they serve."""

SECONDS = 10
"""How long another program is waited for."""

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*\(?(>=\s*(?P<least>[0-9.]+))?[^;]*(;(?P<when>.*))?"
)


@dataclass(frozen=True)
class Requirement:
    """A package that is needed, and its lowest version; empty for any."""

    name: str
    least: str


def examine() -> Iterator[Finding]:
    """Look at the program, Python and the packages."""
    yield program()
    python, needed = requirements()
    yield _python(python)
    yield from packages(needed)
    yield from extras()
    yield slurm()


def program() -> Finding:
    """Say which dfgctl this is."""
    folder = Path(dfgctl.__file__).parent
    commit, dirty = git_state(folder)
    said = f"dfgctl {dfgctl.__version__}, results version {dfgctl.RESULTS_VERSION}, in {folder}"
    if commit is None:
        return Finding("ok", "program", f"{said}, no git checkout")
    if dirty:
        return Finding(
            "note",
            "program",
            f"{said}, commit {commit[:10]} with changes that are not committed",
            "commit them, so that results can be traced to the code that made them",
        )
    return Finding("ok", "program", f"{said}, commit {commit[:10]}, clean")


def requirements() -> tuple[str, list[Requirement]]:
    """Return which Python and which packages are asked for.

    They are read from what is installed or, where dfgctl is not, from a checkout's pyproject.toml.
    """
    file = Path(dfgctl.__file__).parent.parent / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "dfgctl":
            return str(project.get("requires-python", "")), parsed(project["dependencies"])
    try:
        found = metadata.metadata("dfgctl")
    except metadata.PackageNotFoundError:
        return "", []
    python = found.get_all("Requires-Python") or [""]
    return str(python[0]), parsed(found.get_all("Requires-Dist") or [])


def parsed(lines: Sequence[str]) -> list[Requirement]:
    """Read requirements such as ``torch>=2.11``; those of extras are left out."""
    found = []
    for line in lines:
        match = _REQUIREMENT.fullmatch(line.strip())
        if match is not None and "extra" not in (match["when"] or ""):
            found.append(Requirement(match["name"], match["least"] or ""))
    return found


def packages(needed: Sequence[Requirement]) -> Iterator[Finding]:
    """Hold what is installed against what is asked for."""
    if not needed:
        yield Finding(
            "note",
            "packages",
            "dfgctl is not installed, so that nobody knows what it asks for",
            "pip install . in its checkout",
        )
        return
    good = []
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield Finding(
                "problem",
                "packages",
                f"{one.name} is not installed",
                f"pip install '{one.name}{one.least and '>=' + one.least}'",
            )
            continue
        if _numbers(version) < _numbers(one.least):
            yield Finding(
                "problem",
                "packages",
                f"{one.name} {version} is older than {one.least}",
                f"pip install '{one.name}>={one.least}'",
            )
            continue
        good.append(f"{one.name} {version}")
    if good:
        yield Finding("ok", "packages", ", ".join(good))


def extras() -> Iterator[Finding]:
    """Say which extras are installed, and how the others are."""
    for name, (modules, serves) in EXTRAS.items():
        if all(find_spec(module) is not None for module in modules):
            yield Finding("ok", "extras", f"{name}: installed, for {serves}")
        else:
            yield Finding(
                "ok",
                "extras",
                f"{name}: not installed; for {serves}, pip install 'dfgctl[{name}]'",
            )


def slurm() -> Finding:
    """Say whether there is a Slurm cluster that answers."""
    if shutil.which("sbatch") is None:
        return Finding("ok", "slurm", "not on this machine")
    try:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%P"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return Finding(
            "note",
            "slurm",
            f"sbatch is here, but sinfo does not answer ({last_line(str(said))})",
            "ask whoever looks after the cluster; other launchers do without it",
        )
    names = ", ".join(asked.stdout.split()) or "none"
    return Finding("ok", "slurm", f"a cluster with the partitions {names}")


def _python(wanted: str) -> Finding:
    here = platform.python_version()
    least = wanted.removeprefix(">=").strip()
    if least and sys.version_info[:2] < tuple(_numbers(least)[:2]):
        return Finding(
            "problem",
            "python",
            f"Python {here} is older than {least}",
            f"make an environment with Python {least} or newer",
        )
    return Finding("ok", "python", f"Python {here} in {sys.prefix}, {platform.platform()}")


def _numbers(version: str) -> list[int]:
    """Return a version's numbers: 2.14.1+cu130 is [2, 14, 1]."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return [int(part) for part in match[0].split(".")] if match else []
