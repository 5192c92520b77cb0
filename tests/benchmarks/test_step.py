"""The benchmark of a training step: what it trains, what it reports, what it refuses."""

import json
import multiprocessing
import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import contest as contests
import pytest
import step
import torch
from contest import NEVER, Contender, Contest, crew

from dfgctl import recipe as recipes
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import missing_files
from dfgctl.errors import DfgctlError, InputError

DIGITS = recipes.load("digits")


def contest(method: str, steps: int = 10) -> Contest:
    return Contest(DIGITS, method, Path("data"), steps)


def test_the_plain_loop_trains_the_very_run_that_dfgctl_trains():
    original = contest("original")
    trainer = original.stepper(Contender(plain=False, threads=1, repeat=3)).__self__
    loop = original.stepper(Contender(plain=True, threads=1, repeat=3))
    for number in islice(original.order(), 3):
        expected = loop(number)["loss"]
        assert float(trainer.method.step(number)["loss"][0]) == pytest.approx(expected, rel=1e-4)


def test_steps_of_difa_are_taken_from_all_its_stages():
    difa, settings = contest("difa", 10), DIGITS.difa
    found = list(islice(difa.order(), 10))
    ends = [round(settings.steps * settings.share_0)]
    ends.append(round(settings.steps * (settings.share_0 + settings.share_1)))
    stages = [sum(number > end for end in ends) for number in found]
    assert [stages.count(stage) for stage in range(3)] == [5, 3, 2]
    assert list(islice(difa.order(), 10, 20)) == found


def test_each_process_of_dfgctl_has_one_thread_and_a_run_of_its_own():
    processes = crew(50)
    assert {one.threads for one in processes} == {1}
    specs = [contest("dfg").spec(one.repeat) for one in processes]
    assert len({(one.combination, one.seed) for one in specs}) == 50
    assert specs[0].settings["dfg"] == {
        **{k: v for k, v in DIGITS.dfg.values().items() if k != "steps"},
        "n_W": NEVER,
    }


