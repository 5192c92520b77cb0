"""The paper's reading of its method against the released code's, where both have runs."""

from collections.abc import Mapping, Sequence

from dfgctl.errors import NothingToShowError
from dfgctl.ledger import PAPER, RELEASED, SWITCHES, readings_of
from dfgctl.networks.catalog import BACKBONES
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report import published
from dfgctl.report.cards import method_titles, title_of
from dfgctl.report.footnotes import several_sources
from dfgctl.report.pairing import Paired
from dfgctl.report.readings import Comparison, comparisons, reading
from dfgctl.report.remake import command
from dfgctl.report.selection import Select, gap_of, require_any
from dfgctl.report.statistics import Summary, points
from dfgctl.report.table import Cell, Column, Table
from dfgctl.report.view import View

USES = frozenset({"select"})

CAPTION = (
    "Test accuracy in %, mean ± standard deviation of n runs. Last: after the last step; best: of "
    "all evaluations, a choice that looks at the test set. Where readings report different ones "
    "(F14), they are compared by these, then by the last. Difference: other less paper in points, "
    "on the (combination, seed) pairs that both have, with Student's 95 % interval. Seeds are "
    "averaged within a combination first, so its n counts combinations, or seeds where there are "
    "none. Combinations share classes and so are not independent: the interval may be too narrow."
)
PRINTED = "Printed"


def make(view: View) -> Table:
    """Make the table.

    Raises:
        NothingToShowError: no method has finished runs of the paper's reading and of another, all
            else equal, or none has the accuracy that was asked for.
    """
    require_any(view.runs, view.select)
    found = comparisons(view.runs, view.recipes, view.select)
    if not found:
        raise NothingToShowError(_nothing(view.runs))
    titles = method_titles(view.runs)
    numbers = [_printed(c, view.recipes) for c in found]
    printed = any(numbers)
    last = [Column(PRINTED)] if printed else []
    return Table(
        name="ledger",
        title="The paper's reading and others",
        columns=[
            Column("Data set", "label"),
            Column("Compared", "detail"),
            *map(Column, ("Paper", "Other", "Difference")),
            *last,
        ],
        rows=[
            _row(c, titles, [number] if printed else [])
            for c, number in zip(found, numbers, strict=True)
        ],
        caption=CAPTION,
        notes=_notes(found, titles, [number for number in numbers if number is not None]),
        records=[_record(c, number) for c, number in zip(found, numbers, strict=True)],
    )


def _nothing(runs: Sequence[Run]) -> str:
    """Say what to run for a comparison."""
    done = [run for run in runs if run.metrics is not None]
    papers = [run for run in done if not reading(run).text()]
    if papers:
        first = next((run for run in papers if run.spec.method == "dfg"), papers[0])
        pairs = [(r.spec.combination, r.spec.seed) for r in papers if _alike(r, first)]
        return (
            "No method has finished runs both of the paper's reading and of another: train the "
            f"released code's on the same pairs: {command(first, pairs, protocol=RELEASED)}"
        )
    if done:
        return (
            "These are no runs of the paper's reading: leave --protocol out, or train it: "
            f"{command(done[0], protocol=PAPER)}"
        )
    dataset = runs[0].spec.dataset
    return (
        "No run of these has finished, so no readings can be compared: train some, e.g. "
        f"dfgctl run {dataset} --method dfg"
    )


def _alike(one: Run, other: Run) -> bool:
    return one.spec.group() == other.spec.group()


def _printed(c: Comparison, recipes: Mapping[str, Recipe]) -> published.Number | None:
    """Return the paper's number where the runs of its reading are the recipe's own."""
    spec = c.paper[0].spec
    if c.row.notes or spec.source not in (None, recipes[spec.dataset].sources[0]):
        return None
    return published.accuracy(spec.dataset, spec.contender, spec.ratio)


def _row(
    c: Comparison,
    titles: Mapping[str, str],
    numbers: Sequence[published.Number | None],
) -> list[Cell]:
    first = c.paper[0]
    compared = [titles[first.spec.contender], c.reading.text()]
    if len(c.reading.single) == 1 and c.reading.protocol == PAPER:
        compared.append(SWITCHES[c.reading.single[0][0]].what)
    compared += [f"source {c.row.source}"] if c.row.source else []
    return [
        Cell([f"{title_of(first)} ({c.row.ratio}){' †' if c.shortened else ''}"]),
        Cell([*compared, *c.row.notes]),
        _mean(c.means[0], c.selects[0], c.paper),
        _mean(c.means[1], c.selects[1], c.other),
        _change(c.difference),
        *(
            Cell([Summary(n.mean, n.std, 0).text()], order=n.mean) if n else Cell([])
            for n in numbers
        ),
    ]


