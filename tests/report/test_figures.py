"""What a picture's file says of itself, read back as other programs read it."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from dfgctl.report.figures import save

DC = "{http://purl.org/dc/elements/1.1/}description"


def ids(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def metadata(file: Path) -> Any:
    """Read a file's metadata."""
    match file.suffix:
        case ".png":
            with Image.open(file) as picture:
                return json.loads(picture.text["Description"])
        case ".svg":
            return json.loads(next(ET.parse(file).getroot().iter(DC)).text or "")
        case _:
            (text,) = re.findall(rb"/Keywords \((.*?)\) ?(?:\n|/|>>)", file.read_bytes(), re.S)
            return json.loads(text)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("count", [1, 3, 400])
def test_a_file_holds_the_ids_of_its_runs(tmp_path: Path, suffix: str, count: int) -> None:
    file = tmp_path / f"own{suffix}"
    save(Figure(), file, [*ids(count), ids(1)[0]])
    assert metadata(file) == {"runs": ids(count)}


@pytest.mark.parametrize(("suffix", "most"), [(".pdf", 32_767), (".png", 1e6), (".svg", 1e6)])
def test_of_too_many_runs_a_file_holds_number_and_digest(
    tmp_path: Path, suffix: str, most: int
) -> None:
    many, file = ids(20_000), tmp_path / f"own{suffix}"
    save(Figure(), file, many)
    found = metadata(file)
    assert found["count"] == 20_000
    assert found["sha256"] == hashlib.sha256("\n".join(sorted(many)).encode()).hexdigest()
    assert found["first"] == many[: len(found["first"])]
    assert 0.95 * most < len(json.dumps(found, separators=(",", ":"))) <= most


def test_a_pdf_embeds_fonts_that_publishers_take(tmp_path: Path) -> None:
    figure = Figure()
    figure.text(0, 0, "words")
    save(figure, tmp_path / "own.pdf")
    written = (tmp_path / "own.pdf").read_bytes()
    assert b"/FontFile2" in written
    assert b"/Type3" not in written


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_without_runs_a_file_names_none(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"own{suffix}"
    save(Figure(), file)
    assert b'"runs"' not in file.read_bytes()
