"""The data sets: what the paper says of them, what is published, and what is here (Table 1)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfgctl.data.catalog import DATASETS
from dfgctl.data.imbalance import Ratio
from dfgctl.data.manifest import ChecksumCache, manifest, missing_files
from dfgctl.errors import DfgctlError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import Run
from dfgctl.report import published
from dfgctl.report.cards import card_of
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES: frozenset[str] = frozenset()
"""Options of ``dfgctl table`` that change this table."""

NEEDS_RUNS = False
"""It is about data; runs only say what they were trained on."""

NOT_HERE = "not here"


@dataclass(frozen=True)
class Found:
    """What is on disk: images for training and for testing, or why that is not known."""

    train: int | None
    test: int | None
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Line:
    """A data set.

    Attributes:
        name: its name.
        title: its title.
        backbone: its network's title.
        classes: how many classes it has; None where only its files know.
        train: training images as published; None for one's own pictures.
        test: test images, likewise.
        paper: the classifier and the training images that Table 1 gives; None where it is not in.
        found: what is on disk.
        trained: imbalance to the fewest and the most images that its runs keep for training.
        footnotes: the names of what must be said of the paper's numbers.
    """

    name: str
    title: str
    backbone: str
    classes: int | None
    train: int | None
    test: int | None
    paper: tuple[str, int] | None
    found: Found
    trained: dict[str, tuple[int, int]]
    footnotes: Sequence[str]


def make(view: View) -> Table:
    """Make the table; it needs no runs."""
    lines = [_line(name, view) for name in view.recipes]
    notes = published.footnotes(list(dict.fromkeys(n for line in lines for n in line.footnotes)))
    return Table(
        name="datasets",
        title="Data sets",
        columns=[
            *(Column("Data set", "label"), Column("Name", "detail"), Column("Classifier")),
            *(Column("Classes"), Column("Training images"), Column("Test images")),
            *(Column("Here"), Column("Runs train on")),
        ],
        rows=[_cells(line) for line in lines],
        caption="Training and test images as published, and below them what Table 1 of the paper "
        "gives. Here: training and test images in the data directory. Runs train on: "
        "images that the runs of each imbalance keep (those that are held out among them).",
        notes=[*notes, *_notes(lines)],
        records=[_record(line) for line in lines],
    )


def _line(name: str, view: View) -> Line:
    recipe = view.recipes[name]
    runs = [run for run in view.runs if run.spec.dataset == name]
    printed = published.everything()["datasets"]
    info = DATASETS.get(name)
    trained: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        trained[run.spec.ratio].append(sum(run.class_counts))
    return Line(
        name=name,
        title=info.title if info else card_of(runs[0]).title,
        backbone=BACKBONES[recipe.backbone].title,
        classes=info.class_count if info else len(card_of(runs[0]).classes),
        train=info.train if info else None,
        test=info.test if info else None,
        paper=tuple(printed[name]) if name in printed else None,
        found=_published(name, view) if info else _own(runs[0]),
        trained={
            ratio: (min(trained[ratio]), max(trained[ratio]))
            for ratio in sorted(trained, key=lambda text: Ratio.parse(text).value)
        },
        footnotes=printed["footnotes"].get(name, ()),
    )


def _published(name: str, view: View) -> Found:
    """Count a published data set's images, if it is whole; no picture is decoded."""
    info = DATASETS[name]
    data_dir = view.data_dir or Path("data")
    if missing_files(info, data_dir):
        return Found(None, None, NOT_HERE, f"dfgctl data fetch {name}")
    cache = ChecksumCache(view.checksums or Path("checksums.json"), keep=False)
    try:
        found = manifest(info, data_dir, cache)
    except DfgctlError as error:
        return Found(None, None, "broken", f"{error}")
    return Found(sum(found.train_counts), sum(found.test_counts))


def _own(run: Run) -> Found:
    """Count one's own pictures as they are listed now; none is read."""
    from dfgctl.data.own import own_folder

    card = run.card
    if card is None or card.folder is None:
        return Found(None, None, NOT_HERE, "")
    try:
        info = own_folder(Path(card.folder), card.test_fraction, strict=False)
    except DfgctlError as error:
        return Found(None, None, NOT_HERE, str(error))
    return Found(info.train, info.test)


def _cells(line: Line) -> list[Cell]:
    classifier, train = [line.backbone], [_many(line.train)]
    if line.paper is not None:
        classifier.append(f"paper: {line.paper[0]}")
        train.append(f"paper: {line.paper[1]:,}")
    found = line.found
    here = [found.reason] if found.reason else [_many(found.train), f"test {_many(found.test)}"]
    return [
        Cell([line.title]),
        Cell([line.name]),
        Cell(classifier),
        Cell([_many(line.classes)], order=line.classes),
        Cell(train, order=line.train),
        Cell([_many(line.test)], order=line.test),
        Cell(here, order=found.train),
        Cell([f"{ratio} {_between(*n)}" for ratio, n in line.trained.items()] or ["no runs"]),
    ]


def _many(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _between(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _notes(lines: Sequence[Line]) -> list[str]:
    lacking = [line.found for line in lines if line.found.reason == NOT_HERE and line.found.remedy]
    notes = [
        f"{line.title}: {line.found.remedy}" for line in lines if line.found.reason == "broken"
    ]
    if lacking:
        notes.append(f"Not here: {', '.join(found.remedy for found in lacking)}.")
    return notes


def _record(line: Line) -> dict[str, Any]:
    return {
        "dataset": line.name,
        "title": line.title,
        "classifier": line.backbone,
        "classes": line.classes,
        "train": line.train,
        "test": line.test,
        "paper_classifier": line.paper[0] if line.paper else None,
        "paper_train": line.paper[1] if line.paper else None,
        "here_train": line.found.train,
        "here_test": line.found.test,
        "reason": line.found.reason,
        "remedy": line.found.remedy,
        "trained_on": [f"{ratio}: {_between(*n)}" for ratio, n in line.trained.items()],
    }
