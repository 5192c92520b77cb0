"""What a result was made with: commit, versions, platform."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dfgctl import RESULTS_VERSION, __version__

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "pillow")
"""Packages whose version may change a result."""


def collect(threads: int | None = None) -> dict[str, Any]:
    """Describe the program and the machine that train now.

    Args:
        threads: threads that a training on the CPU uses.

    Returns:
        ``commit`` and ``dirty`` are None where the program does not run from a git checkout.
    """
    commit, dirty = git_state(Path(__file__).parent)
    return {
        "dfgctl": __version__,
        "results_version": RESULTS_VERSION,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": threads,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit of a checkout and whether tracked or new files differ from it."""
    commit = _git(folder, "rev-parse", "HEAD")
    # An installed package may lie inside another project's checkout, say in its .venv.
    ours = _git(folder, "ls-files", "--error-unmatch", str(Path(__file__)))
    if commit is None or ours is None:
        return None, None
    status = _git(folder, "status", "--porcelain", "--", ":/")
    return commit, None if status is None else bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
