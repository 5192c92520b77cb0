"""Where ResNet-50 is split: ``dfg`` after each of its four blocks (Table 3)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfgctl import recipe as recipes
from dfgctl.data.catalog import DATASETS
from dfgctl.errors import NothingToShowError
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import Run
from dfgctl.report import published
from dfgctl.report.commands import command
from dfgctl.report.footnotes import footnotes
from dfgctl.report.groups import Row, rows
from dfgctl.report.published import Number
from dfgctl.report.results import results
from dfgctl.report.selection import BEST_MARK, Metric, Select, require_values, shown_of, value_of
from dfgctl.report.selection import caption as caption_of
from dfgctl.report.statistics import Summary, summary_of
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES = frozenset({"metric", "select"})
"""Options of ``dfgctl table`` that change this table."""

NEEDS_RUNS = False
"""Without runs it has the paper's numbers, and says what to train."""

SPLITS = {name: info.output for name, info in BACKBONES["resnet50"].splits.items()}
"""Shape of E's output, channels, height and width, by the block that the network is split after."""


@dataclass(frozen=True)
class Line:
    """A split of one row's runs.

    Attributes:
        split: the block that the network is split after.
        dataset: the data set.
        ratio: the imbalance.
        where: the row, in words.
        summary: the values; None without any.
        missing: what has not finished, or why there is nothing.
        select: at which step they are.
        paper: the paper's number, where it has one for such runs.
        remedy: what to type to train it.
    """

    split: str
    dataset: str
    ratio: str
    where: Sequence[str]
    summary: Summary | None
    missing: Sequence[str]
    select: Select
    paper: Number | None
    remedy: str


def make(view: View) -> Table:
    """Make the table.

    Raises:
        InputError: the metric is not kept for such a step.
        NothingToShowError: no data set that was asked for has ResNet-50 and runs with ``--split``,
            or no finished run has the metric.
    """
    groups, split_of = _groups(view)
    runs = [run for run in view.runs if run.id in split_of]
    if any(run.metrics is not None for run in runs):
        require_values(runs, view.metric, view.select)
    lines = [line for group in groups for line in _lines(group, split_of, view)]
    dataset = published.everything()["blocks"]["dataset"]
    if dataset in view.recipes and not any(group.is_papers for group in groups):
        lines = [*_unplanned(dataset, view), *lines]
    if not lines:
        raise NothingToShowError(
            f"No runs of dfg with another --split on {', '.join(view.recipes)}: Table 3 is about "
            f"ResNet-50, so train e.g. dfgctl run {dataset} --method dfg --split block2."
        )
    return _table(lines, runs, view)


@dataclass(frozen=True)
class Group:
    """Runs that differ only in where the network is split, and in combination and seed.

    Attributes:
        members: the runs.
        where: their row, in words.
        is_papers: whether they are what the paper ran for its table.
    """

    members: Sequence[Run]
    where: Sequence[str]
    is_papers: bool


def _groups(view: View) -> tuple[list[Group], dict[str, str]]:
    """Sort ``dfg``'s runs on ResNet-50 into rows as if they were all split after the same block.

    Returns:
        The rows in which more than the first block has runs, or that the paper has; and the split
        of each of their runs, by its id.
    """
    chosen = [r for r in view.runs if r.spec.method == "dfg" and r.spec.backbone == "resnet50"]
    if not chosen:
        return [], {}
    whole = [replace(run, spec=replace(run.spec, settings=_whole(run))) for run in chosen]
    splits = {run.id: _split(run) for run in chosen}
    base = results(replace(view, runs=whole, select=None, metric=Metric.accuracy, published=False))
    found = []
    for row, members in rows(whole, view.recipes).items():
        first = next(iter(SPLITS))
        papers = _is_papers(row, view.recipes[row.dataset])
        if papers or any(splits[run.id] != first for run in members):
            where = [base.label(row), *base.settings(row)]
            found.append(Group(members, where, papers))
    return found, {run.id: splits[run.id] for group in found for run in group.members}


def _is_papers(row: Row, recipe: recipes.Recipe) -> bool:
    """Say whether a row's runs are what the paper ran for its table."""
    own = (row.ratio, row.source) == (recipe.imbalance.ratio, recipe.sources[0])
    return row.is_recipe() and own and row.dataset == published.everything()["blocks"]["dataset"]


def _split(run: Run) -> str:
    return str(run.spec.settings.get("network", {}).get("split", next(iter(SPLITS))))


def _whole(run: Run) -> dict[str, Mapping[str, object]]:
    """Return a run's settings without a values split."""
    return {name: values for name, values in run.spec.settings.items() if name != "network"}


def _lines(group: Group, split_of: Mapping[str, str], view: View) -> list[Line]:
    own: dict[str, list[Run]] = defaultdict(list)
    for run in group.members:
        own[split_of[run.id]].append(run)
    first = group.members[0]
    return [
        _line(group, split, own[split], view, shown_of(first, view.select, view.metric))
        for split in SPLITS
    ]


