"""What the page of ``dfgctl report`` is put together from."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from dfgctl.cli.options import DEFAULT_DATA, DEFAULT_REGISTRY
from dfgctl.cli.plot.parts import FIGURES, Figure, Look
from dfgctl.report.page import provenance, readings
from dfgctl.report.page.finding import finding
from dfgctl.report.page.holdings import holdings
from dfgctl.report.page.parts import Part, part
from dfgctl.report.page.pictures import picture
from dfgctl.report.page.rendering import Page, Section
from dfgctl.report.rendering import html_of
from dfgctl.report.tables import TABLES, WHOLE, make, uses

if TYPE_CHECKING:
    from dfgctl.records import Attempt
    from dfgctl.registry import Registry
    from dfgctl.report.view import View


@dataclass(frozen=True)
class _Commands:
    """Writes the commands that make parts again: all show the same runs of the same registry."""

    datasets: Sequence[str]
    select: Sequence[str]
    data: Sequence[str]
    where: Sequence[str]

    def of(
        self, *words: str, dataset: str | None = None, select: bool = True, data: bool = False
    ) -> str:
        """Write a command, of all data sets that the page is about or of one.

        Args:
            words: its first words.
            dataset: the one data set.
            select: whether it has an option for which accuracy is shown.
            data: whether what it shows is in the data directory.
        """
        names = self.datasets if dataset is None else (dataset,)
        options = [word for name in names for word in ("--dataset", name)]
        options += [*(self.select if select else ()), *(self.data if data else ())]
        return shlex.join(["dfgctl", *words, *options, *self.where])


def page_of(
    view: "View", store: "Registry", datasets: Sequence[str], published: bool | None
) -> Page:
    """Make the page; what cannot be shown is told in its place.

    Args:
        view: what is shown.
        store: the registry.
        datasets: those that were asked for; empty for all.
        published: whether the paper's numbers were asked for; None if that was left open.
    """
    commands = _Commands(
        datasets,
        ("--select", view.select.value) if view.select else (),
        () if view.data_dir in (None, DEFAULT_DATA) else ("--data-dir", str(view.data_dir)),
        () if store.where == DEFAULT_REGISTRY else ("--registry", store.where),
    )
    known = store.makings()
    makings = {run.id: known[run.id] for run in view.runs if run.id in known}
    sections = [
        Section("tables", "Tables", [_table(name, view, store, commands) for name in TABLES]),
        Section("figures", "Figures", _figures(view, store, commands)),
        Section("reading", "Readings of the paper", [_readings(view, commands)]),
        Section("making", "Provenance", [_provenance(view, makings, commands)]),
    ]
    first, singles = finding(view)
    flag = {None: (), True: ("--published",), False: ("--no-published",)}[published]
    return Page(
        title=f"dfgctl: {_titles(view)}",
        holdings=[*holdings(view.runs, makings), ("Registry", store.where)],
        finding=first,
        singles=singles,
        warnings=_warnings(view, sections),
        sections=sections,
        command=commands.of("report", *flag, data=True),
        made=_made(),
    )


def _titles(view: "View") -> str:
    from dfgctl.report.cards import title_of

    titles = list(dict.fromkeys(title_of(run) for run in view.runs))
    return ", ".join(titles) if len(titles) < 4 else f"{len(titles)} data sets"


def _table(name: str, view: "View", store: "Registry", commands: _Commands) -> Part:
    flag = ("--published",) if view.published and name == "results" else ()

    def shown() -> str:
        if name not in WHOLE:
            return html_of(make(name, view))
        ids = [run.id for run in view.runs]
        return html_of(make(name, replace(view, runs=store.runs(ids, whole=True))))

    command = commands.of(
        *("table", name, *flag), select="select" in uses(name), data=name == "datasets"
    )
    pieces = {command: shown}
    return part(f"part-{name}", f"{name}: {TABLES[name]}", pieces)


def _figures(view: "View", store: "Registry", commands: _Commands) -> list[Part]:
    trained = {run.spec.dataset for run in view.runs}
    names = [name for name in view.recipes if name in trained]
    parts = []
    for kind, figure in FIGURES.items():
        pieces = {
            commands.of("plot", kind, dataset=name, select=figure.selects): partial(
                _drawn, figure, view, store, name
            )
            for name in names
        }
        parts.append(part(f"part-{kind}", f"{kind}: {figure.title}", pieces))
    return parts


def _drawn(figure: Figure, view: "View", store: "Registry", name: str) -> str:
    recipe = view.recipes[name]
    drawn = figure.draw(Look(store, view.runs, recipe, view.select))
    return picture(drawn, f"{figure.title}, {name}")


def _readings(view: "View", commands: _Commands) -> Part:
    pieces: Mapping[str, Callable[[], str]] = {
        "dfgctl ledger": lambda: html_of(readings.make(view.runs))
    }
    return part("part-readings", "Where the paper and its released code differ", pieces)


def _provenance(view: "View", makings: "Mapping[str, Attempt]", commands: _Commands) -> Part:
    pieces = {"": lambda: html_of(provenance.make(view.runs, makings))}
    return part("part-provenance", "What the results were made with", pieces)


def _warnings(view: "View", sections: Sequence[Section]) -> list[str]:
    """Say what must be known before a number is believed."""
    finished = [run for run in view.runs if run.metrics is not None]
    changed = sum(bool(run.dirty) for run in finished)
    open_ = len(view.runs) - len(finished)
    failed = [p.title for s in sections for p in s.parts if p.failed]
    said = []
    if open_:
        said.append(f"{open_:,} of {len(view.runs):,} runs have no result.")
    if changed:
        said.append(
            f"{changed:,} of {len(finished):,} finished runs come from a tree with changes that no "
            "commit has, as the provenance says."
        )
    if failed:
        said.append(f"Parts that failed, as they say in their places: {'; '.join(failed)}.")
    return said


def _made() -> str:
    from dfgctl import __version__
    from dfgctl.provenance import collect

    made = collect()
    tree = " with changes" if made["dirty"] else ""
    commit = f", commit {made['commit'][:10]}{tree}" if made["commit"] else ""
    return f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by dfgctl {__version__}{commit}."
