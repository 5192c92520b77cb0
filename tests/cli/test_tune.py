"""``dfgctl tune`` from the command line: found, shown, used, interrupted, killed, shared."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfgctl.cli import tuning_crew
from dfgctl.fragments import read
from dfgctl.registry import studies
from dfgctl.tuning import objective
from dfgctl.tuning.search import Trained

Cli = Callable[..., Any]
WORDS = ("tune", "digits", "--method", "original", "--combinations", "0,4", "--device", "cpu")
TINY = (*WORDS, "--steps", "2", "--trials", "2")
FILE = Path("results/tuned/digits/original.toml")


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trials be judged by a formula instead of a training."""

    def judged(self: Any, values: Any, report: Any) -> Trained:
        return Trained([0.5 + min(values["original.lr"], 0.05)])

    monkeypatch.setattr(objective.Training, "__call__", judged)


def test_what_was_found_is_shown_written_and_used(cli: Cli) -> None:
    first = cli(*TINY)
    assert first.code == 0
    assert "1 method with 2 trials of 1 run each, 2 to train" in first.err
    assert "Original 2/2: " in first.err
    assert "digits 10:1, tuned" in first.out
    assert "test images were not looked at" in " ".join(first.out.split())
    text = FILE.read_text()
    assert "dfgctl tune digits --method original --trials 2 --combinations 0,4 --steps 2" in text
    assert FILE.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    again = cli(*TINY, "--json")
    assert "0 to train" in again.err
    (record,) = again.json
    assert (record["trials"], record["pairs"]) == (2, [[[0, 4], 900]])
    assert record["recipe"] is not None
    assert record["best"] >= record["recipe"]
    assert FILE.read_text() == text
    assert cli(*WORDS, "--steps", "2", "--show", "--json").json == again.json

    run = ("run", "digits", "--method", "original", "--repeats", "1", "--steps", "2")
    used = cli(*run, "--tuned", "--device", "cpu", "--json")
    assert used.code == 0
    (made,) = used.json
    assert made["settings"]["tuned"]["trials"] == 2
    assert made["settings"]["original"]["lr"] == record["settings"]["original.lr"]
    shown = cli("table", "--format", "md").out
    assert "tuned (2 trials)" in shown
    assert "2 steps †" in shown
    shown = " ".join(cli("runs", "show", made["id"]).out.split())
    assert "2 trials (fragment" in shown
    assert "--tuned" in shown
    assert cli(*run, "--device", "cpu").code == 0
    ids = [r["id"] for r in cli("runs", "list", "--json").json]
    compared = " ".join(cli("runs", "compare", *ids, "--all").out.split())
    assert "tuned.trials" in compared


@pytest.mark.usefixtures("formula")
def test_more_trials_go_on_and_fewer_are_those_that_came_first(cli: Cli) -> None:
    three = cli(*WORDS, "--trials", "3", "--json")
    text = FILE.read_text()
    assert "5 to train" in cli(*WORDS, "--trials", "8").err
    assert FILE.read_text() != text
    fewer = cli(*WORDS, "--trials", "3", "--json")
    assert "0 to train" in fewer.err
    assert fewer.json == three.json
    assert FILE.read_text() == text


@pytest.mark.usefixtures("formula")
def test_each_start_and_method_has_the_same_budget(cli: Cli) -> None:
    words = (*TINY[:4], "--method", "balanced", *TINY[4:], "--set", "init=random,source")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective.Training, "__call__", lambda self, values, report: Trained([0.5]))
        found = cli(*words, "--set", "source.steps=2", "--json")
    assert [(r["contender"], r["trials"]) for r in found.json] == [
        *(("original", 2), ("balanced", 2), ("balanced/source", 2)),
    ]
    written = {file.name for file in FILE.parent.glob("*.toml")}
    assert written == {"original.toml", "balanced.toml", "balanced-source.toml"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "original.lr=0.1,0.2"), "original.lr has several values"),
        (("--set", "original.lr=0.1", "--steps", "2"), "Nothing is left to search for original"),
        (("--select", "best"), "Unknown --select of a search 'best'"),
        (("--show",), "Nothing was tuned like this on digits yet: the same command without --show"),
        (("--set", "original.steps=5"), "use --steps"),
        (("--device", "cuda:9"), "There is no"),
    ],
)
def test_what_cannot_be_is_one_sentence(cli: Cli, words: tuple[str, ...], says: str) -> None:
    refused = cli(*WORDS, *words)
    assert refused.code == 2
    assert says in refused.err
    assert refused.err.count("Error:") == 1


