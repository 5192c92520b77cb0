"""``run --tuned``: a search's fragment becomes runs, and one that does not fit is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dfgctl import recipe as recipes
from dfgctl.data.manifest import Manifest
from dfgctl.departures import departures
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch.request import Request, check
from dfgctl.dispatch.tuned import with_fragments
from dfgctl.errors import InputError, SettingError
from dfgctl.fragments import path_of, read
from dfgctl.lookup import sections_of
from dfgctl.records import Run
from dfgctl.report.commands import command as command_of
from dfgctl.report.commands import settings_of
from dfgctl.report.footnotes import footnotes
from dfgctl.report.groups import rows
from dfgctl.report.selection import Settings
from dfgctl.report.view import Filters
from dfgctl.tuning.outcome import Outcome, Tried
from dfgctl.tuning.pairs import tuning_pairs
from dfgctl.tuning.tasks import command, tasks, use
from dfgctl.tuning.writing import fragment

DIGITS = Manifest("digits", "d" * 64, (80,) * 10, (90,) * 10)
GLYPHS = Manifest("glyphs", "g" * 64, (600,) * 10, (100,) * 10)
Write = Callable[..., Path]
RUN: dict[str, Any] = {
    "status": "finished",
    "class_counts": (80,) * 10,
    "created_at": datetime(2026, 1, 1),
    "attempts": 1,
    "outcome": "finished",
    "error": None,
    "metrics": None,
    "dirty": False,
    "result_attempt": 1,
    "device": "CPU",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the fragment of a search that found some settings best; ``options`` were asked for."""

    def make(method: str, values: dict[str, Any], trials: int = 8, **options: Any) -> Path:
        request = Request("digits", methods=(method,), validation=0.2)
        checked = check(replace(request, **options))
        task = tasks(checked, DIGITS, GLYPHS, tuning_pairs(checked))[0]
        best = Tried(3, 0.9, False, {**task.own, **values})
        tried = [best, *(Tried(4 + i, 0.5, i == 0, task.own) for i in range(trials - 1))]
        found = Outcome(
            *(task, tuple(tried), trials, 1, 0, 0, 0.85, best, 12.34),
            *(("CPU, 1 thread",), ("c0ffee",), False, datetime(2026, 1, 2, 3)),
        )
        init = "source" if options.get("settings") == ("init=source",) else None
        file = path_of(tmp_path, "digits", method, init)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            fragment(found, command(task, trials, "digits", None), use([task], "digits"))
        )
        return file

    return make


def planned(
    folder: Path,
    *methods: str,
    target: Manifest = DIGITS,
    source: Manifest = GLYPHS,
    **options: Any,
) -> plans.Plan:
    checked = check(Request("digits", methods=methods, repeats=1, **options))
    return plans.make(with_fragments(checked, folder, "digits"), target, source)


def test_what_was_found_is_what_is_trained(write: Write, tmp_path: Path) -> None:
    file = write("balanced", {"balanced.lr": 0.004, "balanced.steps": 150})
    (run,) = planned(tmp_path, "balanced").runs
    own, _ = sections_of(run.spec)
    assert (run.spec.steps, own.lr, own.batch_size) == (150, 0.004, 32)  # type: ignore[attr-defined]
    found = read(file)
    assert run.spec.settings["tuned"] == {
        "trials": 8,
        "values": {"balanced.init": "random", "balanced.lr": 0.004, "balanced.steps": 150},
        "pairs": [[[2, 5], 900], [[3, 8], 900], [[6, 7], 900], [[1, 9], 900]],
        "found": found.identifying()["found"],
    }
    recipe = recipes.load("digits")
    assert departures(recipe, run.spec.settings) == []
    assert recipe.steps_of(run.spec) == 150
    (plain,) = plans.make(
        check(Request("digits", methods=("balanced",), repeats=1)), DIGITS, GLYPHS
    ).runs
    assert plain.id != run.id
    assert (plain.spec.combination, plain.spec.seed) == (run.spec.combination, run.spec.seed)


def test_each_method_has_its_own_even_of_a_section_that_both_read(
    write: Write, tmp_path: Path
) -> None:
    write("delta", {"reg.alpha": 0.05})
    write("dfg", {"reg.alpha": 0.002, "dfg.steps": 100})
    delta, dfg = planned(tmp_path, "delta", "dfg").runs
    assert delta.spec.settings["reg"]["alpha"] == 0.05
    assert dfg.spec.settings["reg"]["alpha"] == 0.002
    assert dfg.spec.settings["dfg"]["n_W"] == 25  # of 100, as 100 steps are a quarter of 400
    assert departures(recipes.load("digits"), dfg.spec.settings) == []


def test_other_settings_may_be_changed_and_are_told(write: Write, tmp_path: Path) -> None:
    write("original", {"original.lr": 0.004})
    (run,) = planned(tmp_path, "original", settings=("original.batch_size=16",)).runs
    assert departures(recipes.load("digits"), run.spec.settings) == ["original.batch_size=16"]
    with pytest.raises(SettingError, match=r"--set original.lr is given, and --tuned has it from"):
        planned(tmp_path, "original", settings=("original.lr=0.1",))


