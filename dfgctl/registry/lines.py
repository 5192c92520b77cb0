"""The lines of an export: JSON Lines with checksums, so that what was changed or cut is told.

::

    {"kind":"header","sha256":...,"data":{"format":"dfgctl export 1","dfgctl":...,"schema":...}}
    {"kind":"provenance","sha256":...,"data":{"digest":...,"content":{...}}}
    {"kind":"dataset","sha256":...,"data":{"digest":...,"name":...,"content":{...}}}
    {"kind":"source","sha256":...,"data":{"identity":...,"spec":{...},"classes":...,...}}
    {"kind":"run","sha256":...,"data":{"id":...,"spec":{...},"attempts":[{...}],...}}
    {"kind":"end","sha256":...,"data":{"lines":...,"digest":...}}

``sha256`` is ``records.digest`` of ``data``. The end's ``digest`` goes over the kinds and checksums
of all lines before it, ``lines`` is their number.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from dfgctl import __version__
from dfgctl.errors import InputError
from dfgctl.records import DatasetCard, Measurement, SourceSpec, digest
from dfgctl.registry.engine import HEAD
from dfgctl.registry.rows import metrics_of, spec_of

NAME, FORMAT = "dfgctl export", 1
"""Name and number of the format that this version writes; it reads all up to it."""

ENDED = ("finished", "failed", "cancelled")
"""Statuses of the runs that are exported."""

MISSING = "it refers to a line that is missing"

INTEGER, BIG_INTEGER = 2**31, 2**63
"""Where the whole numbers end that columns hold; PostgreSQL's are shorter than SQLite's."""

FIRST_LINE = 100_000
"""Characters of a file's first line that are looked at, for a file of another kind may have one."""

Line = tuple[str, dict[str, Any]]
"""A line's kind and data."""


@dataclass(frozen=True)
class Checked:
    """An export that was read to its end and found whole.

    Attributes:
        file: the file.
        runs: how many runs it has.
        version: the dfgctl that wrote it.
    """

    file: Path
    runs: int
    version: str


def written(lines: Iterable[Line]) -> Iterator[str]:
    """Write the lines of an export, with a header before them and an end after them."""
    total = hashlib.sha256()
    count = 0
    header = {"format": f"{NAME} {FORMAT}", "dfgctl": __version__, "schema": HEAD}
    first: Line = ("header", header)
    for kind, data in chain([first], lines):
        text, checksum = _line(kind, data)
        total.update(f"{kind} {checksum}\n".encode())
        count += 1
        yield text
    yield _line("end", {"lines": count, "digest": total.hexdigest()})[0]


def _line(kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)  # keeps the keys' order
    checksum = digest(data)
    return f'{{"kind":"{kind}","sha256":"{checksum}","data":{text}}}\n', checksum


def check(file: Path) -> Checked:
    """Read an export to its end.

    Raises:
        InputError: it is none, was cut or changed, or a newer dfgctl wrote it.
    """
    counts: Counter[str] = Counter()
    known: set[str] = set()
    version = ""
    for number, (kind, data) in enumerate(read(file), 1):
        counts[kind] += 1
        try:
            match kind:
                case "header":
                    version = str(data["dfgctl"])
                case "provenance":
                    _require(digest(data["content"]) == data["digest"])
                    known.add(data["digest"])
                case "dataset":
                    DatasetCard(digest=data["digest"], name=data["name"], **data["content"])
                case "source":
                    _require(digest(data["spec"]) == data["identity"])
                    _require(data["provenance"] in {None, *known}, MISSING)
                    SourceSpec(**data["spec"])
                    if data["classes"] is not None:
                        _check_whole(data["classes"], INTEGER)
                case "run":
                    _check_run(data, known)
                case _:
                    raise ValueError(kind)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(
                f"{file}, line {number}: this dfgctl ({__version__}) does not understand the "
                f"{kind}, so nothing was imported: upgrade dfgctl"
                f"{f' (that of the file is {version})' if version else ''}, or export it again."
            ) from error
        except _WrongIdError as error:
            raise InputError(
                f"{file}, line {number}: {error}, so nothing was imported: export it again, or "
                "ask whoever made the file."
            ) from error
    return Checked(file, counts["run"], version)


class _WrongIdError(Exception):
    """A line is not what it calls itself, or refers to one that is not there."""


def _require(right: bool, wrong: str = "an id is not the digest of what it stands for") -> None:
    if not right:
        raise _WrongIdError(wrong)