def test_what_it_measures_comes_as_json():
    words = ("--dataset", "digits", "--method", "finetune", "--steps", "3", "--rounds", "2")
    command = [sys.executable, step.__file__, *words, "--cores", "1", "--workers", "0", "--json"]
    path = {"PYTHONPATH": str(Path(step.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["dataset"], found["method"], found["steps"]) == ("digits", "finetune", 3)
    assert {"date", "machine", "processor", "torch", "dfgctl", "command"} <= found.keys()
    plain, ours = found["rows"]
    assert (plain["processes"], plain["threads"], plain["workers"]) == (1, 1, 0)
    assert (ours["processes"], ours["threads"]) == (1, 1)
    (pair,) = found["comparisons"]
    assert len(plain["rates"]) == len(ours["rates"]) == 2
    assert all(rate > 0 for rate in plain["rates"] + ours["rates"])
    ratios = [b / a for a, b in zip(plain["rates"], ours["rates"], strict=True)]
    assert pair["ratios"] == pytest.approx(ratios)
    assert pair["median"] == pytest.approx(sum(ratios) / 2)


@pytest.fixture
def timed(monkeypatch):
    """Put rates in place of processes: what is asked of whom, and what comes of it."""
    asked: list[tuple[int, int]] = []

    class Child:
        def __init__(self, contest: Contest, contender: Contender) -> None:
            self.contender = contender

        def answer(self) -> None: ...

        def tell(self, steps: int) -> None: ...

        class process:  # noqa: N801
            join = terminate = staticmethod(lambda: None)

    def rate(team, steps: int) -> float:
        first = team[0].contender
        asked.append((len(team), steps))
        speed = 1.0 if not first.plain else {(2, 0): 0.5, (2, 4): 0.8, (1, 0): 0.4}[
            first.threads, first.workers
        ]  # fmt: skip
        return speed * len(team) * (1 + len(asked) / 1000)

    monkeypatch.setattr(contests, "Child", Child)
    monkeypatch.setattr(contests, "rate", rate)
    return asked


def test_turns_go_forth_and_back_and_dfgctl_is_held_against_the_faster_loader(timed, capsys):
    words = ("--dataset", "digits", "--cores", "2", "--workers", "4", "--rounds", "2")
    assert step.main([*words, "--steps", "11"]) == 0
    # Two plain loops, dfgctl's two processes, and both on one thread; 11 steps are two cycles.
    assert [processes for processes, _ in timed] == [1, 1, 2, 1, 1, 1, 1, 2, 1, 1]
    assert {steps for _, steps in timed} == {20}
    text = capsys.readouterr().out
    assert "dfg on digits, LeNet-5, batches of 16, n_D 1, n_C1 1, n_C2 10" in text
    lines = text.splitlines()
    places = [i for i, line in enumerate(lines) if " / " in line]
    assert lines[places[0]] == (
        "dfgctl, 2 processes of 1 thread / plain loop, 1 process of 2 threads, 4 load images"
    )
    assert lines[places[0] + 1] == "2.50  (2.50  2.50)"
    assert lines[places[1]] == ("dfgctl, 1 process of 1 thread / plain loop, 1 process of 1 thread")
    assert lines[places[1] + 1].startswith("2.50  (2.50")


def test_without_fashion_mnist_it_takes_the_digits_and_says_so(timed, capsys):
    assert missing_files(DATASETS["fmnist"], Path("data"))
    assert step.main(["--cores", "2", "--workers", "4", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["dataset"] == "digits"
    assert err == "Fashion-MNIST is not in data: digits instead.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--dataset", "fmnist"), "F-MNIST is not complete"),
        (("--set", "dfg.batch"), "'dfg.batch' is no setting"),
        (("--set", "dfg.batch_sice=4"), "did you mean 'dfg.batch_size'"),
        (("--set", "dfg.n_D=none"), "dfg.n_D cannot be 'none'"),
    ],
)
def test_what_cannot_be_ends_in_one_sentence(words, says, capsys):
    assert step.main([*words]) == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def told(monkeypatch):
    """Run what a process runs, here, and return the answers that its parent gets."""
    monkeypatch.setattr(contests.signal, "signal", lambda *_: None)

    def run(contest: Contest, contender: Contender, *told: int) -> list[Exception | None]:
        threads = torch.get_num_threads()
        with closing_both(*multiprocessing.Pipe()) as (parent, child):
            for steps in told:
                parent.send(steps)
            contests.train(child, contest, contender)
            torch.set_num_threads(threads)
            found = []
            while parent.poll():
                found.append(parent.recv())
        return found

    return run


@contextmanager
def closing_both(parent, child):
    with parent, child:
        yield parent, child


def test_a_process_answers_when_it_is_ready_and_after_each_round(told):
    assert told(contest("original", 2), Contender(True, 1), 3, 1, 0) == [None, None, None]


def test_a_process_that_cannot_train_says_why(told):
    recipe = DIGITS.with_settings({"dfg.optimizer": "sgd"})
    (error,) = told(Contest(recipe, "dfg", Path("data"), 1), Contender(True, 1))
    assert isinstance(error, InputError)
    assert "Adam" in str(error)


def test_a_process_that_fails_ends_with_its_words(told, monkeypatch):
    def out_of_memory(*_):
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr(Contest, "stepper", out_of_memory)
    (error,) = told(contest("dfg"), Contender(True, 1))
    assert type(error) is DfgctlError
    assert str(error) == "A training failed (RuntimeError: can't allocate memory)."


def test_a_process_that_dies_is_missed():
    class Dead:
        exitcode = -9

        def join(self) -> None: ...

    child = contests.Child.__new__(contests.Child)
    child.pipe, other = multiprocessing.Pipe()
    child.process = Dead()
    other.close()
    child.tell(3)
    with child.pipe, pytest.raises(DfgctlError, match="ended with code -9"):
        child.answer()


@pytest.mark.parametrize("words", [("--steps", "0"), ("--cores", "0"), ("--method", "none")])
def test_numbers_and_names_that_cannot_be_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        step.main([*words])
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.data
def test_fashion_mnist_is_taken_where_it_is(real_data):
    chosen = step.arguments(["--data-dir", str(real_data)])
    recipe = step.recipe_of(chosen)
    assert recipe.name == "fmnist"
    spec = Contest(recipe, "dfg", real_data, 10).spec(0)
    assert (spec.settings["dfg"]["batch_size"], spec.settings["dfg"]["n_D"]) == (64, 5)
