"""The chart of speeds is there, and shows what was measured."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dfgctl.contenders import CONTENDERS
from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report import figures
from dfgctl.report.figures import LOOKS, looks
from dfgctl.report.speed import Line, Panel, draw_speed

LINES = (
    Line("dfg", False, {1: 20.0, 5: 90.0, 45: 400.0}),
    Line("dfg", True, {1: 80.0, 45: 1600.0}),
    Line("mine", False, {1: 300.0}),
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_each_line_has_its_points_and_its_ideal(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_speed([Panel("LeNet-5, SVHN", LINES)], tmp_path / "speed.svg")
    (axes,) = drawn[0].axes
    lines = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert set(lines) == {"dfg", "dfg graphs", "mine"}
    assert [list(map(float, lines["dfg"].get_data()[i])) for i in (0, 1)] == [
        [1, 5, 45],
        [20, 90, 400],
    ]
    ideal = [list(map(float, line.get_ydata())) for line in axes.lines if not line.get_gid()]
    assert [20.0, 100.0, 900.0] in ideal
    assert [80.0, 3600.0] in ideal
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "5", "45"]
    assert lines["dfg"].get_linestyle() == "--"
    assert lines["dfg graphs"].get_linestyle() == "-"
    keys = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert keys == ["DFG", "mine", "eager", "CUDA graphs", "linear in the pack"]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_file_is_there_whatever_its_kind(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "charts" / f"speed{suffix}"
    panels = [Panel(f"Panel {i}", LINES[:1]) for i in range(4)]
    draw_speed(panels, file)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert file.read_bytes().startswith(start)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_texts_stand_in_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(figures.STYLE, "svg.fonttype", "none")
    file = tmp_path / "speed.svg"
    draw_speed([Panel("LeNet-5, SVHN\nNVIDIA H200, fp32", LINES[:1])], file)
    text = file.read_text()
    for words in ("LeNet-5, SVHN", "NVIDIA H200, fp32", "runs in a pack", ">DFG<"):
        assert words in text
    assert ">eager<" not in text  # where nothing else is shown


def test_colours_and_markers_tell_all_methods_apart() -> None:
    found = [*looks(LOOKS).values()]
    assert len({colour for colour, _ in found}) == len({m for _, m in found}) == len(found)
    many = looks([*CONTENDERS, *(f"own{i}" for i in range(24))])
    assert len(many) == len(CONTENDERS) + 24
    assert len(set(many.values())) == len(many)


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingToShowError):
        draw_speed([Panel("empty", (Line("dfg", False, {}),))], tmp_path / "speed.png")


def test_a_name_without_a_pictures_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png"):
        draw_speed([Panel("some", LINES)], tmp_path / "speed.txt")
