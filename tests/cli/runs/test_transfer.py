"""Exports and imports by command: files, pipes, filters, and what goes wrong."""

import errno
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import pytest
from typer.testing import CliRunner

from dfgctl.cli import app
from dfgctl.registry import Registry

Cli = Callable[..., Any]
OTHER = ("--registry", "other/registry.sqlite")


@pytest.fixture
def three(made: Any) -> list[str]:
    """A finished, a failed and a queued run."""
    return [made.finished(0), made.failed(1, "diverged", method="dfg"), made.queued(2)]


def ids(cli: Cli, *where: str) -> list[str]:
    return [run["id"] for run in cli("runs", "list", "--json", *where).json]


def test_what_one_registry_exports_another_imports(cli: Cli, three: list[str]) -> None:
    out = cli("runs", "export", "new/runs.jsonl")
    assert (out.code, out.out) == (0, "")
    assert out.err == ("Exported 2 runs to new/runs.jsonl, without 1 run that has not ended.\n")
    first = cli("runs", "import", "new/runs.jsonl", *OTHER)
    assert (first.code, first.out, first.err) == (0, "", "2 runs imported.\n")
    again = cli("runs", "import", "new/runs.jsonl", *OTHER)
    assert (again.code, again.err) == (0, "0 runs imported, 2 runs already here.\n")
    assert ids(cli, *OTHER) == three[:2]
    for run_id in three[:2]:
        shown = cli("runs", "show", run_id).out
        assert cli("runs", "show", run_id, *OTHER).out == shown
    assert list(Path("new").iterdir()) == [Path("new/runs.jsonl")]


def test_a_pipe_carries_an_export(cli: Cli, three: list[str]) -> None:
    out = cli("runs", "export", "-")
    cli("runs", "export", "file.jsonl")
    assert out.out == Path("file.jsonl").read_text(encoding="utf-8")
    assert out.err == "Exported 2 runs, without 1 run that has not ended.\n"
    result = CliRunner().invoke(app, ["runs", "import", "-", *OTHER], input=out.out)
    assert (result.exit_code, result.stderr) == (0, "2 runs imported.\n")
    assert ids(cli, *OTHER) == three[:2]
    cut = CliRunner().invoke(app, ["runs", "import", "-", *OTHER], input=out.out[:-9])
    assert cut.exit_code == 2
    assert "cut short" in cut.stderr


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--method", "dfg"], [1]),
        (["--status", "finished"], [0]),
        (["--status", "diverged"], [1]),
        (["--since", "1d"], [0, 1]),
        (["0"], [0]),
        (["1", "2"], [1]),
    ],
    ids=str,
)
def test_ids_and_filters_choose_what_is_exported(
    cli: Cli, three: list[str], words: list[str], wanted: list[int]
) -> None:
    words = [three[int(word)][:12] if word.isdecimal() else word for word in words]
    assert cli("runs", "export", "some.jsonl", *words).code == 0
    assert cli("runs", "import", "some.jsonl", *OTHER).code == 0
    assert ids(cli, *OTHER) == [three[i] for i in wanted]


def test_what_an_import_did_is_said(cli: Cli, made: Any, three: list[str]) -> None:
    cli("runs", "export", "runs.jsonl")
    with closing(Registry("other/registry.sqlite")) as other:
        there = type(made)(other, "there:9:def456")
        there.queued(0)
        there.running(1, method="dfg")
    result = cli("runs", "import", "runs.jsonl", *OTHER)
    assert result.code == 0
    assert result.err.splitlines() == [
        "0 runs imported, 1 run got further attempts (1 of them finished by it).",
        f"Left alone, being trained here: {three[1][:10]}; import the file again when they have "
        "ended.",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs", "import", "none.jsonl"], ["There is no file none.jsonl", "dfgctl runs export"]),
        (["runs", "import", "."], ["is a folder"]),
        (["runs", "export", "x.jsonl"], ["nothing to export", "dfgctl runs list"]),
        (["runs", "export", "x.jsonl", "abc"], ["There is no run 'abc'"]),
        (["runs", "export", "x.jsonl", "--method", "dgf"], ["did you mean 'dfg'"]),
    ],
    ids=lambda value: " ".join(value[1:]) if value[0] == "runs" else "",
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    cli: Cli, tmp_path: Path, words: list[str], says: list[str]
) -> None:
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert all(part in result.err for part in says)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_makes_no_registry(cli: Cli, three: list[str]) -> None:
    cli("runs", "export", "runs.jsonl")
    file = Path("runs.jsonl")
    file.write_text(file.read_text().replace('"accuracy_last":0.5', '"accuracy_last":0.9'))
    result = cli("runs", "import", "runs.jsonl", *OTHER)
    assert (result.code, result.out) == (2, "")
    assert "was changed, so nothing was imported" in result.err
    assert not Path("other").exists()


