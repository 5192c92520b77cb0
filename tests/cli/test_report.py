"""``dfgctl report``: the page of a registry, its exit codes, and files that are whole or not."""

import html
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.figure
import pandas as pd
import pytest
from report_runs import MADE, registry_of, swept
from typer.main import get_command

from dfgctl.cli import app, report_parts
from dfgctl.cli.plot.parts import FIGURES, Figure, Look
from dfgctl.errors import NothingToShowError
from dfgctl.report import tables
from dfgctl.report.figures import Drawn
from dfgctl.report.tables import TABLES
from dfgctl.report.view import View

Cli = Callable[..., Any]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the page no other figures than these: pictures take most of its time."""

    def keep(*names: str, **more: Figure) -> None:
        kept = {name: FIGURES[name] for name in names}
        monkeypatch.setattr(report_parts, "FIGURES", {**kept, **more})

    return keep


def drawn(look: Look) -> Drawn:
    """Draw nothing."""
    return Drawn("blank", matplotlib.figure.Figure((1, 1)), pd.DataFrame(), [])


def pictures(text: str) -> list[str]:
    """Return what each picture of a page shows, in words."""
    found = re.findall(r'<(?:svg|img)\b[^>]* (?:aria-label|alt)="([^"]+)"', text)
    return [html.unescape(label) for label in found]


def commands(text: str) -> list[list[str]]:
    """Return the words of the commands that make a page's parts again."""
    found = re.findall(r"<code>dfgctl ([^<]+)</code>", text)
    return [shlex.split(html.unescape(words)) for words in found]


