"""The table of costs: sums worked out by hand, devices and packs apart, the paper's rows beside."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.errors import NothingToShowError
from dfgctl.report import published, tables
from dfgctl.report.effort import costs, image_seconds
from dfgctl.report.rendering import render
from dfgctl.report.selection import Select
from dfgctl.report.table import Table
from dfgctl.report.view import View

RECIPES = {name: recipes.load(name) for name in ("digits", "caltech256")}
MB = 10**6


def table(runs: list[Any], **how: Any) -> Table:
    return tables.make("cost", View(runs, how.pop("recipes", RECIPES), **how))


def cells(made: Table, i: int) -> dict[str, list[str]]:
    return {c.title: list(x.lines) for c, x in zip(made.columns, made.rows[i], strict=True)}


def test_what_is_no_number_is_left_out(make_run: Any) -> None:
    made = table([make_run(accuracy=0.5), make_run(accuracy=float("nan"), seed=1)])
    assert cells(made, 0)["Accuracy"] == ["50.00", "n = 1", "1 not a number"]


def test_times_are_means_over_runs_and_memory_their_median(make_run: Any) -> None:
    seconds, peaks = [1.0, 2.0, 3.0], [70 * MB, 50 * MB, 51 * MB]
    runs = [
        replace(make_run(seed=i, metrics={"train_seconds": s, "eval_seconds": s}), peak_bytes=p)
        for i, (s, p) in enumerate(zip(seconds, peaks, strict=True))
    ]
    made = table(runs)
    first = cells(made, 0)
    # 1 + 400/50 evaluations of 100 test images in 2 s: 2/900 s an image.
    assert runs[0].spec.steps / runs[0].spec.eval_every == 8
    assert first == {
        "Method": ["DFG"],
        "Trained on": ["Digits (10:1)", "LeNet-5", "source glyphs", "CPU", "pack of 1"],
        "Parameters": ["616,207"],
        "Peak memory": ["51 MB"],
        "Training": ["2.00 ± 1.00 s"],
        "An image": ["2.22 ms"],
        "Test set": ["222 ms"],
        "Accuracy": ["50.00 ± 0.00", "n = 3"],
    }
    (record,) = made.records
    assert record["train_seconds_std"] == 1.0
    assert record["image_seconds"] == pytest.approx(2 / 900)
    assert made.rows[0][3].order == 51 * MB
    assert not any("not kept" in note for note in made.notes)


def test_images_that_are_held_out_are_classified_too(make_run: Any) -> None:
    counts = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)  # a quarter of them: 20, 2, ... = 56 images
    run = make_run(validation=0.25, class_counts=counts, metrics={"eval_seconds": 2.0})
    assert image_seconds(run) == pytest.approx(2 / (9 * (100 + 56)))


def test_an_end_between_evaluations_has_one_of_its_own(make_run: Any) -> None:
    run = make_run(steps=120, metrics={"eval_seconds": 2.0})  # at 0, 50, 100 and 120
    assert image_seconds(run) == pytest.approx(2 / 400)


def test_without_its_test_images_a_run_s_inference_is_not_known(make_run: Any) -> None:
    first = cells(table([make_run(metrics={"confusion": ()})]), 0)
    assert first["An image"] == first["Test set"] == ["not known"]


def test_devices_packs_and_settings_are_never_averaged(make_run: Any) -> None:
    one = make_run()
    runs = [
        one,
        replace(make_run(seed=1), result_device="NVIDIA H100"),
        replace(make_run(seed=2), pack_size=2),
        make_run(seed=3, changed={"dfg.rho": 0.0}),
        make_run(seed=4, numerics="bf16"),
    ]
    found = costs(runs, RECIPES)
    assert [(c.device, c.pack, c.row.notes, c.n) for c in found] == [
        ("CPU", 1, (), 1),
        ("CPU", 2, (), 1),
        ("NVIDIA H100", 1, (), 1),
        ("CPU", 1, ("dfg.rho=0",), 1),
        ("CPU", 1, ("precision bf16",), 1),
    ]
    assert any("different devices" in note for note in table(runs).notes)
    assert not any("different devices" in note for note in table([one]).notes)


def test_a_run_without_a_source_is_told_once(make_run: Any) -> None:
    runs = [make_run("original"), make_run(), make_run(source="mnist", source_identity="6" * 64)]
    assert [(c.method, c.source, c.n) for c in costs(runs, RECIPES)] == [
        ("original", None, 1),
        ("dfg", "glyphs", 1),
        ("dfg", "mnist", 1),
    ]


def test_memory_that_was_not_kept_is_said_with_what_to_run(make_run: Any) -> None:
    made = table([make_run("delta")])
    assert cells(made, 0)["Peak memory"] == ["not kept"]
    (note,) = [note for note in made.notes if "not kept" in note]
    assert note.endswith("dfgctl run digits --method delta --repeats 1 --force")


def test_memory_that_some_runs_kept_says_of_how_many(make_run: Any) -> None:
    runs = [make_run(seed=0), replace(make_run(seed=1), peak_bytes=50 * MB)]
    assert cells(table(runs), 0)["Peak memory"] == ["50 MB", "n = 1"]


def test_the_parameters_of_a_method_of_one_s_own_are_not_known(make_run: Any) -> None:
    run = make_run("original")
    code = {"sha256": "a" * 64, "title": "Mine", "defaults": {"steps": 600, "lr": 0.1}}
    settings = {"mine": {"lr": 0.1}, "code": code}
    run = replace(run, spec=replace(run.spec, method="mine", settings=settings, steps=600))
    made = table([run])
    assert cells(made, 0)["Method"] == ["Mine"]
    assert cells(made, 0)["Parameters"] == ["not known"]
    assert any("only its class knows" in note for note in made.notes)


def caltech(make_run: Any, method: str) -> Any:
    return make_run(method, dataset="caltech256", combination=(), class_counts=(60,) * 257)


def test_the_papers_rows_stand_beside_ours_with_their_footnotes(make_run: Any) -> None:
    made = table([make_run(), caltech(make_run, "delta"), caltech(make_run, "dfg")])
    names = [row[0].lines[0] for row in made.rows]
    papers = ["DELTA, the paper", "DIFA + cMWGAN, the paper", "DFG, the paper"]
    assert names == ["DFG", "DELTA", "DFG", *papers]
    ours, theirs = cells(made, 2), cells(made, 5)
    assert ours["Parameters"] == theirs["Parameters"] == ["73,590,722"]
    assert (cells(made, 1)["Parameters"], cells(made, 3)["Parameters"]) == (
        ["24,034,625"],
        ["25,557,032"],
    )
    assert theirs["Trained on"] == [
        "Caltech-256 (1:1)",
        "ResNet-50",
        "Table 4",
        "NVIDIA Tesla V100",
    ]
    assert (theirs["Peak memory"], theirs["Training"]) == (["11,597 MB"], ["62,473 s"])
    assert (theirs["An image"], theirs["Accuracy"]) == (["not given"], ["87.09 ± 0.20"])
    notes = " ".join(made.notes)
    for said in ("different devices", "1,000 classes, not Caltech-256's 257", "86.29 ± 0.19"):
        assert said in notes
    assert [r["published"] for r in made.records] == [None] * 3 + ["Table 4"] * 3


def test_the_papers_rows_come_where_its_data_set_is_or_when_asked_for(make_run: Any) -> None:
    runs = [make_run()]
    assert len(table(runs).rows) == 1
    assert len(table(runs, published=True).rows) == 4
    digits = {"digits": RECIPES["digits"]}
    assert len(table(runs, recipes=digits, published=True).rows) == 1


def test_the_papers_costs_are_table_4s() -> None:
    found = {
        m: (c.parameters, c.megabytes, c.seconds, c.accuracy.mean, c.accuracy.std)
        for m, c in published.costs().items()
    }
    assert found == {
        "delta": (25_557_032, 8_187, 22_478, pytest.approx(0.8533), pytest.approx(0.0015)),
        "difa": (38_764_866, 7_709, 45_232, pytest.approx(0.8223), pytest.approx(0.0032)),
        "dfg": (73_590_722, 11_597, 62_473, pytest.approx(0.8709), pytest.approx(0.0020)),
    }


def test_shortened_runs_are_marked(make_run: Any) -> None:
    made = table([make_run(steps=50)])
    assert cells(made, 0)["Method"] == ["DFG †"]
    assert "50 steps" in cells(made, 0)["Trained on"]
    assert any(note.startswith("†") for note in made.notes)


def test_the_accuracy_is_the_one_asked_for(make_run: Any) -> None:
    made = table([make_run(metrics={"accuracy_best": 0.75})], select=Select.best)
    assert cells(made, 0)["Accuracy"] == ["75.00", "n = 1"]
    assert "looks at the test set" in made.caption
    with pytest.raises(NothingToShowError, match="--validation"):
        table([make_run()], select=Select.val)


def test_without_finished_runs_it_says_what_to_run(make_run: Any) -> None:
    with pytest.raises(NothingToShowError, match="dfgctl run digits"):
        table([make_run(accuracy=None)])


def test_it_is_written_in_every_format(make_run: Any) -> None:
    made = table([make_run(), caltech(make_run, "dfg")])
    assert "73,590,722 |" in render(made, "md")
    assert 'data-order="11597000000' in render(made, "html")
    assert "NVIDIA Tesla V100" in render(made, "latex")
    rows = list(csv.DictReader(io.StringIO(render(made, "csv"))))
    assert [row["parameters"] for row in rows][:2] == ["616207", "73590722"]
    assert len(json.loads(render(made, "json"))) == 5