def test_what_is_queued_only_is_not_exported(cli: Cli, made: Any) -> None:
    made.queued()
    result = cli("runs", "export", "x.jsonl")
    assert result.code == 2
    assert "nothing to export, for 1 run is queued or running" in result.err
    assert not Path("x.jsonl").exists()


def test_a_full_disk_leaves_the_older_file(
    cli: Cli, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path("runs.jsonl")
    file.write_text("older")
    original = Path.open

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def writelines(self, lines: Any) -> None:
            for line in lines:
                self.write(line)

    def full(path: Path, mode: str = "r", **named: Any) -> TextIO:
        if mode == "w":
            original(path, mode, **named).close()
            return Full()
        return original(path, mode, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        result = cli("runs", "export", file, "--force")
    assert result.code == 2
    assert "runs.jsonl cannot be written (No space left on device): name another" in result.err
    assert file.read_text() == "older"
    assert not [path for path in Path().iterdir() if path.suffix == ".tmp"]


def test_a_link_stays_a_link_and_what_is_no_file_stays_what_it_is(
    cli: Cli, three: list[str], tmp_path: Path
) -> None:
    Path("target.jsonl").write_text("older")
    Path("link.jsonl").symlink_to("target.jsonl")
    assert cli("runs", "export", "link.jsonl", "--force").code == 0
    assert Path("link.jsonl").is_symlink()
    text = Path("target.jsonl").read_text(encoding="utf-8")
    assert cli("runs", "export", "-").out == text
    os.mkfifo("pipe")
    with ThreadPoolExecutor() as pool:
        read = pool.submit(Path("pipe").read_text, encoding="utf-8")
        assert cli("runs", "export", "pipe").code == 0
        assert read.result(timeout=10) == text
    assert Path("pipe").is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("target.jsonl", "link.jsonl", "pipe", "results")
    }


def test_a_folder_is_no_place_for_an_export(cli: Cli, three: list[str]) -> None:
    result = cli("runs", "export", "results")
    assert result.code == 2
    assert "results is a folder: name a file in it." in result.err


def test_a_registry_that_cannot_be_written_imports_nothing(
    cli: Cli, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("runs", "export", "runs.jsonl")
    monkeypatch.setattr("dfgctl.registry.engine.is_read_only", lambda path: True)
    result = cli("runs", "import", "runs.jsonl")
    assert result.code == 2
    assert "cannot be written" in result.err
    assert "--registry" in result.err


def test_a_registry_that_is_read_only_is_exported(
    cli: Cli, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("engine", "database"):
        monkeypatch.setattr(f"dfgctl.registry.{name}.is_read_only", lambda path: True)
    assert cli("runs", "export", "runs.jsonl").code == 0


def test_a_registry_is_never_written_over(cli: Cli, made: Any, three: list[str]) -> None:
    file = made.folder / "registry.sqlite"
    for words in (("runs", "export", file), ("runs", "export", file, "--force")):
        result = cli(*words)
        assert result.code == 2
        assert "is there already" in result.err or "is a registry" in result.err
    result = cli("table", "--format", "csv", "-o", file)
    assert (result.code, result.err) == (
        2,
        f"Error: {file} is a registry, or another database: name another with -o.\n",
    )
    assert len(ids(cli)) == 3


def test_an_older_export_is_written_over_only_by_force(cli: Cli, three: list[str]) -> None:
    assert cli("runs", "export", "runs.jsonl").code == 0
    before = Path("runs.jsonl").read_text(encoding="utf-8")
    result = cli("runs", "export", "runs.jsonl", three[0])
    assert (result.code, Path("runs.jsonl").read_text(encoding="utf-8")) == (2, before)
    assert "runs.jsonl is there already: name another, or add --force." in result.err
    assert cli("runs", "export", "runs.jsonl", three[0], "--force").code == 0
    assert Path("runs.jsonl").read_text(encoding="utf-8") != before