def test_the_page_holds_every_table_and_figure(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report")
    assert (made.code, made.out, made.err) == (0, "", "Wrote results/report.html\n")
    text = (tmp_path / "results" / "report.html").read_text()
    for name in (*TABLES, *FIGURES):
        assert f'id="part-{name}"' in text
    # No run has rho 0 beside 0.75: that is said where the figure would be.
    shown = [figure.title for name, figure in FIGURES.items() if name != "weights"]
    assert pictures(text) == [f"{title}, digits" for title in shown]
    assert re.search(r'id="part-weights-title">.*\n<p class="absent">[^<]*rho=0', text)
    assert "dfgctl plot rho --dataset digits</code>" in text
    assert "dfgctl table results</code>" in text
    assert f"commit {'c' * 10}" not in text  # the page's own commit is another than the runs'
    assert "c" * 10 in text
    assert "dfgctl: Digits" in text


def test_the_commands_name_what_was_asked_for(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    only("delta", "curves")
    where = registry_of(tmp_path / "my runs" / "r.sqlite", swept())
    made = cli(
        *("report", "--registry", where, "-o", "p/page.html", "--data-dir", "my data"),
        *("--dataset", "digits", "--select", "best", "--no-published"),
    )
    assert made.code == 0
    text = (tmp_path / "p" / "page.html").read_text()
    data, place = ["--dataset", "digits"], ["--registry", str(where)]
    best, there = ["--select", "best"], ["--data-dir", "my data"]
    found = commands(text)
    assert ["table", "results", *data, *best, *place] in found
    assert ["table", "datasets", *data, *there, *place] in found
    assert ["plot", "delta", *data, *best, *place] in found
    assert ["plot", "curves", *data, *place] in found
    assert ["report", "--no-published", *data, *best, *there, *place] in found
    assert "Best test accuracy in %" in text


def test_every_command_of_the_page_has_the_options_that_it_is_given(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    blank = {name: replace(figure, draw=drawn) for name, figure in FIGURES.items()}
    only(**blank)
    where = registry_of(tmp_path / "r.sqlite", swept())
    cli("report", "--registry", where, "-o", "p.html", "--select", "best", "--data-dir", "d")
    found = commands((tmp_path / "p.html").read_text())
    assert {words[1] for words in found if words[0] == "plot"} == set(FIGURES)
    for words in found:
        command: Any = get_command(app)
        while children := getattr(command, "commands", None):
            command, words = children[words[0]], words[1:]
        given = command.make_context("", list(words)).params  # refuses unknown options
        if "against" in given:
            options = [name for name in tables.OPTIONS if given.get(name.replace("-", "_"))]
            tables.check(str(given["name"]), options)


def test_what_cannot_be_shown_says_what_to_run(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    only("rho", "delta")
    registry_of(tmp_path / "results" / "registry.sqlite", swept()[:1])
    assert cli("report").code == 0
    text = (tmp_path / "results" / "report.html").read_text()
    assert re.search(r'<p class="absent">No finished runs of dfg on digits with two values', text)
    assert re.search("train some with dfgctl run digits .*--method dfg --set dfg.rho=", text)
    assert pictures(text) == []


def test_a_registry_without_a_result_is_told_of(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept()[:2], finished=0)
    assert cli("report").code == 0
    text = (tmp_path / "results" / "report.html").read_text()
    assert "2: 2 queued" in text
    assert "2 of 2 runs have no result." in text
    assert "No run has finished yet" in text


@pytest.mark.parametrize("there", [True, False], ids=["empty", "absent"])
def test_no_runs_at_all_end_in_one_sentence(cli: Cli, tmp_path: Path, there: bool) -> None:
    if there:
        registry_of(tmp_path / "results" / "registry.sqlite", [])
    made = cli("report", "-o", "page.html")
    assert (made.code, made.out) == (2, "")
    assert "There are no runs yet: train some, e.g. dfgctl run digits" in made.err
    assert not (tmp_path / "page.html").exists()


def test_runs_of_another_data_set_only_end_in_one_sentence(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept()[:1])
    made = cli("report", "--dataset", "svhn")
    assert made.code == 2
    assert "There are no runs of svhn yet" in made.err
    made = cli("report", "--dataset", "digit")
    assert made.code == 2
    assert "'digit'" in made.err
    assert "digits" in made.err
    assert "dfgctl run" not in made.err


def test_a_data_set_without_runs_is_told_of_beside_one_that_has_some(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    only()
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    asked = ("--dataset", "digits", "--dataset", "svhn", "--dataset", "fmnist")
    for command in ("report", "table"):
        made = cli(command, *asked)
        assert made.code == 0
        told = [line for line in made.err.splitlines() if line.startswith("Note: ")]
        assert told == [
            f"Note: There are no runs of {name} yet, so it is left out: dfgctl run {name} trains "
            "some."
            for name in ("svhn", "fmnist")
        ]
    told_of_eight = cli("table", *asked[:4], "--protocol", "paper").err
    assert told_of_eight == (
        "Note: There are no runs of svhn with the protocol paper yet, so it is left out.\n"
    )
    assert cli("table", "datasets", *asked).err == ""


def test_a_part_that_fails_is_named_and_takes_nothing_with_it(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    def broken(look: Look) -> Any:
        raise KeyError(f"<b>{look.recipe.name}")

    only("rho", broken=Figure("A broken one", broken))
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report")
    assert made.code == 1
    assert "Wrote results/report.html\n" in made.err
    assert "Failed: dfgctl plot broken --dataset digits: KeyError" in made.err
    assert "1 of the page's parts failed" in " ".join(made.err.split())
    text = (tmp_path / "results" / "report.html").read_text()
    assert "KeyError: &#39;&lt;b&gt;digits&#39;" in text
    assert "Parts that failed, as they say in their places: broken: A broken one." in text
    assert pictures(text) == ["Accuracy over ρ (Fig. 6), digits"]


def test_runs_of_a_changed_tree_are_named(
    cli: Cli, tmp_path: Path, only: Callable[..., None]
) -> None:
    only()
    runs = swept()
    registry_of(tmp_path / "results" / "registry.sqlite", runs, {**MADE, "dirty": True})
    assert cli("report").code == 0
    text = (tmp_path / "results" / "report.html").read_text()
    assert f"{len(runs)} of {len(runs)} finished runs come from a tree with changes" in text
    named = ", ".join(sorted(run.id[:10] for run in runs)[:5])
    assert f"From a tree with changes that no commit has: {named}" in text


def test_the_page_is_whole_or_not_there(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report", "-o", "results")
    assert made.code == 2
    assert "results is a folder" in made.err
    made = cli("report", "-o", "results/registry.sqlite")
    assert made.code == 2
    assert "is a registry, or another database" in made.err
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture
def viewed(monkeypatch: pytest.MonkeyPatch, only: Callable[..., None]) -> list[View]:
    """What each table was asked to show; the page has neither tables nor figures."""
    views: list[View] = []

    def make(name: str, view: View) -> Any:
        views.append(view)
        raise NothingToShowError("Nothing is made here.")

    only()
    monkeypatch.setattr(report_parts, "make", make)
    return views


@pytest.mark.parametrize(("dataset", "shown"), [("svhn", True), ("digits", False)])
def test_the_papers_numbers_are_asked_for_where_it_has_some(
    cli: Cli, tmp_path: Path, viewed: list[View], dataset: str, shown: bool
) -> None:
    runs = [replace(run, spec=replace(run.spec, dataset=dataset)) for run in swept()]
    registry_of(tmp_path / "results" / "registry.sqlite", runs)
    cli("report")
    assert [view.published for view in viewed] == [shown] * len(TABLES)
    cli("report", "--no-published")
    assert viewed[-1].published is False


def test_data_is_looked_for_where_tables_look_for_it(
    cli: Cli, tmp_path: Path, viewed: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept()[:1])
    monkeypatch.setenv("DFGCTL_DATA", "elsewhere")
    assert cli("report").code == 0
    assert viewed[0].data_dir == Path("elsewhere")
    assert viewed[0].checksums == Path("results") / "manifests" / "checksums.json"
