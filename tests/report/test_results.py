"""The table of results: numbers worked out by hand, reasons for gaps, footnotes, formats."""

import csv
import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.contenders import METHODS
from dfgctl.errors import NothingToShowError
from dfgctl.report import frontier, pairs, spread
from dfgctl.report import results as module
from dfgctl.report.cells import Cell
from dfgctl.report.rendering import render
from dfgctl.report.results import ResultsTable
from dfgctl.report.selection import BEST_MARK, Select
from dfgctl.report.statistics import Summary, summarise
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in ("digits", "fmnist")}


def results(
    runs: list[Any], loaded: dict[str, Any], select: Select | None = None, **asked: Any
) -> ResultsTable:
    return module.results(View(runs, loaded, select, **asked))


def cells(table: Any) -> dict[str, Cell]:
    ((_, found),) = table.lines
    return found


def three(make_run: Any) -> list[Any]:
    """Three runs of dfg and one of original, all by the recipe."""
    accuracies = [0.90, 0.92, 0.97]
    runs = [make_run(accuracy=a, seed=i) for i, a in enumerate(accuracies)]
    return [*runs, make_run("original", 0.8125)]


def test_a_summary_is_mean_and_standard_deviation_with_n_less_1() -> None:
    # Mean 0.93; squares of -0.03, -0.01, 0.04 sum to 0.0026, halved 0.0013.
    found = summarise([0.90, 0.92, 0.97])
    assert found.mean == pytest.approx(0.93)
    assert found.std == pytest.approx(math.sqrt(0.0013))
    assert found.n == 3
    assert summarise([0.5]) == Summary(0.5, None, 1)
    assert summarise([0.5, 0.5]) == Summary(0.5, 0.0, 2)


def test_a_cell_shows_mean_spread_and_n(make_run: Any) -> None:
    found = cells(results(three(make_run), RECIPES))
    assert found["dfg"].lines() == ["93.00 ± 3.61", "n = 3, c = 1", "gain +8.75"]
    assert found["dfg"].text() == "93.00 ± 3.61 (n = 3, c = 1, gain +8.75)"


def test_a_cell_of_one_run_has_no_spread(make_run: Any) -> None:
    found = cells(results(three(make_run), RECIPES))
    assert found["original"].lines() == ["81.25", "n = 1, c = 1"]


def test_a_cell_without_results_says_why(make_run: Any) -> None:
    runs = [
        make_run("dfg", None, status="queued", seed=0),
        make_run("dfg", None, status="queued", seed=1),
        make_run("dfg", None, status="running", seed=2),
        make_run("delta", None, status="failed"),
        make_run("original", None, status="cancelled"),
    ]
    found = cells(results(runs, RECIPES))
    assert sorted(found["dfg"].lines()) == ["1 running", "2 queued"]
    assert found["delta"].text() == "1 failed"
    assert found["original"].text() == "1 cancelled"
    assert found["finetune"].text() == "never planned"


def test_a_cell_with_results_says_what_has_not_finished(make_run: Any) -> None:
    runs = [*three(make_run), make_run(accuracy=None, status="failed", seed=9)]
    cell = cells(results(runs, RECIPES))["dfg"]
    assert cell.text() == "93.00 ± 3.61 (n = 3, c = 1, 1 failed, gain +8.75)"


def test_a_finished_run_that_is_queued_again_keeps_its_place(make_run: Any) -> None:
    runs = [make_run(accuracy=0.9, seed=0), make_run(accuracy=0.92, status="queued", seed=1)]
    cell = cells(results(runs, RECIPES))["dfg"]
    assert cell.summary is not None
    assert cell.summary.n == 2
    assert cell.counts == {"finished": 2}


def test_combinations_are_counted_once(make_run: Any) -> None:
    pairs = [((0, 4), 0), ((0, 4), 1), ((1, 7), 0)]
    runs = [make_run(accuracy=0.5, combination=c, seed=s) for c, s in pairs]
    assert cells(results(runs, RECIPES))["dfg"].combinations == 2


def test_a_shortened_row_is_marked_and_explained(make_run: Any) -> None:
    table = results([make_run(), make_run(steps=100)], RECIPES)
    labels = [table.label(row) for row, _ in table.lines]
    assert labels == ["Digits (10:1)", "Digits (10:1) †"]
    assert [note for note in table.footnotes if note.startswith("†")] != []
    assert table.settings(table.lines[1][0]) == ["source glyphs", "100 steps"]
    assert not any("†" in n for n in results([make_run()], RECIPES).footnotes)


