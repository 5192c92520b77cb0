"""Runs are cancelled, put back and deleted, after a question where many may be meant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from dfgctl.cli import output
from dfgctl.cli.runs.changing import EACH

Cli = Callable[..., Any]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[str]]:
    """Answer questions as if on a terminal; return what was asked."""

    def make(yes: bool) -> list[str]:
        asked: list[str] = []

        def confirm(question: str, **_: Any) -> bool:
            asked.append(question)
            return yes

        monkeypatch.setattr(output, "on_terminal", lambda: True)
        monkeypatch.setattr(typer, "confirm", confirm)
        return asked

    return make


def files_of(made: Any, run_id: str) -> list[Path]:
    """Write the files that a run has; return them."""
    names = [
        *(f"weights/{run_id}.1.safetensors", f"weights/{run_id}.2.safetensors"),
        *(f"checkpoints/{run_id}/00000200.safetensors", f"logs/{run_id}.log"),
    ]
    for name in names:
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made.folder / name).write_text("content")
    return [made.folder / name for name in names]


# Cancel


def test_named_runs_are_cancelled_without_a_question(cli: Cli, made: Any) -> None:
    queued, running, finished = made.queued(0), made.running(1), made.finished(2)
    result = cli("runs", "cancel", queued[:10], running, finished)
    assert result.code == 0
    assert [made.status(i) for i in (queued, running, finished)] == [
        *("cancelled", "cancelled", "finished")
    ]
    lines = result.out.splitlines()
    assert len(lines) == 2
    assert f"Cancelled {queued[:10]} (digits original {{0, 4}} seed 0)." in lines
    assert "within 30 s" in result.err
    assert f"Left {finished[:10]}" in result.err
    assert "it is finished, not in the queue" in result.err


def test_many_runs_are_counted(cli: Cli, made: Any) -> None:
    runs = [made.queued(seed) for seed in range(EACH + 1)]
    made.finished(99)
    result = cli("runs", "cancel", "--dataset", "digits", "--yes")
    assert result.out == f"Cancelled {EACH + 1} runs.\n"
    assert result.err == "Left 1 run as it is (1 finished): not in the queue.\n"
    assert {made.status(run_id) for run_id in runs} == {"cancelled"}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--status", "queued"], [0, 1]),
        (["--method", "dfg"], [1]),
        (["--status", "lost"], [1]),
        (["--dataset", "fmnist"], []),
    ],
    ids=str,
)
def test_filters_choose_runs(cli: Cli, made: Any, words: list[str], wanted: list[int]) -> None:
    runs = [made.queued(0), made.returned(1, "lost", method="dfg"), made.running(2)]
    assert cli("runs", "cancel", *words, "--yes").code == 0
    assert [i for i, r in enumerate(runs) if made.status(r) == "cancelled"] == wanted


def test_ids_and_filters_choose_what_both_let_through(cli: Cli, made: Any) -> None:
    first, second, third = made.queued(0), made.queued(1, "dfg"), made.queued(2, "dfg")
    assert cli("runs", "cancel", first, second, "--method", "dfg").code == 0
    assert [made.status(i) for i in (first, second, third)] == ["queued", "cancelled", "queued"]


@pytest.mark.parametrize("yes", [True, False])
def test_filters_ask_how_many_are_meant(
    cli: Cli, made: Any, answer: Callable[[bool], list[str]], yes: bool
) -> None:
    runs = [made.queued(0), made.queued(1), made.finished(2)]
    asked = answer(yes)
    assert cli("runs", "cancel", "--dataset", "digits").code == 0
    assert asked == ["Cancel 2 runs?"]
    assert made.status(runs[0]) == ("cancelled" if yes else "queued")


@pytest.mark.parametrize("command", ["cancel", "retry", "rm"])
def test_without_a_terminal_and_a_yes_filters_are_refused(
    cli: Cli, made: Any, command: str
) -> None:
    runs = [made.queued(0), made.failed(1)]
    result = cli("runs", command, "--dataset", "digits")
    assert (result.code, result.out) == (2, "")
    assert "--yes" in result.err
    assert [made.status(run_id) for run_id in runs] == ["queued", "failed"]


@pytest.mark.parametrize("command", ["cancel", "retry", "rm"])
def test_some_runs_must_be_named(cli: Cli, made: Any, command: str) -> None:
    made.queued()
    result = cli("runs", command, "--yes")
    assert result.code == 2
    assert "Which runs? Name them" in result.err


@pytest.mark.parametrize("command", ["cancel", "retry", "rm"])
@pytest.mark.parametrize("there", [True, False], ids=["registry", "none"])
def test_an_unknown_id_is_refused_and_nothing_is_done(
    cli: Cli, tmp_path: Path, command: str, there: bool, request: pytest.FixtureRequest
) -> None:
    first = request.getfixturevalue("made").failed() if there else "abc"
    result = cli("runs", command, first, "zzz", "--yes")
    assert result.code == 2
    assert "There is no run" in result.err
    if there:
        assert request.getfixturevalue("made").status(first) == "failed"
    else:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["cancel", "retry", "rm"])
def test_where_nothing_fits_there_is_nothing_to_do(cli: Cli, made: Any, command: str) -> None:
    result = cli("runs", command, "--status", "failed")
    assert (result.code, result.out) == (0, "")
    assert "no such runs" in result.err


# Retry


def test_what_failed_is_put_back_and_how_to_train_it_is_said(cli: Cli, made: Any) -> None:
    failed, diverged, queued = made.failed(0), made.failed(1, "diverged"), made.queued(2)
    cancelled = made.queued(3)
    made.registry.cancel([cancelled])
    result = cli("runs", "retry", failed, diverged, queued, cancelled)
    assert result.code == 0
    assert {made.status(i) for i in (failed, diverged, queued, cancelled)} == {"queued"}
    assert result.out.count("Queued ") == 3
    assert "dfgctl worker" in result.err
    assert f"Left {queued[:10]}" in result.err
    assert "it is queued, neither failed nor cancelled" in result.err


# Delete


def test_a_deleted_run_leaves_no_file(cli: Cli, made: Any) -> None:
    gone, kept = made.finished(0), made.finished(1)
    its, others = files_of(made, gone), files_of(made, kept)
    result = cli("runs", "rm", gone, "--yes")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"Deleted {gone[:10]} (digits original {{0, 4}} seed 0).\n"
    assert made.status(gone) is None
    assert made.registry.attempts(gone) == []
    assert made.registry.measurements(gone, 1) == []
    assert not any(file.exists() for file in its)
    assert not (made.folder / "checkpoints" / gone).exists()
    assert made.status(kept) == "finished"
    assert all(file.exists() for file in others)


@pytest.mark.parametrize("yes", [True, False])
def test_deleting_asks_for_a_single_run_too(
    cli: Cli, made: Any, answer: Callable[[bool], list[str]], yes: bool
) -> None:
    run_id = made.finished()
    files = files_of(made, run_id)
    asked = answer(yes)
    result = cli("runs", "rm", run_id)
    assert result.code == 0
    assert asked == [f"Delete run {run_id[:10]} (digits original {{0, 4}} seed 0)?"]
    assert made.status(run_id) == (None if yes else "finished")
    assert all(file.exists() is not yes for file in files)


def test_a_run_in_training_is_not_deleted(cli: Cli, made: Any) -> None:
    running, failed = made.running(0), made.failed(1)
    files = files_of(made, running)
    result = cli("runs", "rm", running, "--yes")
    assert (result.code, result.out) == (2, "")
    assert "1 run is being trained and cannot be deleted: cancel first" in result.err
    assert f"dfgctl runs cancel {running[:10]}" in result.err
    result = cli("runs", "rm", running, failed, "--yes")
    assert result.code == 0
    assert f"Left {running[:10]}" in result.err
    assert (made.status(running), made.status(failed)) == ("running", None)
    assert all(file.exists() for file in files)


def test_a_file_that_cannot_be_deleted_is_named(
    cli: Cli, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made.finished()
    files = files_of(made, run_id)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "no", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    result = cli("runs", "rm", run_id, "--yes")
    assert result.code == 0
    assert made.status(run_id) is None
    assert "and 2 more cannot be deleted" in " ".join(result.err.split())
    assert [file.exists() for file in files] == [True, True, False, True]


@pytest.mark.parametrize("command", ["cancel", "retry", "rm"])
def test_a_registry_that_cannot_be_written_is_left_as_it_is(
    cli: Cli, made: Any, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [made.queued(0), made.failed(1)]
    files = files_of(made, runs[1])
    for name in ("engine", "database"):
        monkeypatch.setattr(f"dfgctl.registry.{name}.is_read_only", lambda path: True)
    result = cli("runs", command, *runs, "--yes")
    assert (result.code, result.out) == (2, "")
    assert "cannot be written" in result.err
    assert [made.status(run_id) for run_id in runs] == ["queued", "failed"]
    assert all(file.exists() for file in files)
