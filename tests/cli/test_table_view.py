"""Tables in a terminal: they fit, break no number, and no row loses its name."""

import pytest

from dfgctl.cli.table_view import show
from dfgctl.report.table import Cell, Column, Table

METHODS = ("Original", "Fine-tuning", "DELTA", "DIFA + cMWGAN", "DFG", "Mine", "Another of mine")


def results(methods: tuple[str, ...] = METHODS) -> Table:
    names = [
        Cell(["Digits (10:1) ‡"]),
        Cell(["source glyphs", "protocol released", "dfg.rho=0.25"]),
    ]
    values = [Cell([f"8{i}.25 ± 1.25", "n = 45, c = 45"]) for i, _ in enumerate(methods)]
    return Table(
        name="results",
        title="Results",
        columns=[Column("Data set", "label"), Column("Settings", "detail"), *map(Column, methods)],
        rows=[[*names, *values]],
        caption="A caption.",
        notes=[],
        records=[],
    )


def printed(
    table: Table, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    show(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_each_part_has_the_rows_name_and_none_is_too_wide(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(results(), width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    parts = text.count("Results")
    assert text.count("Digits (10:1) ‡") == text.count("source glyphs") == parts
    assert (parts > 1) == (width < 80)
    assert text.count(", continued") == parts - 1
    for i in range(len(METHODS)):
        assert f"8{i}.25" in text


def test_where_nothing_fits_the_terminal_breaks_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(results(), 12, monkeypatch, capsys)
    assert "Digits (10:1) ‡" in text
    assert "83.25" in text


def test_at_80_columns_the_papers_methods_stand_in_one_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(results(METHODS[:5]), 80, monkeypatch, capsys)
    assert text.count("Results") == 1
    assert text.count("± 1.25") == text.count("n=45") == text.count("c=45") == 5
    (further,) = (line for line in text.splitlines() if "released" in line)
    assert further.startswith("      released")


def test_n_and_c_stand_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = results(METHODS[:5])
    short = [Cell(["88.25 ± 1.25", "n = 6, c = 6"])] * 5
    rows = [[*table.rows[0][:2], *short]]
    text = printed(Table(**{**vars(table), "rows": rows}), 80, monkeypatch, capsys)
    assert text.count("n=6, c=6") == 5


def test_a_time_keeps_its_unit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [Column("Method", "label"), *map(Column, "ABCDEF")]
    row = [Cell(["DFG"]), *[Cell(["2.48 ± 0.06 s"])] * 6]
    table = Table(**{**vars(results()), "columns": columns, "rows": [row]})
    assert printed(table, 80, monkeypatch, capsys).count("± 0.06 s") == 6