def tuned_apart(make_run: Any) -> View:
    """DFG tuned with seven steps beside DELTA tuned with the recipe's."""
    search = {"tuned": {"trials": 8, "found": "abc", "values": {}, "pairs": []}}
    runs = [make_run("dfg", 0.9, steps=7), make_run("delta")]
    specs = [replace(run.spec, settings={**run.spec.settings, **search}) for run in runs]
    runs = [replace(run, spec=spec) for run, spec in zip(runs, specs, strict=True)]
    return View(runs=runs, recipes=RECIPES)


def test_what_was_searched_with_fewer_steps_stands_beside_other_tuned_runs(make_run: Any) -> None:
    made = results(tuned_apart(make_run).runs, RECIPES)
    assert [made.label(row) for row, _ in made.lines] == ["Digits (10:1)"]
    shown = made.table()
    titles = [column.title for column in shown.columns]
    (line,) = [dict(zip(titles, row, strict=True)) for row in shown.rows]
    assert line["DFG"].text() == "90.00 (n = 1, c = 1, 7 steps †)"
    assert "†" not in line["DELTA"].text()
    assert any(note.startswith("†") for note in shown.notes)


def test_a_tuned_row_says_its_steps_where_all_of_it_is_shortened_too(make_run: Any) -> None:
    (run, _) = tuned_apart(make_run).runs
    made = results([run], RECIPES)
    assert [made.label(row) for row, _ in made.lines] == ["Digits (10:1)"]
    (line,) = made.table().rows
    assert "90.00 (n = 1, c = 1, 7 steps †)" in [cell.text() for cell in line]


def test_other_tables_mark_it_where_it_is_shown(make_run: Any) -> None:
    """DFG's line of the frontier and the spread, and each of the pairs, as DFG is in all."""
    view = tuned_apart(make_run)
    where = "Digits (10:1) (source glyphs, tuned (8 trials)"
    for make in (frontier.make, spread.make):
        lines = {row[0].text(): row[1].text() for row in make(view).rows}
        assert lines == {"DFG": f"{where}, 7 steps †)", "DELTA": f"{where})"}
    (line,) = pairs.make(view).rows
    assert [cell.text() for cell in line[:2]] == ["DELTA", f"{where}, DFG 7 steps †)"]


def test_a_lengthened_row_is_not_marked_as_shortened(make_run: Any) -> None:
    steps = RECIPES["digits"].steps("dfg")
    table = results([make_run(steps=steps + 1)], RECIPES)
    assert [table.label(row) for row, _ in table.lines] == ["Digits (10:1)"]
    assert not any("†" in note for note in table.footnotes)


def test_majority_classes_with_fewer_images_are_named_below(make_run: Any) -> None:
    counts = (89, 9, 9, 9, 90, 9, 9, 9, 9, 9)
    run = make_run(changed={"imbalance.majority_count": 90}, class_counts=counts)
    (note,) = results([run], RECIPES).footnotes
    assert "fewer than 90 images" in note
    assert note.endswith("0 (89).")
    assert results([make_run()], RECIPES).footnotes == ()


def test_at_one_to_one_every_class_is_a_majority_class(make_run: Any) -> None:
    counts = (80,) * 8 + (77, 80)
    run = make_run(ratio="1:1", majority=0, combination=(), class_counts=counts)
    (note,) = results([run], RECIPES).footnotes
    assert note.endswith("8 (77).")


def test_rows_that_look_alike_are_told_apart(make_run: Any) -> None:
    runs = [make_run(), make_run(source_identity="6" * 64), make_run(data_digest="e" * 64)]
    table = results(runs, RECIPES)
    texts = [", ".join(table.settings(row)) for row, _ in table.lines]
    assert len(set(texts)) == 3
    assert any("source network 6666666" in text for text in texts)
    assert any("data eeeeeee" in text for text in texts)


def test_nothing_to_show_says_how_to_get_something() -> None:
    with pytest.raises(NothingToShowError, match="dfgctl run digits"):
        results([], RECIPES)


# Formats


def test_json_has_a_record_for_each_cell(make_run: Any) -> None:
    records = json.loads(render(results(three(make_run), RECIPES).table(), "json"))
    by_method = {record["method"]: record for record in records}
    assert list(by_method) == list(METHODS)
    dfg = by_method["dfg"]
    assert dfg["mean"] == pytest.approx(0.93)
    assert dfg["std"] == pytest.approx(math.sqrt(0.0013))
    assert (dfg["n"], dfg["combinations"], dfg["status"]) == (
        3,
        1,
        {"finished": 3, "queued": 0, "running": 0, "failed": 0, "cancelled": 0},
    )
    assert (dfg["dataset"], dfg["ratio"], dfg["source"]) == ("digits", "10:1", "glyphs")
    assert by_method["original"]["std"] is None
    assert by_method["delta"]["mean"] is None
    assert by_method["delta"]["n"] == 0


