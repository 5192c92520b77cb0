"""``dfgctl report``: the page of a registry, its exit codes, and files that are whole or not."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_runs import MADE, registry_of, swept

from dfgctl.cli import report_parts
from dfgctl.cli.plot.parts import FIGURES, Figure, Look
from dfgctl.report.tables import TABLES
from dfgctl.report.view import View

Cli = Callable[..., Any]


def test_the_page_holds_every_table_and_figure(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report")
    assert (made.code, made.out, made.err) == (0, "", "Wrote results/report.html\n")
    text = (tmp_path / "results" / "report.html").read_text()
    for name in (*TABLES, *FIGURES):
        assert f'id="part-{name}"' in text
    assert text.count("<svg") == 2
    assert "dfgctl plot rho --dataset digits</code>" in text
    assert "dfgctl table results</code>" in text
    assert f"commit {'c' * 10}" not in text  # the page's own commit is another than the runs'
    assert "c" * 10 in text
    assert "dfgctl: Digits" in text


def test_the_commands_name_what_was_asked_for(cli: Cli, tmp_path: Path) -> None:
    where = registry_of(tmp_path / "my runs" / "r.sqlite", swept())
    made = cli(
        *("report", "--registry", where, "-o", "p/page.html"),
        *("--dataset", "digits", "--select", "best", "--no-published"),
    )
    assert made.code == 0
    text = (tmp_path / "p" / "page.html").read_text()
    options = f"--dataset digits --select best --registry &#39;{where}&#39;"
    assert f"dfgctl table results {options}</code>" in text
    assert f"dfgctl plot delta {options}</code>" in text
    assert f"dfgctl report --no-published {options}</code>" in text
    assert "Best test accuracy in %" in text


def test_what_cannot_be_shown_says_what_to_run(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept()[:1])
    assert cli("report").code == 0
    text = (tmp_path / "results" / "report.html").read_text()
    assert re.search(r'<p class="absent">No finished runs of dfg on digits with two values', text)
    assert "train some with dfgctl run digits --method dfg --set dfg.rho=" in text
    assert "<svg" not in text


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
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report", "--dataset", "svhn")
    assert made.code == 2
    assert "There are no runs of svhn yet" in made.err


def test_a_part_that_fails_is_named_and_takes_nothing_with_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(look: Look) -> Any:
        raise KeyError(f"<b>{look.recipe.name}")

    monkeypatch.setitem(FIGURES, "broken", Figure("A broken one", broken))
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report")
    assert made.code == 1
    assert "Wrote results/report.html\n" in made.err
    assert "Failed: dfgctl plot broken --dataset digits: KeyError" in made.err
    assert "1 of the page's parts failed" in " ".join(made.err.split())
    text = (tmp_path / "results" / "report.html").read_text()
    assert "KeyError: &#39;&lt;b&gt;digits&#39;" in text
    assert "Parts that failed, as they say in their places: broken: A broken one." in text
    assert text.count("<svg") == 2


def test_runs_of_a_changed_tree_are_named(cli: Cli, tmp_path: Path) -> None:
    runs = swept()
    registry_of(tmp_path / "results" / "registry.sqlite", runs, {**MADE, "dirty": True})
    assert cli("report").code == 0
    text = (tmp_path / "results" / "report.html").read_text()
    assert f"{len(runs)} of {len(runs)} finished runs come from a tree with changes" in text
    listed = re.search("From a tree with changes that no commit has: ([^.]+)", text)
    assert listed is not None
    assert listed[1].split(", ") == sorted(run.id[:10] for run in runs)


def test_the_page_is_whole_or_not_there(cli: Cli, tmp_path: Path) -> None:
    registry_of(tmp_path / "results" / "registry.sqlite", swept())
    made = cli("report", "-o", "results")
    assert made.code == 2
    assert "results is a folder" in made.err
    made = cli("report", "-o", "results/registry.sqlite")
    assert made.code == 2
    assert "is a registry, or another database" in made.err
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(("dataset", "shown"), [("svhn", True), ("digits", False)])
def test_the_papers_numbers_are_asked_for_where_it_has_some(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, shown: bool
) -> None:
    asked: list[bool] = []

    def make(name: str, view: View) -> Any:
        asked.append(view.published)
        return real(name, view)

    real = report_parts.make
    monkeypatch.setattr(report_parts, "make", make)
    runs = [replace(run, spec=replace(run.spec, dataset=dataset)) for run in swept()]
    registry_of(tmp_path / "results" / "registry.sqlite", runs)
    cli("report")
    assert asked == [shown] * len(TABLES)
    cli("report", "--no-published")
    assert asked[-1] is False
