"""Recipe fragments: the settings that ``dfgctl tune`` found for a method, and how. Torch-free."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfgctl import RESULTS_VERSION
from dfgctl.contenders import SOURCE
from dfgctl.errors import InputError, SettingError
from dfgctl.records import RunSpec, canonical, digest

TUNED = "tuned"
"""The section of settings that runs have whose settings are a fragment's."""

FOUND = "found"
"""The table of a fragment that says how its settings were found."""

CONDITIONS = (
    *("backbone", "ratio", "majority", "source", "protocol", "precision", "split", "steps", "set"),
)
"""What a fragment's settings were found for, beside the data set and the method."""

_NEEDED = {
    "command": str,
    "trials": int,
    "pairs": list,
    "data": str,
    "kept": list,
    "results_version": int,
}

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


def kept(spec: RunSpec, values: Iterable[str]) -> list[str]:
    """Return the settings of a run that a search left alone, ``section.key=value``, sorted.

    Args:
        spec: the run.
        values: the settings that the search found or fixed, ``section.key``.
    """
    everything = {
        f"{section}.{name}": value
        for section, settings in spec.settings.items()
        if section != TUNED
        for name, value in settings.items()
    }
    everything["imbalance.majority_count"] = spec.majority_count
    left = everything.keys() - set(values)
    return sorted(f"{key}={canonical(everything[key])}" for key in left)


def check_fits(fragment: Fragment, spec: RunSpec, given: Iterable[str] = ()) -> None:
    """Check that a run is of the data, the source network and the settings of a fragment's search.

    Args:
        fragment: the fragment.
        spec: the run, with its settings.
        given: settings that the user changes on purpose, ``section.key``.

    Raises:
        InputError: something is another by now.
    """
    found = fragment.found
    changed = sorted({*found["kept"]} ^ {*kept(spec, fragment.values)})
    keys = [k for k in (text.partition("=")[0] for text in changed) if k not in {*given}]
    if found["results_version"] != RESULTS_VERSION:
        was = "by a version of dfgctl whose results are others"
    elif found["data"] != spec.data_digest:
        was = "on other pictures"
    elif found.get("source_identity") != spec.source_identity:
        was = "from another source network"
    elif keys and keys[0].startswith("code."):
        was = f"with other code of {spec.method}"
    elif keys:
        raise InputError(
            f"{fragment.file} was found with another {keys[0]}: set it back, or tune this recipe, "
            f"too, as by {fragment.command}."
        )
    else:
        return
    raise InputError(f"{fragment.file} was found {was}: tune once more, with {fragment.command}.")


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