def test_a_start_is_a_contender_of_its_own(write: Write, tmp_path: Path) -> None:
    write("balanced", {"balanced.lr": 0.004})
    source = write("balanced", {"balanced.lr": 0.002}, settings=("init=source",))
    assert source.name == "balanced-source.toml"
    assert read(source).command.endswith("--set balanced.init=source")
    runs = planned(tmp_path, "balanced", settings=("init=random,source",)).runs
    assert [run.spec.contender for run in runs] == ["balanced", "balanced/source"]
    assert [run.spec.settings["balanced"]["lr"] for run in runs] == [0.004, 0.002]


@pytest.mark.parametrize("start", [(), ("init=source",)], ids=str)
def test_the_commands_of_a_run_name_what_was_found(
    write: Write, tmp_path: Path, start: tuple[str, ...]
) -> None:
    write("balanced", {"balanced.lr": 0.002, "balanced.steps": 150}, settings=start)
    more = (*start, "balanced.batch_size=16")
    (run,) = planned(tmp_path, "balanced", settings=more).runs
    words = settings_of(Run(**{**RUN, "id": run.id, "spec": run.spec}))
    given = tuple(words[i + 1] for i, word in enumerate(words) if word == "--set")
    assert words.count("--tuned") == 1
    assert [r.id for r in planned(tmp_path, "balanced", settings=given).runs] == [run.id]
    text = command_of(Run(**{**RUN, "id": run.id, "spec": run.spec}))
    # What it starts from is said with its name.
    assert text.endswith(" digits --tuned --set balanced.batch_size=16")
    (start_words,) = [words[i + 1 :] for i, word in enumerate(words) if word == "--tuned"]
    assert ("balanced.init=source" in start_words) is bool(start)


@pytest.mark.parametrize(
    ("methods", "options", "says"),
    [
        (("original", "balanced"), {}, "--method original --method balanced"),
        (("balanced",), {"settings": ("init=source",)}, "--method balanced --set init=source"),
        (
            ("original", "crt", "balanced"),
            {"settings": ("init=random,source",), "imbalance": "5:1", "majority": 3},
            "--method original --method balanced --method crt --set init=random,source "
            "--imbalance 5:1 --majority 3",
        ),
        (
            ("crt", "balanced"),
            {"settings": ("crt.init=source", "crt.batch_size=16", "fidelity.F05=released")},
            "--method balanced --method crt --set crt.init=source --set fidelity.F05=released",
        ),
        (
            ("original",),
            {"steps": 50, "precision": "bf16"},
            "--method original --precision bf16 --steps 50",
        ),
    ],
    ids=str,
)
def test_a_search_ends_with_the_command_that_uses_it(
    methods: tuple[str, ...], options: dict[str, Any], says: str
) -> None:
    checked = check(Request("digits", methods=methods, validation=0.2, **options))
    made = tasks(checked, DIGITS, GLYPHS, tuning_pairs(checked))
    assert use(made, "digits") == f"dfgctl run digits --tuned {says}"


def test_rows_never_mix_what_was_found_and_what_was_not(write: Write, tmp_path: Path) -> None:
    def runs(*methods: str) -> list[Run]:
        plan = planned(tmp_path, *methods)
        return [Run(**{**RUN, "id": r.id, "spec": r.spec}) for r in plan.runs]

    write("original", {"original.lr": 0.02})
    write("balanced", {"balanced.lr": 0.002})
    first = runs("original", "balanced")
    plain = check(Request("digits", methods=("original",), repeats=1))
    own = [replace(first[0], spec=r.spec) for r in plans.make(plain, DIGITS, GLYPHS).runs]
    found = rows([*first, *own], {"digits": recipes.load("digits")})
    assert [row.notes for row in found] == [(), ("tuned (8 trials)",)]
    assert list(found.values()) == [own, first]
    for settings, runs_of in ((Settings.recipe, own), (Settings.tuned, first)):
        assert Filters(settings=settings).passed([*first, *own]) == runs_of
    write("original", {"original.lr": 0.02}, trials=9)
    write("balanced", {"balanced.lr": 0.003})
    later = runs("original", "balanced")
    found = rows([*first, *later], {"digits": recipes.load("digits")})
    notes = {note for row in found for note in row.notes}
    assert {"tuned (8 trials)", "tuned (9 trials)"} <= notes
    assert sum(note.startswith("found ") for note in notes) == 2  # of balanced, both of 8 trials
    assert len(found) == 4
    assert {row.settings_from() for row in found} == {Settings.tuned}
    assert not any("=" in note for note in notes)


