"""The developers' habits, one session each: ``nox -l`` lists them."""

import hashlib
import os
import shlex
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
SHARED = Path(".nox") / "shared"
"""One environment serves demo, types and tests: PyTorch alone takes 5 GB."""


def group(name: str) -> list[str]:
    """Return the packages of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


def shared_environment(session: nox.Session) -> Path:
    """Make the shared environment, or take it as it is; return its folder of programs."""
    programs = SHARED.resolve() / ("Scripts" if os.name == "nt" else "bin")
    wanted = hashlib.sha256(Path("pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    marker = SHARED / "made-for"
    if not marker.exists() or marker.read_text() != wanted:
        session.run(sys.executable, "-m", "venv", "--clear", str(SHARED), external=True)
        session.log("Installing PyTorch and the rest: about 5 GB, a few minutes.")
        session.run(
            str(programs / "python"), "-m", "pip", "install", "--quiet",
            "--disable-pip-version-check", "-e", ".", *group("tests"), *group("types"),
            external=True,
        )  # fmt: skip
        marker.write_text(wanted)
    return programs


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """Run the main job on the built-in data: trainings, a table and a plot, in a few minutes."""
    dfgctl = str(shared_environment(session) / "dfgctl")
    folder = Path("results") / "demo"
    registry, table, picture = folder / "registry.sqlite", folder / "table.md", folder / "rho.png"
    env = {"DFGCTL_REGISTRY": str(registry)}
    run = ("run", "digits", "--imbalance", "10:1", "--repeats", "3")
    for command in (
        run,
        (*run, "--method", "dfg", "--set", "dfg.rho=0,0.75,1"),
        ("table",),
        ("table", "--format", "md", "-o", str(table)),
        ("plot", "rho", "-o", str(picture)),
    ):
        session.run(dfgctl, *command, env=env, external=True)
    print(f"\nTable:    {table}\nPicture:  {picture}\nRegistry: {registry}")
    print(f"Look on:  dfgctl runs list --registry {registry}")


@nox.session(venv_backend="none")
def results(session: nox.Session) -> None:
    """Make the tables and figures of results/paper again, from the runs that are kept there.

    ``nox -s results -- train`` first trains what train.txt names and the kept runs lack.
    """
    dfgctl = str(shared_environment(session) / "dfgctl")
    paper, scratch = Path("results") / "paper", Path("results") / "remade"
    scratch.mkdir(exist_ok=True)
    env = {"DFGCTL_REGISTRY": str(scratch / "registry.sqlite")}
    for export in sorted(paper.glob("runs/*.jsonl")):
        session.run(dfgctl, "runs", "import", str(export), env=env, external=True)
    shutil.copy(paper / "flop.json", scratch)
    shutil.copytree(paper / "tuned", scratch / "tuned", dirs_exist_ok=True)
    for script in ("train", "commands") if "train" in session.posargs else ("commands",):
        for line in (paper / f"{script}.txt").read_text().splitlines():
            if words := shlex.split(line, comments=True):
                session.run(dfgctl, *words, env=env, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests: ``nox -s tests -- tests/test_pack.py -k adam`` runs some of them."""
    python = str(shared_environment(session) / "python")
    session.run(
        *(python, "-m", "pytest", "-m", "not gpu and not soak", "-n", "auto"),
        *("--dist", "worksteal", *session.posargs),
        external=True,
    )


@nox.session(venv_backend="none")
def soak(session: nox.Session) -> None:
    """Run the long proofs: many workers, killed at random, on a registry that they share."""
    python = str(shared_environment(session) / "python")
    session.run(python, "-m", "pytest", "-m", "soak", *session.posargs, external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check the types (mypy, strict)."""
    session.run(str(shared_environment(session) / "mypy"), external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format (ruff)."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