def _mean(summary: Summary | None, select: Select, runs: Sequence[Run]) -> Cell:
    if summary is None:
        gaps = {gap for run in runs if (gap := gap_of(run, select))}
        return Cell(sorted(gaps))
    return Cell([summary.text(), select.value, f"n = {summary.n}"], order=summary.mean)


def _change(paired: Paired | None) -> Cell:
    if paired is None:
        return Cell(["no common pairs"])
    interval = paired.interval()
    if interval is None:
        sure = "no interval"
    elif len(set(paired.values)) == 1:
        sure = "all the same"
    else:
        sure = " to ".join(map(points, interval))
    more = [f"{paired.pairs} pairs"] if paired.pairs > paired.n else []
    return Cell([points(paired.mean), sure, f"n = {paired.n}", *more], order=paired.mean)


def _notes(
    found: Sequence[Comparison],
    titles: Mapping[str, str],
    numbers: Sequence[published.Number],
) -> list[str]:
    notes = []
    whole: dict[str, str] = {}
    singles: dict[str, None] = {}
    for c in found:
        singles.update(dict.fromkeys(switch for switch, _ in c.reading.single))
        spec = c.other[0].spec
        if c.reading.protocol == RELEASED and not c.reading.single:
            name = f"{titles[spec.contender]} on {BACKBONES[spec.backbone].title}"
            whole[name] = ", ".join(sorted(readings_of(spec).released))
    if whole:
        listed = "; ".join(f"{name}: {switches}" for name, switches in whole.items())
        notes.append(f"What protocol released reads otherwise (dfgctl ledger): {listed}.")
    for switch in sorted(singles):
        entry = SWITCHES[switch]
        notes.append(f"{switch}, {entry.what}. Paper: {entry.paper}. Released: {entry.released}.")
    runs: dict[str, list[Run]] = {}
    for c in found:
        runs.setdefault(c.other[0].spec.dataset, []).extend((*c.paper, *c.other))
    notes += [note for own in runs.values() if (note := several_sources(own))]
    if any(c.shortened for c in found):
        notes.append("† Shortened with --steps: not what the recipe trains.")
    apart = {c.other[0].spec.group(): c for c in found if c.difference is None and all(c.means)}
    if apart:
        commands = [
            command(c.other[0], [(run.spec.combination, run.spec.seed) for run in c.paper])
            for c in apart.values()
        ]
        notes.append(
            "Without common pairs nothing can be subtracted (protocol released draws the majority "
            f"classes anew, F15). On the paper's pairs: {'; '.join(commands)}"
        )
    if numbers:
        notes.append(f"{PRINTED}: what the paper prints, in {numbers[0].place}.")
        notes += dict.fromkeys(note for number in numbers for note in number.footnotes)
    return notes


def _record(c: Comparison, number: published.Number | None) -> dict[str, object]:
    spec, (paper, other), paired = c.other[0].spec, c.means, c.difference
    low, high = (paired.interval() if paired else None) or (None, None)
    return {
        "dataset": c.row.dataset,
        "ratio": c.row.ratio,
        "source": c.row.source,
        "settings": list(c.row.notes),
        "shortened": c.shortened,
        "method": spec.contender,
        "backbone": spec.backbone,
        "reading": c.reading.text(),
        "released": sorted(readings_of(spec).released),
        "select_paper": c.selects[0].value,
        "select_other": c.selects[1].value,
        "mean_paper": paper.mean if paper else None,
        "std_paper": paper.std if paper else None,
        "n_paper": paper.n if paper else 0,
        "mean_other": other.mean if other else None,
        "std_other": other.std if other else None,
        "n_other": other.n if other else 0,
        "units": paired.n if paired else 0,
        "unit": "combination" if spec.majority > 0 else "seed",
        "pairs": paired.pairs if paired else 0,
        "difference": paired.mean if paired else None,
        "low": low,
        "high": high,
        "published": number.mean if number else None,
    }