def test_csv_has_a_line_for_each_cell(make_run: Any) -> None:
    runs = [*three(make_run), make_run("delta", None, status="failed")]
    text = render(results(runs, RECIPES).table(), "csv")
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(text))}
    assert list(lines) == list(METHODS)
    assert float(lines["dfg"]["mean"]) == pytest.approx(0.93)
    assert lines["dfg"]["finished"] == "3"
    assert lines["original"]["std"] == ""
    assert lines["delta"]["mean"] == ""
    assert lines["delta"]["failed"] == "1"
    assert lines["dfg"]["failed"] == "0"
    settings = render(
        results([make_run(steps=100, seed=1, validation=0.1)], RECIPES).table(), "csv"
    )
    line = next(csv.DictReader(io.StringIO(settings)))
    assert line["settings"] == "100 steps; 0.1 held out"


@pytest.mark.parametrize(
    "fields", [{"source_identity": "6" * 64}, {"data_digest": "e" * 64}], ids=["source", "data"]
)
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_records_of_different_rows_can_be_told_apart(
    make_run: Any, fields: dict[str, Any], kind: str
) -> None:
    text = render(results([make_run(), make_run(**fields)], RECIPES).table(), kind)
    records = json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text)))
    own = [json.dumps(record) for record in records if record["method"] == "dfg"]
    assert len(own) == 2
    assert len(set(own)) == 2