def _line(group: Group, split: str, runs: Sequence[Run], view: View, select: Select) -> Line:
    spec = group.members[0].spec
    values = [v for run in runs if (v := value_of(run, view.metric, view.select)) is not None]
    done = [run for run in runs if run.metrics is not None]
    counts = Counter(run.status for run in runs if run.metrics is None)
    missing = [f"{n} {status}" for status, n in counts.items()]
    if len(values) < len(done):
        missing.append(f"{len(done) - len(values)} without a value")
    paper = None
    if group.is_papers and view.metric is Metric.accuracy:
        paper = published.block(spec.dataset, split)
    option = "" if split == next(iter(SPLITS)) else f" --split {split}"
    return Line(
        split=split,
        dataset=spec.dataset,
        ratio=spec.ratio,
        where=group.where,
        summary=summary_of(values),
        missing=missing if runs else ["never planned"],
        select=select,
        paper=paper,
        remedy=command(group.members[0], f"--method dfg{option}"),
    )


def _unplanned(dataset: str, view: View) -> list[Line]:
    """Return the paper's lines where none of its runs are planned."""
    ratio = recipes.load(dataset).imbalance.ratio
    title = DATASETS[dataset].title
    return [
        Line(
            split=split,
            dataset=dataset,
            ratio=ratio,
            where=[f"{title} ({ratio})"],
            summary=None,
            missing=["never planned"],
            select=view.select or Select.last,
            paper=published.block(dataset, split) if view.metric is Metric.accuracy else None,
            remedy=f"dfgctl run {dataset} --method dfg --split {split}",
        )
        for split in SPLITS
    ]


def _table(lines: Sequence[Line], runs: Sequence[Run], view: View) -> Table:
    best: dict[tuple[str, ...], float] = {}
    for line in lines:
        if line.summary is not None:
            key = tuple(line.where)
            best[key] = max(best.get(key, 0.0), round(line.summary.mean, 4))
    shown = {line.select for line in lines}
    notes: list[str] = []
    if any(line.paper for line in lines):
        notes += published.footnotes(published.everything()["blocks"]["footnotes"])
    empty = [line for line in lines if line.summary is None]
    notes += [f"To train {line.split} on {line.where[0]}: {line.remedy}" for line in empty]
    short = any(r.spec.steps < view.recipes[r.spec.dataset].steps_of(r.spec) for r in runs)
    return Table(
        name="blocks",
        title="Where ResNet-50 is split",
        columns=[
            *(Column("Extractor", "label"), Column("On", "detail"), Column("Its output")),
            *(Column("Ours"), Column("Paper")),
        ],
        rows=[_cells(line, best.get(tuple(line.where))) for line in lines],
        caption=f"{caption_of(shown, BEST_MARK, view.metric)} of DFG, split after each block of "
        "ResNet-50: mean ± standard deviation over n runs; beside it Table 3 of the paper. "
        "The feature extractor is all up to that block; its output is height × width × channels.",
        notes=[*notes, *footnotes(runs, _used(view, runs), short)],
        records=[_record(line, view) for line in lines],
    )


def _used(view: View, runs: Sequence[Run]) -> dict[str, recipes.Recipe]:
    names = {run.spec.dataset for run in runs}
    return {name: recipe for name, recipe in view.recipes.items() if name in names}


def shape_of(split: str) -> str:
    """Write the shape of E's output in the paper's order, height × width × channels."""
    channels, height, width = SPLITS[split]
    return f"{height}×{width}×{channels}"


def _cells(line: Line, best: float | None) -> list[Cell]:
    ours = Cell(line.missing)
    if line.summary is not None:
        mean = line.summary.mean
        lines = [line.summary.text(), f"n = {line.summary.n}", *line.missing]
        ours = Cell(lines, round(mean, 4) == best, mean)
    paper = line.paper
    printed = [] if paper is None else [Summary(paper.mean, paper.std, 0).text()]
    number = line.split.removeprefix("block")
    return [
        Cell([f"Up to block {number}"], order=float(number)),
        Cell(line.where),
        Cell([shape_of(line.split)]),
        ours,
        Cell(printed, order=paper.mean if paper else None),
    ]


def _record(line: Line, view: View) -> dict[str, object]:
    summary, paper = line.summary, line.paper
    return {
        "dataset": line.dataset,
        "ratio": line.ratio,
        "settings": list(line.where[1:]),
        "split": line.split,
        "output": list(SPLITS[line.split]),
        "metric": view.metric.value,
        "select": line.select.value,
        "mean": summary.mean if summary else None,
        "std": summary.std if summary else None,
        "n": summary.n if summary else 0,
        "paper_mean": paper.mean if paper else None,
        "paper_std": paper.std if paper else None,
        "missing": list(line.missing),
        "remedy": line.remedy,
    }
