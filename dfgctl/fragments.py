"""Recipe fragments: the settings that ``dfgctl tune`` found for a method, and how. Torch-free."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfgctl.contenders import SOURCE
from dfgctl.errors import InputError, SettingError
from dfgctl.records import RunSpec, digest

TUNED = "tuned"
"""The section of settings that runs have whose settings are a fragment's."""

FOUND = "found"
"""The table of a fragment that says how its settings were found."""

CONDITIONS = (
    *("backbone", "ratio", "majority", "source", "protocol", "precision", "split", "steps", "set"),
)
"""What a fragment's settings were found for, beside the data set and the method."""

_NEEDED = {"command": str, "trials": int, "pairs": list, "data": str}

Pair = tuple[tuple[int, ...], int]
"""A combination of majority classes and a seed."""


@dataclass(frozen=True)
class Fragment:
    """A fragment.

    Attributes:
        file: where it lies.
        found: how its settings were found: its table ``found``.
        values: the settings, ``section.key`` to value.
    """

    file: Path
    found: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The command that found them."""
        return str(self.found["command"])

    def identifying(self) -> dict[str, Any]:
        """Return what a run's identity holds of it, as its section ``tuned``."""
        return {
            "trials": self.found["trials"],
            "values": dict(self.values),
            "pairs": self.found["pairs"],
            "found": digest([self.found, self.values]),
        }


def search_of(spec: RunSpec) -> Mapping[str, Any]:
    """Return what a run's identity holds of its fragment; empty where it has none."""
    return spec.settings.get(TUNED, {})


def pairs_of(pairs: Any) -> list[Pair]:
    """Read pairs as TOML and JSON have them: ``[[[0, 4], 900]]``."""
    return [(tuple(combination), int(seed)) for combination, seed in pairs]


def path_of(folder: Path, dataset: str, method: str, init: str | None) -> Path:
    """Return where a method's fragment lies.

    Args:
        folder: where results lie.
        dataset: the data set.
        method: the method.
        init: what it starts from, where that can be chosen.
    """
    name = f"{method}-{SOURCE}" if init == SOURCE else method
    return folder / "tuned" / dataset / f"{name}.toml"


def read(file: Path) -> Fragment:
    """Read a fragment.

    Raises:
        InputError: it is not there or cannot be read.
        SettingError: it is no fragment.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): tune again.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(
            f"{file} is no TOML ({error}): mend it, or type its dfgctl tune command again."
        ) from error
    found = content.pop(FOUND, {})
    odd = [k for k, kind in _NEEDED.items() if not isinstance(found.get(k), kind)]
    odd += [k for k in CONDITIONS if k not in found]
    odd += [k for k, section in content.items() if not isinstance(section, dict)]
    if odd:
        raise SettingError(
            f"{file} does not say how it was found ({odd[0]}): type its dfgctl tune command again."
        )
    values = {f"{name}.{k}": v for name, section in content.items() for k, v in section.items()}
    return Fragment(file, found, values)
