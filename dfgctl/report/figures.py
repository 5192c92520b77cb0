"""Figures: one style for all, and files that are whole or not there at all."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfgctl.contenders import CONTENDERS
from dfgctl.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
BLUE, ORANGE = "#0072b2", "#d55e00"
"""From Okabe and Ito's palette, which colour-blind readers can tell apart."""

LOOKS = {
    "original": ("#000000", "o"),
    "finetune": ("#e69f00", "s"),
    "delta": ("#009e73", "^"),
    "difa": ("#cc79a7", "D"),
    "dfg": ("#0072b2", "v"),
    "balanced": ("#d55e00", "P"),
    "cbloss": ("#56b4e9", "X"),
    "logitadjust": ("#666666", "*"),
    "ldam": ("#a6761d", "<"),
    "crt": ("#6a3d9a", ">"),
    "smote": ("#b8a200", "h"),
}
"""Each method's colour, of Okabe and Ito's palette as far as it goes, and marker, which printed
grey tells apart."""

THIN = {"P": "+", "X": "x", "*": "1", "<": "2", ">": "3", "h": "4"}
"""The markers of rivals that start from the source's weights, by those that do not."""

OTHERS = ("#d55e00", "#56b4e9", "#666666"), "pHd8<>^s"
"""Those of methods of one's own, in turn: 24 that differ."""

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
"""Of all figures: letters are outlines or embedded fonts."""


@dataclass(frozen=True)
class Drawn:
    """A figure, and what it was made from.

    Attributes:
        name: its file's name, without an ending.
        figure: what matplotlib drew.
        data: the numbers behind it, a row for each point.
        runs: ids of the runs that it shows.
        said: what it says in numbers, a sentence each.
    """

    name: str
    figure: "Figure"
    data: "pd.DataFrame"
    runs: Sequence[str]
    said: Sequence[str] = ()


def looks(methods: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return each contender's colour and marker, the paper's in its order and then others."""
    ours = {name: _look(name) for name in CONTENDERS}
    own = sorted(set(methods) - set(ours))
    colours, markers = OTHERS
    return {
        **{name: look for name, look in ours.items() if name in methods},
        **{
            method: (colours[i % len(colours)], markers[i % len(markers)])
            for i, method in enumerate(own)
        },
    }


def _look(contender: str) -> tuple[str, str]:
    method, _, init = contender.partition("/")
    colour, marker = LOOKS[method]
    return colour, THIN[marker] if init else marker


def drawn_with(marker: str) -> dict[str, Any]:
    """Return a marker's size and the width of its lines, in points, as plot takes them."""
    return {"markersize": 7, "markeredgewidth": 1.6 if marker in THIN.values() else 1}


def check_file(file: Path) -> None:
    """Check that a figure can be saved under a name.

    Raises:
        InputError: its ending is none of png, svg, pdf, or nothing can be written there.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"'{file}' has no picture's ending: use .png, .svg or .pdf.")
    check_place(file, "-o")


def check_place(file: Path, option: str) -> None:
    """Check that a file can be written where it is named.

    Args:
        file: the file.
        option: what names it.

    Raises:
        InputError: nothing can be written there.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder: name a file in it with {option}.")
    if file.exists() and not file.is_file():
        return  # a pipe or a device
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "cannot be written to" if folder.is_dir() else "is a file, no folder"
        raise InputError(
            f"{file} cannot be written, as {folder} {why}: name another with {option}."
        )


def save(figure: Any, file: Path, runs: Sequence[str] = ()) -> None:
    """Save a figure, whole or not at all.

    Args:
        figure: the figure.
        file: its file; the ending says which kind it is.
        runs: ids of the runs that it shows, for the file's metadata.

    Raises:
        InputError: the file cannot be written.
    """
    import matplotlib

    check_file(file)
    beside = file.with_name(f".{file.stem}.tmp{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Ticks and fonts are made in saving.
        with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
            figure.savefig(beside, dpi=200, metadata=_metadata(file, runs))
        beside.replace(file)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): name another with -o."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


METADATA = {".png": ("Description", 1_000_000), ".svg": ("Description", 1_000_000)}
"""Under which word a kind of file says what it shows, and in how many bytes at the most."""

PDF_METADATA = ("Keywords", 32_000)
"""A string of a PDF holds 32,767 bytes for all readers."""


def _metadata(file: Path, runs: Sequence[str]) -> Mapping[str, str] | None:
    """Return what a file says of itself, in the words that its kind knows.

    Where the ids are too many for a kind of file, it has their number, the SHA-256 of the sorted
    ids, one a line, and as many ids as fit.
    """
    if not runs:
        return None
    key, room = METADATA.get(file.suffix.lower(), PDF_METADATA)
    ids = list(dict.fromkeys(runs))
    text = _compact({"runs": ids})
    if len(text) > room:
        sha256 = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
        frame = {"count": len(ids), "sha256": sha256, "first": list[str]()}
        fit = (room - len(_compact(frame))) // (max(map(len, ids)) + 3)
        text = _compact({**frame, "first": ids[:fit]})
    return {key: text}


def _compact(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
