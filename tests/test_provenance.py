"""Provenance: the commit, whether the tree is clean, and the versions that made a result."""

import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from dfgctl import RESULTS_VERSION, __version__, provenance


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shield git from the user's configuration and from a hook's environment."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit, in which the program seems to lie."""
    folder = tmp_path / "checkout"
    module = folder / "dfgctl" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("the program\n")
    (folder / ".gitignore").write_text("results/\n")
    git(tmp_path, "init", "-q", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First")
    monkeypatch.setattr(provenance, "__file__", str(module))
    return folder


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance.git_state(checkout / "dfgctl") == (commit, False)
    assert provenance.git_state(checkout) == (commit, False)


@pytest.mark.parametrize("file", ["dfgctl/provenance.py", "dfgctl/new.py", "notes.txt"])
def test_a_changed_or_new_file_makes_a_checkout_dirty(checkout: Path, file: str) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / file).write_text("changed\n")
    assert provenance.git_state(checkout / "dfgctl") == (commit, True)
    git(checkout, "add", ".")
    assert provenance.git_state(checkout / "dfgctl") == (commit, True)
    git(checkout, "commit", "-q", "-m", "Second")
    state = provenance.git_state(checkout / "dfgctl")
    assert state == (git(checkout, "rev-parse", "HEAD"), False)
    assert state[0] != commit


def test_ignored_results_leave_a_checkout_clean(checkout: Path) -> None:
    (checkout / "results").mkdir()
    (checkout / "results" / "registry.db").write_text("runs")
    assert provenance.git_state(checkout / "dfgctl")[1] is False


def test_outside_of_a_checkout_nothing_is_claimed(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    assert provenance.git_state(folder) == (None, None)
    assert provenance.git_state(tmp_path / "not there") == (None, None)


def test_another_projects_checkout_around_the_program_is_not_taken_for_its_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout / "results" / "site-packages" / "provenance.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("installed into another project's ignored folder\n")
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance.git_state(installed.parent) == (None, None)


def test_without_git_nothing_is_claimed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.git_state(checkout) == (None, None)


def test_what_is_collected_names_program_machine_and_packages() -> None:
    found = provenance.collect(threads=3)
    keys = "dfgctl results_version commit dirty python platform processor threads packages"
    assert set(found) == set(keys.split())
    assert found["dfgctl"] == __version__
    assert found["results_version"] == RESULTS_VERSION
    assert found["threads"] == 3
    assert provenance.collect()["threads"] is None
    assert found["packages"]["torch"] == version("torch")
    assert set(found["packages"]) == set(provenance.PACKAGES)
    assert all(found["packages"].values())
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("torch", "no-such-package-as-this"))
    assert provenance.collect()["packages"]["no-such-package-as-this"] is None
