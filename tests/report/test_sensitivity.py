"""Figures of a setting: which runs they show, and files that are whole or not there at all."""

import html
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib import pyplot as plt

from dfgctl import recipe as recipes
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report import figures
from dfgctl.report.figures import check_file, save
from dfgctl.report.selection import Select
from dfgctl.report.sensitivity import Sensitivity, sensitivity
from dfgctl.report.sweep_figure import draw

DIGITS = recipes.load("digits")
MEANS = [(0.5, 82.0), (0.75, 91.0), (1.0, 70.0)]
"""What ``swept`` has at each value, in %."""


KEPT: list[Any] = []


def draw_to(data: Sensitivity, file: Path) -> None:
    """Draw and save."""
    drawn = draw(data)
    KEPT.append(drawn.figure)
    save(drawn.figure, file, drawn.runs)


@pytest.fixture(autouse=True)
def _no_figures_left_over() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def swept(make_run: Any) -> list[Any]:
    """Two runs of dfg at each of three values of rho."""
    accuracies = {0.5: (0.80, 0.84), 0.75: (0.90, 0.92), 1.0: (0.70, 0.70)}
    return [
        make_run(accuracy=a, changed={"dfg.rho": rho}, seed=i)
        for rho, pair in accuracies.items()
        for i, a in enumerate(pair)
    ]


def test_accuracies_are_collected_by_value(swept: list[Any]) -> None:
    found = sensitivity("rho", swept, DIGITS)
    assert found.points == {0.5: [0.80, 0.84], 0.75: [0.90, 0.92], 1.0: [0.70, 0.70]}
    assert (found.key, found.dataset, found.ratio, found.notes) == (
        "rho",
        "digits",
        "10:1",
        ("source glyphs",),
    )
    assert found.default == DIGITS.dfg.rho == 0.75
    summaries = sensitivity("rho", swept[::-1], DIGITS).summaries()
    assert list(summaries) == [0.5, 0.75, 1.0]
    assert summaries[0.5].mean == pytest.approx(0.82)
    assert summaries[0.5].std == pytest.approx(math.sqrt(0.0008))
    assert summaries[0.5].n == 2