def test_markdown_is_a_table_with_its_notes(make_run: Any) -> None:
    text = render(results([*three(make_run), make_run(steps=100)], RECIPES).table(), "md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    assert rows[0] == ["Data set", "Settings", *METHODS.values()]
    assert rows[2] == [
        "Digits (10:1)",
        "source glyphs",
        "81.25 (n = 1, c = 1)",
        "never planned",
        "never planned",
        "never planned",
        "**93.00 ± 3.61 (n = 3, c = 1, gain +8.75)**",
    ]
    assert rows[3][0] == "Digits (10:1) †"
    assert "Test accuracy in %" in text
    assert "\n† Shortened" in text


def test_a_bar_in_a_sources_name_breaks_no_markdown_cell(make_run: Any) -> None:
    text = render(results([make_run(source="file:a|b")], RECIPES).table(), "md")
    bars = [line.replace(r"\|", "").count("|") for line in text.splitlines() if line[:1] == "|"]
    assert bars == [len(METHODS) + 3] * 3


def test_latex_is_a_whole_table(make_run: Any) -> None:
    text = render(results([*three(make_run), make_run(steps=100)], RECIPES).table(), "latex")
    for part in (r"\begin{table}[htb]", r"\caption{", r"\label{tab:results}", r"\toprule"):
        assert part in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert r"93.00 $\pm$ 3.61 (n = 3, c = 1, gain +8.75)" in text
    assert r"Digits (10:1) $\dagger$" in text
    assert r"Test accuracy in \% after" in text
    assert "±" not in text
    assert "†" not in text


def test_latex_escapes_what_it_would_read_as_commands(make_run: Any) -> None:
    text = render(results([make_run(source="file:a_b&c#d%e")], RECIPES).table(), "latex")
    assert r"file:a\_b\&c\#d\%e" in text


@pytest.mark.parametrize("character", ["$", "{", "}", "^", "~", "\\"])
def test_latex_escapes_also_what_is_rare_in_a_files_name(make_run: Any, character: str) -> None:
    text = render(results([make_run(source=f"file:a{character}b")], RECIPES).table(), "latex")
    assert f"a{character}b" not in text


def test_pairs_that_served_for_tuning_are_named_below(make_run: Any) -> None:
    run = make_run(combination=(2, 5), seed=900)
    assert any("served to choose" in note for note in results([run], RECIPES).footnotes)
    held_out = make_run(combination=(2, 5), seed=900, validation=0.25)
    for other in (make_run(combination=(2, 5)), held_out):
        assert not any("served" in note for note in results([other], RECIPES).footnotes)


# Which accuracy

THREE = {"accuracy_best": 0.9, "accuracy_val": 0.8, "val_step": 20}


def own(make_run: Any, steps: int = 500, **fields: Any) -> Any:
    """A run of a method that no recipe knows."""
    run = make_run(steps=steps, **fields)
    code = {"title": "Mine", "sha256": "c" * 64, "defaults": {"steps": 500, "lr": 0.1}}
    settings = {"mine": {"lr": 0.1}, "code": code}
    return replace(run, spec=replace(run.spec, method="mine", settings=settings))


@pytest.mark.parametrize(
    ("select", "number", "words"),
    [
        (None, "50.00", "after the last step"),
        (Select.last, "50.00", "after the last step"),
        (Select.best, "90.00", "looks at the test set"),
        (Select.val, "80.00", "on the validation share"),
    ],
)
@pytest.mark.parametrize("kind", ["md", "latex"])
def test_a_table_shows_the_accuracy_that_is_asked_for_and_says_so(
    make_run: Any, select: Select | None, number: str, words: str, kind: str
) -> None:
    table = results([make_run(accuracy=0.5, metrics=THREE)], RECIPES, select)
    assert cells(table)["dfg"].lines() == [number, "n = 1, c = 1"]
    assert words in table.caption
    text = render(table.table(), kind)
    assert number in text
    assert words in " ".join(text.split())
    assert BEST_MARK not in text


@pytest.mark.parametrize("select", [None, *Select])
def test_records_say_which_accuracy_they_hold(make_run: Any, select: Select | None) -> None:
    runs = [make_run(metrics=THREE), make_run(protocol="released", metrics=THREE)]
    table = results(runs, RECIPES, select)
    shown = [str(select)] * 2 if select else ["last", "best"]
    lines = list(csv.DictReader(io.StringIO(render(table.table(), "csv"))))
    for records in (json.loads(render(table.table(), "json")), lines):
        assert [r["select"] for r in records if r["method"] == "dfg"] == shown


def test_rows_that_show_the_best_are_marked_where_others_do_not(make_run: Any) -> None:
    runs = [make_run(metrics=THREE), make_run(protocol="released", metrics=THREE)]
    mixed = results(runs, RECIPES)
    labels = [mixed.label(row) for row, _ in mixed.lines]
    assert labels == ["Digits (10:1)", f"Digits (10:1) {BEST_MARK}"]
    assert [row_cells["dfg"].lines()[0] for _, row_cells in mixed.lines] == ["50.00", "90.00"]
    assert f"marked {BEST_MARK} the best" in mixed.caption
    assert r"$\ddagger$" in render(mixed.table(), "latex")
    alike = results(runs, RECIPES, Select.last)
    assert [alike.label(row) for row, _ in alike.lines] == ["Digits (10:1)"] * 2
    assert BEST_MARK not in results(runs[1:], RECIPES).caption


def test_a_cell_says_which_runs_have_no_validated_accuracy(make_run: Any) -> None:
    runs = [
        make_run("delta"),
        make_run("dfg", validation=0.1, metrics=THREE),
        make_run("dfg", validation=0.1, seed=1),
        make_run("dfg", None, validation=0.1, seed=2),
        make_run("finetune", validation=0.1),
    ]
    table = results(runs, RECIPES, Select.val)
    plain, held_out = (found for _, found in table.lines)
    assert plain["delta"].text() == "no validation share"
    assert plain["dfg"].text() == "never planned"
    assert held_out["finetune"].text() == "validated accuracy not kept"
    text = "80.00 (n = 1, c = 1, 1 validated accuracy not kept, 1 queued)"
    assert held_out["dfg"].text() == text


def test_no_validated_accuracy_at_all_ends_in_the_remedy(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match=r"--validation 0\.1"):
        results([make_run(), make_run("delta")], RECIPES, Select.val)
    waiting = results([make_run(accuracy=None)], RECIPES, Select.val)
    assert cells(waiting)["dfg"].text() == "1 queued"


def test_accuracies_without_the_sources_images_stand_below(make_run: Any) -> None:
    runs = [
        make_run("dfg", 0.90, metrics={"accuracy_unseen": 0.80}),
        make_run("dfg", 0.94, metrics={"accuracy_unseen": 0.84}, seed=1),
        make_run("original", 0.70, metrics={"accuracy_unseen": 0.60}),
        make_run("delta", 0.70),
    ]
    table = results(runs, RECIPES)
    assert table.footnotes == (
        "Digits, last step, without the test images that the source network was trained on. "
        "10:1, source glyphs: Original 60.00 (n = 1), DFG 82.00 ± 2.83 (n = 2).",
    )
    assert cells(table)["dfg"].lines()[0] == "92.00 ± 2.83"
    records = {r["method"]: r for r in json.loads(render(table.table(), "json"))}
    assert records["dfg"]["mean_unseen"] == pytest.approx(0.82)
    assert records["dfg"]["std_unseen"] == pytest.approx(math.sqrt(0.0008))
    assert records["delta"]["mean_unseen"] is records["delta"]["std_unseen"] is None


# What the catalog and the paper do not know


def test_a_method_of_ones_own_has_a_column_beside_the_papers(make_run: Any) -> None:
    table = results([*three(make_run), own(make_run, accuracy=0.4)], RECIPES)
    assert list(table.methods.values())[-2:] == ["DFG", "Mine"]
    assert cells(table)["mine"].text() == "40.00 (n = 1, c = 1)"
    header = render(table.table(), "md").splitlines()[0]
    assert [part.strip() for part in header.strip("|").split("|")][-1] == "Mine"


def test_a_data_set_of_ones_own_has_its_name(make_run: Any) -> None:
    run = make_run(class_counts=(80, 8, 8, 8, 70, 8, 8, 8, 8, 8))
    run = replace(run, spec=replace(run.spec, dataset="shells"))
    table = results([run], {"shells": RECIPES["digits"]})
    assert table.label(table.lines[0][0]) == "shells (10:1)"
    assert table.footnotes[0].startswith("shells: ")
    assert table.footnotes[0].endswith("4 (70).")


def test_runs_of_several_precisions_are_never_averaged(make_run: Any) -> None:
    runs = [
        make_run(accuracy=accuracy, numerics=precision, seed=seed)
        for precision, accuracies in (("bf16", (0.5, 0.7)), ("tf32", (0.8, 0.9)))
        for seed, accuracy in enumerate(accuracies)
    ]
    table = results([*runs, *(make_run(accuracy=0.3, seed=s) for s in (0, 1))], RECIPES)
    found = {tuple(table.settings(row)): of["dfg"].text() for row, of in table.lines}
    assert found == {
        ("source glyphs",): "30.00 ± 0.00 (n = 2, c = 1)",
        ("source glyphs", "precision bf16"): "60.00 ± 14.14 (n = 2, c = 1)",
        ("source glyphs", "precision tf32"): "85.00 ± 7.07 (n = 2, c = 1)",
    }


def of_seven(make_run: Any) -> list[Any]:
    """Make runs of the paper's methods and of a rival from both starts."""
    runs = [make_run(m, accuracy=0.5) for m in ("original", "finetune", "delta", "difa", "dfg")]
    free = {"source": None, "source_identity": None}
    runs.append(make_run("balanced", accuracy=0.7, **free))
    runs.append(make_run("balanced", accuracy=0.6, changed={"balanced.init": "source"}))
    return runs


def test_six_contenders_with_runs_stand_across_and_seven_down(make_run: Any) -> None:
    runs = of_seven(make_run)
    across = results(runs[1:], RECIPES).table()  # original has a column, too, without runs
    assert [column.title for column in across.columns][:3] == ["Data set", "Settings", "Original"]
    assert len(across.columns) == 9
    made = results([*runs, make_run("dfg", accuracy=None, status="failed", seed=1)], RECIPES)
    down = made.table()
    assert [column.title for column in down.columns] == ["Method", "Digits (10:1), source glyphs"]
    assert [(row[0].lines[0], row[1].lines[0], row[1].best) for row in down.rows] == [
        ("Original", "50.00", False),
        ("Fine-tuning", "50.00", False),
        ("DELTA", "50.00", False),
        ("DIFA + cMWGAN", "50.00", False),
        ("DFG", "50.00", False),
        ("Balanced batches", "70.00", True),
        ("Balanced batches, source", "60.00", False),
    ]
    assert down.rows[4][1].lines == ["50.00", "n = 1, c = 1", "1 failed", "gain +0.00"]
    assert (down.caption, down.records) == (made.caption, made.records())


def test_rows_that_stand_across_are_told_apart_by_their_titles(make_run: Any) -> None:
    short = make_run("dfg", accuracy=0.4, steps=7)
    made = results([*of_seven(make_run), short], RECIPES).table()
    assert [column.title for column in made.columns] == [
        "Method",
        "Digits (10:1), source glyphs",
        "Digits (10:1) †, source glyphs, 7 steps",
    ]
    assert made.rows[0][2].lines == ["never planned"]
    assert "**70.00 (n = 1, c = 1)**" in render(made, "md")