def test_memory_that_runs_out_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **named: Any) -> Any:
        raise MemoryError
        yield

    monkeypatch.setattr(objective, "train", full)
    failed = cli(*TINY)
    assert failed.code == 1
    said = " ".join(failed.err.split())
    assert "ran out of memory in packs of 1: type the command again with a smaller --pack" in said


def test_a_search_that_is_stopped_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    train, begun = objective.train, []

    def stopped(*given: Any, **named: Any) -> Any:
        begun.append(1)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C
        yield from train(*given, **named)

    monkeypatch.setattr(objective, "train", stopped)
    first = cli(*TINY)
    assert first.code == 130
    assert "Stopping after this step; Ctrl-C again stops at once." in first.err
    assert "Trials that have ended are kept: type the command again" in first.err
    assert not FILE.exists()
    second = cli(*TINY, "--json")
    assert "1 to train" in second.err
    assert len(begun) == 3
    whole = cli(*TINY, "--registry", "other/registry.sqlite", "--json")
    assert same(second) == same(whole)
    assert (second.json[0]["failed"], second.json[0]["interrupted"]) == (0, 1)


def same(found: Any) -> dict[str, Any]:
    """Return what a search finds wherever and however it is made."""
    (record,) = found.json
    names = ("trials", "best", "recipe", "top", "settings", "study")
    return {name: record[name] for name in names}


HELPER = """
import os, signal, time
from dfgctl.cli import main, tuning
from dfgctl.registry import studies
from dfgctl.tuning.search import Trained, open_study, search

studies.HEARTBEAT, studies.GRACE = 1, 2

def here(wanted, store, storage, tasks, card, stop):
    (task,) = tasks
    study = open_study(task, storage)

    def judged(values, report):
        JUDGED
        return Trained([0.5 + min(values["original.lr"], 0.05)])

    search(study, task, wanted.wanted, 900, judged, stop, {"device": str(os.getpid())})

tuning._here = here
main()
"""
"""A process without torch; what it does in a trial stands for JUDGED."""

DIES = "if len(study.trials) == 2: os.kill(os.getpid(), signal.SIGKILL)"
WAITS = "while len(study.trials) < 2: time.sleep(0.05)"


@pytest.mark.usefixtures("formula")
def test_a_search_that_was_killed_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-c", HELPER.replace("JUDGED", DIES), *WORDS, "--trials", "3"]
    died = subprocess.run(words, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    monkeypatch.setattr(studies, "GRACE", 2)
    second = cli(*WORDS, "--trials", "3", "--json")
    assert second.code == 0
    assert "2 to train" in second.err
    # What was lost is tried again once its process has been silent for a while.
    assert second.json[0]["trials"] == 3
    assert (second.json[0]["failed"], second.json[0]["interrupted"]) == (0, 1)


def test_processes_share_a_search(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(self: tuning_crew.Helper, launcher: str, *more: str) -> list[str]:
        words = [sys.executable, "-c", HELPER.replace("JUDGED", WAITS)]
        return [*words, *own(self, launcher, *more)[3:]]

    own = tuning_crew.Helper.command
    monkeypatch.setattr(tuning_crew.Helper, "command", command)
    done = cli(*WORDS, "--trials", "5", "--workers", "2", "--seed", "0", "--json")
    assert done.code == 0, done.err
    (record,) = done.json
    assert (record["trials"], record["wanted"], record["failed"]) == (5, 5, 0)
    assert record["pairs"] == [[[0, 4], 0]]
    assert done.err.count("Original 5/5: ") >= 1
    assert len(read(FILE).found["device"].split(", ")) == 2


def test_processes_that_die_end_the_search(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-S", "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(tuning_crew.Helper, "command", lambda *_: words)
    monkeypatch.setattr(tuning_crew, "LOOK_SECONDS", 0.05)
    done = cli(*TINY, "--workers", "2")
    assert done.code == 1
    assert "A process ended (exit code 3), see" in done.err
    assert "All processes ended before the search did: see" in " ".join(done.err.split())