def test_pairs_that_served_to_tune_are_told_of(write: Write, tmp_path: Path) -> None:
    write("original", {})
    pairs = {"combinations": "2,5", "seed": 900}
    on, off = planned(tmp_path, "original", **pairs), planned(tmp_path, "original")
    assert any("served dfgctl tune" in note for note in on.notes)
    assert not any("served dfgctl tune" in note for note in off.notes)
    recipe = recipes.load("digits").model_copy(update={"tuning": None})
    for plan, said in ((on, True), (off, False)):
        run = Run(**{**RUN, "id": "1", "spec": plan.runs[0].spec, "class_counts": (80,) * 10})
        below = footnotes([run], {"digits": recipe}, shortened=False)
        assert any("choose tuned settings" in note for note in below) is said


def test_methods_without_a_fragment_are_named_with_the_command(
    write: Write, tmp_path: Path
) -> None:
    write("original", {})
    said = "no tuned settings of delta, balanced here: find them first, with dfgctl tune digits "
    with pytest.raises(InputError, match=said + "--method delta --method balanced"):
        planned(tmp_path, "original", "delta", "balanced")
    with pytest.raises(InputError, match="--method balanced --set init=source"):
        planned(tmp_path, "balanced", settings=("init=source",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"imbalance": "5:1"}, "was found with --imbalance 10:1, and this is 5:1: tune again"),
        ({"majority": 3}, "--majority 2, and this is 3"),
        ({"protocol": "released"}, "--protocol paper, and this is released"),
        ({"precision": "bf16"}, "--precision fp32, and this is bf16"),
        ({"steps": 50}, "--steps none, and this is 50"),
        ({"settings": ("fidelity.F05=released",)}, "--set none, and this is fidelity.F05=released"),
    ],
)
def test_what_was_found_for_something_else_is_refused(
    write: Write, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    write("original", {})
    with pytest.raises(InputError, match=re.escape(says)):
        planned(tmp_path, "original", **options)


def test_what_was_found_on_other_pictures_is_refused(write: Write, tmp_path: Path) -> None:
    write("original", {})
    with pytest.raises(InputError, match="found on other pictures: tune once more, with dfgctl"):
        planned(tmp_path, "original", target=replace(DIGITS, digest="e" * 64))


def test_what_was_found_from_another_source_network_is_refused(
    write: Write, tmp_path: Path
) -> None:
    write("finetune", {})
    assert planned(tmp_path, "finetune").runs
    longer = recipes.load("digits").with_settings({"source.steps": 7})
    for other in ({"recipe": longer}, {"source": replace(GLYPHS, digest="e" * 64)}):
        with pytest.raises(InputError, match="was found from another source network: tune once"):
            planned(tmp_path, "finetune", **other)


@pytest.mark.parametrize("key", ["balanced.batch_size", "imbalance.majority_count"])
def test_what_was_found_with_another_recipe_is_refused(
    write: Write, tmp_path: Path, key: str
) -> None:
    write("balanced", {"balanced.lr": 0.004})
    recipe = recipes.load("digits").with_settings({key: 40})
    with pytest.raises(InputError, match=f"was found with another {key}: set it back, or tune"):
        planned(tmp_path, "balanced", recipe=recipe)
    searched = recipes.load("digits").with_settings({"balanced.lr": 0.1})
    assert planned(tmp_path, "balanced", recipe=searched).runs


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("results_version = ", "results_version = 9", "by a version of dfgctl whose results are"),
        ("kept = [", 'kept = ["code.sha256=1", ', "with other code of original"),
    ],
)
def test_what_was_found_with_other_code_is_refused(
    write: Write, tmp_path: Path, old: str, new: str, says: str
) -> None:
    file = write("original", {})
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"was found {says}.*tune once more"):
        planned(tmp_path, "original")


def test_a_fragment_says_in_words_and_numbers_how_it_was_found(write: Write) -> None:
    file = write("balanced", {"balanced.lr": 0.0999})
    text = " ".join(line.removeprefix("# ") for line in file.read_text().splitlines())
    assert "8 trials (1 pruned), each of 4 runs, took 12 s on CPU, 1 thread." in text
    assert "Best 90.00 %, the recipe's own settings 85.00 %; the 7 best lie between" in text
    assert "At the edge of their range: balanced.lr" in text
    found = read(file).found
    assert found["top"] == [0.9, *[0.5] * 6]
    assert found["top_mean"] == pytest.approx((0.9 + 6 * 0.5) / 7)
    assert {k: found[k] for k in ("trials", "finished", "pruned", "failed", "seconds")} == {
        "trials": 8,
        "finished": 7,
        "pruned": 1,
        "failed": 1,
        "seconds": 12.3,
    }
    assert (found["edge"], found["date"], found["commit"]) == (
        ["balanced.lr"],
        "2026-01-02",
        "c0ffee",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[found", "is no TOML"),
        ("[balanced]\nlr = 0.1\n", r"does not say how it was found \(command\)"),
    ],
)
def test_a_file_that_is_no_fragment_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "f.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=says):
        read(file)


def test_a_setting_in_it_that_cannot_be_is_named(write: Write, tmp_path: Path) -> None:
    file = write("original", {"original.lr": 0.02})
    file.write_text(file.read_text().replace("lr = 0.02", "lr = -1"))
    with pytest.raises(SettingError, match=r"original.lr: input should be greater than 0"):
        planned(tmp_path, "original")
