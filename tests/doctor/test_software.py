"""Versions are held against what is asked for; what is missing comes with how to get it."""

import re
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import dfgctl
from dfgctl.doctor import software
from dfgctl.doctor.software import Requirement, extras, packages, parsed, program, slurm
from dfgctl.records import Finding

Program = Callable[[str, str], None]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script on a PATH that has nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_requirements_are_read_in_all_their_forms() -> None:
    lines = [
        *("torch>=2.11", "numpy", "psycopg[binary] >= 3.1", "tabulate (>=0.9)"),
        *("scikit-learn>=1.4,<2", 'onnx>=1.17; extra == "onnx"', 'tomli>=2; python_version < "3"'),
    ]
    assert parsed(lines) == [
        Requirement("torch", "2.11"),
        Requirement("numpy", ""),
        Requirement("psycopg", "3.1"),
        Requirement("tabulate", "0.9"),
        Requirement("scikit-learn", "1.4"),
        Requirement("tomli", "2"),
    ]


def test_what_is_asked_for_is_what_the_project_says() -> None:
    project = tomllib.loads((Path(dfgctl.__file__).parents[1] / "pyproject.toml").read_text())
    python, needed = software.requirements()
    assert python == project["project"]["requires-python"]
    assert [f"{r.name}>={r.least}" for r in needed] == project["project"]["dependencies"]


@pytest.mark.parametrize(
    ("version", "least", "good"),
    [
        ("2.11", "2.11", True),
        ("2.11.0", "2.11", True),
        ("2.9.9", "2.11", False),
        ("2.14.1+cu130", "2.11", True),
        ("1.0rc1", "1.0", True),
        ("2.10", "2.11.0", False),
        ("0.0.1", "", True),
    ],
)
def test_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, version: str, least: str, good: bool
) -> None:
    monkeypatch.setattr(software.metadata, "version", lambda name: version)
    (found,) = packages([Requirement("torch", least)])
    assert found.level == ("ok" if good else "problem")
    assert f"torch {version}" in found.text
    assert ("pip install 'torch>=" in found.remedy) is not good


def test_a_package_that_is_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "torch":
            raise PackageNotFoundError(name)
        return "9.9"

    monkeypatch.setattr(software.metadata, "version", version)
    found = list(packages([Requirement("torch", "2.11"), Requirement("numpy", "1.26")]))
    assert found == [
        Finding("problem", "packages", "torch is not installed", "pip install 'torch>=2.11'"),
        Finding("ok", "packages", "numpy 9.9"),
    ]
    assert [f.level for f in packages([])] == ["note"]


@pytest.mark.parametrize(
    ("state", "level", "says"),
    [
        (("a" * 40, False), "ok", "aaaaaaaaaa, clean"),
        (("a" * 40, True), "note", "not committed"),
        ((None, None), "ok", "no git checkout"),
    ],
)
def test_the_program_is_named_with_its_commit(
    monkeypatch: pytest.MonkeyPatch,
    state: tuple[str | None, bool | None],
    level: str,
    says: str,
) -> None:
    monkeypatch.setattr(software, "git_state", lambda folder: state)
    found = program()
    assert found.level == level
    assert f"dfgctl {dfgctl.__version__}" in found.text
    assert says in found.text
    assert bool(found.remedy) is (level == "note")


@pytest.mark.parametrize("there", [True, False])
def test_extras_are_installed_or_come_with_how_to(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(software, "find_spec", lambda name: object() if there else None)
    found = list(extras())
    assert [f.level for f in found] == ["ok"] * 3
    for finding, name in zip(found, ("onnx", "postgres", "slurm"), strict=True):
        assert finding.text.startswith(f"{name}: {'installed' if there else 'not installed'}")
        assert (f"pip install 'dfgctl[{name}]'" in finding.text) is not there


def test_python_is_held_against_what_is_asked_for() -> None:
    assert software._python(">=3.11").level == "ok"
    old = software._python(">=9.1")
    assert old.level == "problem"
    assert re.search(r"older than 9\.1", old.text)
    assert "9.1" in old.remedy


def test_slurm_is_absent_answers_or_does_not(on_path: Program) -> None:
    assert slurm() == Finding("ok", "slurm", "not on this machine")
    on_path("sbatch", "exit 0")
    on_path("sinfo", "echo 'gpu*'; echo cpu")
    assert slurm() == Finding("ok", "slurm", "a cluster with the partitions gpu*, cpu")
    on_path("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    silent = slurm()
    assert silent.level == "note"
    assert "Unable to contact slurm controller" in silent.text
    assert silent.remedy
