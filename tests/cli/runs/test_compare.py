"""Runs side by side: what differs, by how much, and how much is equal."""

from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def pair(made: Any) -> tuple[str, str]:
    """Two finished runs that differ in seed, learning rate and accuracy."""
    return (
        made.finished(0, 0.5, own={"lr": 0.01}),
        made.finished(3, 0.625, own={"lr": 0.0025}),
    )


def cells(out: str) -> dict[str, list[str]]:
    """Return a table's rows by their names."""
    lines = [line.replace(" %", "%").split() for line in out.splitlines()]
    return {line[0]: line[1:] for line in lines if line}


def test_what_differs_stands_side_by_side_with_the_difference(
    cli: Cli, pair: tuple[str, str]
) -> None:
    result = cli("runs", "compare", *pair)
    assert result.code == 0
    rows = cells(result.out)
    assert rows["seed"] == ["0", "3", "+3"]
    assert rows["original.lr"] == ["0.01", "0.0025", "-0.0075"]
    assert rows["accuracy_last%"] == ["50.00", "62.50", "+12.50"]
    assert not {"method", "accuracy_best%", "recall.0%", "original.momentum"} & set(rows)


def test_what_is_equal_is_counted_or_shown(cli: Cli, pair: tuple[str, str]) -> None:
    text = cli("runs", "compare", *pair).out
    every = cli("runs", "compare", *pair, "--all")
    rows = cells(every.out)
    differing = {"seed", "original.lr", "accuracy_last%"}
    names = [name for name in rows if name not in ("Settings", "Results", pair[0][:10])]
    settings = names[: names.index("status")]
    assert f"{len(settings) - 2} settings and {len(names) - len(settings) - 1} results are" in text
    assert differing < set(names)
    assert rows["method"] == ["original", "original"]
    assert rows["recall.1%"] == ["100.00", "100.00"]
    assert rows["data_digest"] == ["d", "d"]
    assert "--all" not in every.out


def test_json_has_the_values_as_they_are(cli: Cli, pair: tuple[str, str]) -> None:
    found = cli("runs", "compare", *pair, "--json").json
    assert found["runs"] == list(pair)
    assert found["settings"] == {
        "seed": {"values": [0, 3], "difference": 3},
        "original.lr": {"values": [0.01, 0.0025], "difference": -0.0075},
    }
    assert found["results"] == {"accuracy_last": {"values": [0.5, 0.625], "difference": 0.125}}
    every = cli("runs", "compare", *pair, "--json", "--all").json
    assert len(every["settings"]) == 2 + found["equal_settings"]
    assert every["results"]["status"] == {"values": ["finished", "finished"]}


def test_settings_of_one_method_only_are_counted(cli: Cli, made: Any) -> None:
    original, dfg = made.finished(0), made.queued(0, "dfg", source="glyphs", source_identity="5")
    result = cli("runs", "compare", original, dfg)
    rows = cells(result.out)
    assert rows["method"] == ["original", "dfg"]
    assert rows["source"] == ["-", "glyphs"]
    assert rows["status"] == ["finished", "queued"]
    assert not any(name.startswith(("dfg.", "original.")) for name in rows)
    text = " ".join(result.out.split())
    assert f"{original[:10]} reads original, not all do" in text
    assert f"{dfg[:10]} reads dfg, reg, not all do" in text
    every = cells(cli("runs", "compare", original, dfg, "--all").out)
    assert every["dfg.rho"] == ["-", "0.75"]


def test_several_runs_have_no_differences_but_all_values(cli: Cli, made: Any) -> None:
    runs = [made.finished(seed) for seed in (0, 1, 2)]
    result = cli("runs", "compare", *runs)
    assert cells(result.out)["seed"] == ["0", "1", "2"]
    assert "Difference" not in result.out


@pytest.mark.parametrize("columns", [80, 40])
def test_a_comparison_fits_a_terminal(
    cli: Cli, made: Any, narrow: Callable[[int], None], columns: int
) -> None:
    runs = [made.finished(0), made.failed(1, "out-of-memory", "dfg"), made.queued(2, "delta")]
    narrow(columns)
    for count in (2, 3):
        result = cli("runs", "compare", *runs[:count], "--all")
        assert max(map(len, result.out.splitlines())) <= columns
        assert "…" not in result.out
        for run_id in runs[:count]:
            assert run_id[:10] in result.out
        assert "balanced_accuracy %" in result.out


def test_recalls_of_many_classes_are_counted(cli: Cli, made: Any, sql: Callable[..., Any]) -> None:
    runs = [made.finished(0), made.finished(1)]
    for value, run_id in zip((0.25, 0.5), runs, strict=True):
        recalls = str([value] * 40)
        sql(
            "UPDATE attempts SET metrics = json_set(metrics, '$.recalls', json(?)) "
            "WHERE run_id = ?",
            *(recalls, run_id),
        )
    text = cli("runs", "compare", *runs).out
    assert "The recalls of 40 classes differ, too" in text
    assert "recall.39" not in text
    assert "recall.39" in cli("runs", "compare", *runs, "--all").out


def test_one_run_is_not_compared_with_itself(cli: Cli, made: Any) -> None:
    run_id = made.finished()
    for words in ([run_id], [run_id, run_id[:10]]):
        result = cli("runs", "compare", *words)
        assert (result.code, result.out) == (2, "")
        assert "It takes two runs" in result.err


def test_precisions_are_compared_also_where_only_one_is_named(cli: Cli, made: Any) -> None:
    single = made.finished(0)
    rough = made.finished(0, sections={"numerics": {"precision": "bf16"}})
    found = cli("runs", "compare", single, rough, "--json").json
    assert found["settings"] == {"precision": {"values": ["fp32", "bf16"]}}
    assert cells(cli("runs", "compare", single, rough).out)["precision"] == ["fp32", "bf16"]