def test_only_finished_runs_of_dfg_on_the_data_set_are_shown(
    swept: list[Any], make_run: Any
) -> None:
    others = [
        make_run("delta", 0.1),
        make_run("dfg", None, {"dfg.rho": 0.1}),
        make_run("dfg", 0.1, dataset="fmnist"),
        make_run("original", 0.1),
    ]
    assert sensitivity("rho", swept + others, DIGITS) == sensitivity("rho", swept, DIGITS)


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": 100},
        {"validation": 0.1},
        {"majority_count": 40},
        {"results_version": 99},
        {"ratio": "40:1"},
        {"ratio": "100:1"},
    ],
)
def test_the_recipes_group_comes_first_also_where_another_has_more_values(
    swept: list[Any], make_run: Any, fields: dict[str, Any]
) -> None:
    others = [
        make_run(accuracy=0.1, changed={"dfg.rho": rho}, **fields)
        for rho in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    found = sensitivity("rho", others + swept, DIGITS)
    assert found.left_out == 1
    assert replace(found, left_out=0) == sensitivity("rho", swept, DIGITS)


def test_without_the_recipes_group_that_with_most_values_is_shown_with_its_notes(
    make_run: Any,
) -> None:
    def group(steps: int, values: list[float]) -> list[Any]:
        return [make_run(changed={"dfg.rho": v}, steps=steps) for v in values]

    found = sensitivity("rho", group(100, [0.0, 1.0]) + group(50, [0.0, 0.5, 1.0]), DIGITS)
    assert found.notes == ("source glyphs", "50 steps")
    assert list(found.points) == [0.0, 0.5, 1.0]


def test_runs_from_two_source_networks_are_never_mixed(swept: list[Any], make_run: Any) -> None:
    other = [make_run(accuracy=0.1, changed={"dfg.rho": 0.5}, source_identity="6" * 64)]
    assert sensitivity("rho", swept + other, DIGITS).points[0.5] == [0.80, 0.84]


def test_delta_is_swept_like_rho(make_run: Any) -> None:
    runs = [make_run(accuracy=d / 2, changed={"dfg.delta": d}) for d in (0.5, 0.95, 1.5)]
    found = sensitivity("delta", runs, DIGITS)
    assert found.points == {0.5: [0.25], 0.95: [0.475], 1.5: [0.75]}
    assert found.default == 0.95


@pytest.mark.parametrize("key", ["rho", "delta"])
def test_one_value_makes_no_figure(make_run: Any, key: str) -> None:
    for runs in ([], [make_run(), make_run(seed=1)]):
        with pytest.raises(NothingToShowError, match=f"--set dfg.{key}=") as error:
            sensitivity(key, runs, DIGITS)
        assert "dfgctl run digits --method dfg" in str(error.value)
        assert recipes.parse_values(f"dfg.{key}", str(error.value).rpartition("=")[2])


def test_the_values_that_are_missing_are_trained_with_all_else_as_it_is(make_run: Any) -> None:
    how: dict[str, Any] = {"steps": 50, "eval_every": 25, "ratio": "20:1", "source": "mnist"}
    run = make_run(
        changed={"dfg.rho": 0.0, "dfg.delta": 0.5},
        validation=0.1,
        metrics={"accuracy_val": 0.4},
        **how,
    )
    with pytest.raises(NothingToShowError) as error:
        sensitivity("rho", [run], DIGITS, Select.val)
    assert str(error.value).endswith(
        "dfgctl run digits --imbalance 20:1 --source mnist --steps 50 --eval-every 25 "
        "--validation 0.1 --set dfg.delta=0.5 --method dfg --set dfg.rho=0,0.25,0.5,0.75,1"
    )


# Drawing


@pytest.fixture
def drawn() -> list[Any]:
    """The figures that ``draw_to`` drew."""
    KEPT.clear()
    return KEPT


@pytest.mark.parametrize(
    ("suffix", "magic"),
    [(".png", b"\x89PNG\r\n"), (".svg", b"<?xml"), (".pdf", b"%PDF-"), (".PNG", b"\x89PNG\r\n")],
)
def test_a_figure_is_written_as_its_name_says(
    swept: list[Any], tmp_path: Path, suffix: str, magic: bytes
) -> None:
    file = tmp_path / "new" / "folder" / f"rho{suffix}"
    draw_to(sensitivity("rho", swept, DIGITS), file)
    assert file.read_bytes().startswith(magic)
    assert file.stat().st_size > 5000
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_figure_replaces_an_older_one(swept: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "rho.svg"
    file.write_text("old")
    draw_to(sensitivity("rho", swept, DIGITS), file)
    assert "<svg" in file.read_text()


def test_a_figures_words_say_what_it_shows(
    swept: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(figures.STYLE, "svg.fonttype", "none")
    draw_to(sensitivity("rho", swept, DIGITS), tmp_path / "rho.svg")
    text = html.unescape((tmp_path / "rho.svg").read_text())
    for words in (
        "DFG on Digits (10:1), n = 2 runs a value",
        "ρ, share of the source's filter weights (Eq. 7)",
        "test accuracy, last step (%)",
        "recipe's ρ = 0.75",
        "± 1 standard deviation",
        "one run",
        "mean",
    ):
        assert words in text, words


def test_a_figure_shows_every_run_the_means_and_the_default(
    swept: list[Any], tmp_path: Path, drawn: list[Any]
) -> None:
    draw_to(sensitivity("rho", swept, DIGITS), tmp_path / "rho.svg")
    (axes,) = drawn[0].axes
    lines = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    (points,) = (line.get_data() for line in axes.lines if line.get_label() == "one run")
    expected = [(0.5, 80.0), (0.5, 84.0), (0.75, 90.0), (0.75, 92.0), (1.0, 70.0), (1.0, 70.0)]
    near = [pytest.approx(point, abs=0.003) for point in expected]  # two stand beside each other
    assert sorted(zip(*points, strict=True)) == near
    assert any(line == [pytest.approx(p) for p in MEANS] for line in lines if len(line) == 3)
    assert [(0.75, 0), (0.75, 1)] in lines
    assert list(axes.get_xticks()) == [0.5, 0.75, 1.0]
    band = axes.collections[0].get_paths()[0].vertices
    spread = 100 * math.sqrt(0.0008)
    assert any(v == pytest.approx((0.5, 82 + spread)) for v in band)
    assert any(v == pytest.approx((0.5, 82 - spread)) for v in band)


def test_one_run_a_value_is_drawn_without_nan(
    make_run: Any, tmp_path: Path, drawn: list[Any]
) -> None:
    runs = [make_run(accuracy=a, changed={"dfg.rho": a}) for a in (0.25, 0.5)]
    draw_to(sensitivity("rho", runs, DIGITS), tmp_path / "rho.svg")
    (axes,) = drawn[0].axes
    assert (
        drawn[0].subfigs[0].get_suptitle().startswith("DFG on Digits (10:1), n = 1 runs a value\n")
    )
    numbers = [n for line in axes.lines for n in (*line.get_xdata(), *line.get_ydata())]
    numbers += [n for path in axes.collections[0].get_paths() for n in path.vertices.ravel()]
    assert all(math.isfinite(n) for n in numbers)


def test_the_title_tells_uneven_numbers_of_runs_and_departures(
    tmp_path: Path, drawn: list[Any]
) -> None:
    points = {0.5: [0.8], 0.75: [0.9, 0.92, 0.93]}
    notes = ("100 steps", "0.1 held out")
    runs = {0.5: ["a"], 0.75: ["b", "c", "d"]}
    repeats = {0.5: [((0, 4), 0)], 0.75: [((0, 4), seed) for seed in range(3)]}
    data = Sensitivity(
        "rho", "fmnist", "F-MNIST", "40:1", notes, 0.75, points, runs=runs, repeats=repeats
    )
    draw_to(data, tmp_path / "rho.pdf")
    title = drawn[0].subfigs[0].get_suptitle()
    first = "DFG on F-MNIST (40:1), n = 1 to 3 runs a value"
    assert title == f"{first}\n100 steps, 0.1 held out"


def test_drawing_leaves_matplotlibs_settings_as_they_were(swept: list[Any], tmp_path: Path) -> None:
    matplotlib.use("Agg")
    before = dict(matplotlib.rcParams)
    draw_to(sensitivity("rho", swept, DIGITS), tmp_path / "rho.svg")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["rho", "rho.jpg", "rho.png.txt", ".png"])
def test_a_file_without_a_pictures_ending_is_refused(
    swept: list[Any], tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"use \.png, \.svg or \.pdf"):
        check_file(tmp_path / name)
    with pytest.raises(InputError, match=r"use \.png, \.svg or \.pdf"):
        draw_to(sensitivity("rho", swept, DIGITS), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_is_refused(swept: list[Any], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written, as .*taken is a file.*-o"):
        draw_to(sensitivity("rho", swept, DIGITS), tmp_path / "taken" / "rho.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_in_the_files_place_is_refused_and_nothing_half_stays(
    swept: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "rho.png").mkdir()
    with pytest.raises(InputError, match=r"is a folder: .*-o"):
        draw_to(sensitivity("rho", swept, DIGITS), tmp_path / "rho.png")
    assert [path.name for path in tmp_path.iterdir()] == ["rho.png"]


def test_a_full_disk_leaves_the_older_figure_and_nothing_half(
    swept: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    def fill(_: Figure, file: Path, **__: object) -> None:
        Path(file).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill)
    file = tmp_path / "rho.png"
    file.write_text("old")
    with pytest.raises(InputError, match="No space left on device"):
        draw_to(sensitivity("rho", swept, DIGITS), file)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["rho.png"]


def test_no_figure_stays_open_whether_it_could_be_saved_or_not(
    swept: list[Any], tmp_path: Path
) -> None:
    data = sensitivity("rho", swept, DIGITS)
    draw_to(data, tmp_path / "rho.svg")
    assert plt.get_fignums() == []
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError):
        draw_to(data, tmp_path / "taken" / "rho.png")
    assert plt.get_fignums() == []


# Which accuracy


@pytest.fixture
def three_each(make_run: Any) -> list[Any]:
    """Two values of rho, each run with three accuracies, and with a validation share."""
    return [
        make_run(
            accuracy=rho / 2,
            changed={"dfg.rho": rho},
            validation=0.1,
            metrics={"accuracy_best": rho / 2 + 0.3, "accuracy_val": rho / 2 + 0.2},
        )
        for rho in (0.5, 1.0)
    ]


@pytest.mark.parametrize(
    ("select", "more", "words"),
    [
        (None, 0.0, "test accuracy, last step (%)"),
        (Select.best, 0.3, "best test accuracy (%), looks at the test set"),
        (Select.val, 0.2, "test accuracy, step chosen by validation (%)"),
    ],
)
def test_a_figure_shows_the_accuracy_that_is_asked_for_and_says_so(
    three_each: list[Any],
    drawn: list[Any],
    tmp_path: Path,
    select: Select | None,
    more: float,
    words: str,
) -> None:
    found = sensitivity("rho", three_each, DIGITS, select)
    assert found.points == {0.5: [0.25 + more], 1.0: [0.5 + more]}
    assert found.select == (select or "last")
    draw_to(found, tmp_path / "rho.svg")
    assert drawn[0].axes[0].get_ylabel() == words


def test_runs_with_the_released_reading_are_drawn_at_their_best(three_each: list[Any]) -> None:
    runs = [replace(r, spec=replace(r.spec, protocol="released")) for r in three_each]
    found = sensitivity("rho", runs, DIGITS)
    assert (found.select, found.points) == (Select.best, {0.5: [0.55], 1.0: [0.8]})


def test_only_runs_with_a_share_are_drawn_where_it_chooses(
    swept: list[Any], three_each: list[Any]
) -> None:
    found = sensitivity("rho", swept + three_each, DIGITS, Select.val)
    assert found.points == {0.5: [0.45], 1.0: [0.7]}
    assert found.notes == ("source glyphs", "0.1 held out")
    for runs in (swept, [*swept, three_each[0]]):
        with pytest.raises(NothingToShowError, match=r"--validation 0\.1"):
            sensitivity("rho", runs, DIGITS, Select.val)


def test_runs_of_another_precision_are_left_out(swept: list[Any], make_run: Any) -> None:
    rough = [
        make_run(accuracy=0.1, changed={"dfg.rho": rho}, numerics="bf16") for rho in (0.5, 0.75)
    ]
    found = sensitivity("rho", swept + rough, DIGITS)
    assert found == replace(sensitivity("rho", swept, DIGITS), left_out=1)
    assert sensitivity("rho", rough, DIGITS).notes == ("source glyphs", "precision bf16")


def test_an_accuracy_that_is_no_number_is_no_point(make_run: Any) -> None:
    runs = [
        make_run(accuracy=a, changed={"dfg.rho": rho}, seed=seed)
        for rho, a, seed in ((0.0, 0.5, 0), (0.0, math.nan, 1), (1.0, 0.75, 0))
    ]
    assert sensitivity("rho", runs, DIGITS).points == {0.0: [0.5], 1.0: [0.75]}
