"""Which data sets are found, and which recipes they serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfgctl.data.catalog import DATASETS
from dfgctl.doctor.data import examine

Make = Callable[..., Any]
DATA = Path("data")


def test_without_any_data_the_built_in_recipe_can_be_run() -> None:
    data, ready, lacking = examine(DATA)
    assert {f.level for f in (data, ready, lacking)} == {"ok"}
    assert data.text == "built in: digits, glyphs; in data: none"
    assert ready.text == "can be run: digits (source glyphs)"
    assert "svhn (svhn and emnist-digits)" in lacking.text
    assert "digits (" not in lacking.text


def test_a_recipe_needs_its_target_and_one_of_its_sources(small_data: Make) -> None:
    for name in ("fmnist", "stl10", "mnist"):
        small_data(name)
    found = {f.text.partition(":")[0]: f.text for f in examine(DATA)}
    assert found["built in"].endswith("in data: fmnist, mnist, stl10")
    assert "fmnist (source mnist)" in found["can be run"]
    lacking = next(text for start, text in found.items() if start.startswith("lack"))
    assert "stl10 (cifar10)" in lacking
    assert "svhn (svhn)" in lacking  # MNIST is one of its sources


def test_a_data_set_that_is_here_in_part_is_noted(small_data: Make) -> None:
    small_data("stl10")
    (DATA / "stl10_binary" / "test_y.bin").unlink()
    notes = [f for f in examine(DATA) if f.level == "note"]
    assert [(f.text, f.remedy) for f in notes] == [
        ("stl10 is here in part: test_y.bin missing", "dfgctl data fetch stl10")
    ]
    (DATA / "stl10_binary" / "test_X.bin").unlink()
    (note,) = (f for f in examine(DATA) if f.level == "note")
    assert note.text.endswith("and 1 more missing")


def test_every_recipe_is_spoken_of() -> None:
    text = " ".join(f.text for f in examine(DATA) if f.topic == "recipes")
    targets = [name for name, info in DATASETS.items() if "target" in info.roles]
    assert len(targets) >= 7
    for name in targets:
        assert f"{name} (" in text