def _check_run(data: Mapping[str, Any], known: set[str]) -> None:
    if digest(data["spec"]) != data["id"]:
        raise _WrongIdError(f"run {str(data['id'])[:10]} has an id that is not its spec's digest")
    spec_of(data["spec"])
    datetime.fromisoformat(data["created_at"])
    counts, status, result = data["class_counts"], data["status"], data["result_attempt"]
    if status not in ENDED or not all(isinstance(count, int) for count in counts):
        raise ValueError(status)
    attempts = data["attempts"]
    if status == "finished" and result is None:
        raise ValueError(result)
    if result is not None and (result < 1 or attempts[result - 1]["metrics"] is None):
        raise ValueError(result)
    for attempt in attempts:
        _require(attempt["provenance"] in known, MISSING)
        datetime.fromisoformat(attempt["started_at"])
        if attempt["ended_at"] is not None:
            datetime.fromisoformat(attempt["ended_at"])
        if attempt["metrics"] is not None:
            metrics_of(attempt["metrics"], attempt["confusion"])
        for name in ("worker", "device", "outcome", "error"):
            attempt[name]
        _check_whole(attempt["pack_size"], INTEGER)
        _check_whole(attempt["resumed_step"], INTEGER)
        if (peak := attempt.get("peak_bytes")) is not None:
            _check_whole(peak, BIG_INTEGER)
        for evaluation in attempt["evaluations"]:
            _check_whole(Measurement(**evaluation).step, INTEGER)


def _check_whole(value: Any, end: int) -> None:
    """Check that a value is a number that its column can hold: whole, from 0 to below an end."""
    if type(value) is not int or not 0 <= value < end:
        raise ValueError(value)


def read(file: Path) -> Iterator[Line]:
    """Read an export's lines but for its end; an error is raised at the first that is not whole.

    Raises:
        InputError: it is no export, was cut or changed, or a newer dfgctl wrote it.
    """
    total = hashlib.sha256()
    count = 0
    end: dict[str, Any] | None = None
    for number, text in enumerate(_texts(file), 1):
        if end is not None:
            raise _changed(file, number, "follows the end")
        try:
            line = json.loads(text)
            kind, checksum, data = line["kind"], line["sha256"], line["data"]
            whole = digest(data) == checksum and isinstance(data, dict) and isinstance(kind, str)
        except (ValueError, KeyError, TypeError, RecursionError):
            whole = False
        if number == 1:
            _check_header(file, kind if whole else "", data if whole else {})
        if not whole:
            cut = "was cut short" if not text.endswith("\n") else "was changed"
            raise _changed(file, number, cut)
        if kind == "end":
            end = data
            continue
        total.update(f"{kind} {checksum}\n".encode())
        count += 1
        yield kind, data
    if end is None:
        raise InputError(
            f"{file} ends after line {count} without its end, so nothing was imported: it was cut "
            "short; export or copy it again."
        )
    if end.get("lines") != count or end.get("digest") != total.hexdigest():
        raise _changed(file, count + 1, "does not fit the lines before it: some are missing,")


def _texts(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8", newline="\n") as opened:
            yield opened.readline(FIRST_LINE)
            yield from opened
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is no export, or was changed: name a file that dfgctl runs export wrote."
        ) from error
    except FileNotFoundError as error:
        raise InputError(
            f"There is no file {file}: name one that dfgctl runs export wrote."
        ) from error
    except IsADirectoryError as error:
        raise InputError(
            f"{file} is a folder: name a file that dfgctl runs export wrote."
        ) from error


def _check_header(file: Path, kind: str, data: Mapping[str, Any]) -> None:
    found = re.fullmatch(rf"{NAME} (\d{{1,9}})", str(data.get("format")), re.ASCII)
    if kind != "header" or found is None:
        if file.stat().st_size == 0:
            raise InputError(f"{file} is empty: name a file that dfgctl runs export wrote.")
        raise InputError(f"{file} is no export: name a file that dfgctl runs export wrote.")
    if int(found[1]) > FORMAT:
        raise InputError(
            f"{file} was written by a newer dfgctl (format {found[1]}, this one knows {FORMAT}): "
            "upgrade dfgctl."
        )


def _changed(file: Path, number: int, what: str) -> InputError:
    return InputError(
        f"{file}, line {number} {what}, so nothing was imported: export or copy it again."
    )
