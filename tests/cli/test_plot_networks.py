"""``dfgctl plot tsne``, ``pca``, ``cam`` and ``weights``: figures from stored weights."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from refusals import refused
from safetensors.torch import load_file, save_file

from dfgctl import templates
from dfgctl.cli.plot.opened import opened
from dfgctl.cli.plot.weights import drawn
from dfgctl.errors import InputError

Cli = Callable[..., Any]


@pytest.fixture
def where(trained: Any) -> tuple[str, str]:
    return "--registry", str(trained.file)


def of(trained: Any, method: str, **settings: float) -> dict[str, Any]:
    """Return a trained run, as JSON lists it."""
    runs = trained.swept.json if settings else trained.plain.json
    return next(
        run
        for run in runs
        if run["method"] == method
        and all(run["settings"]["dfg"][key] == value for key, value in settings.items())
    )


def weights_of(trained: Any, run: dict[str, Any]) -> Path:
    return trained.file.parent / "weights" / f"{run['id']}.1.safetensors"


def rows_of(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(file).read_text("utf-8"))))


@pytest.mark.parametrize("kind", ["tsne", "pca"])
def test_features_of_a_run_are_drawn(kind: str, cli: Cli, trained: Any, where: Any) -> None:
    run = of(trained, "dfg")
    done = cli("plot", kind, run["id"][:8], "--images", 3, "--data", "points.csv", *where)
    assert done.code == 0
    file = Path(done.out.strip())
    assert file == trained.file.parent / "plots" / f"{kind}-digits-{run['id'][:10]}.png"
    with Image.open(file) as opened:
        assert json.loads(opened.info["Description"]) == {"runs": [run["id"]]}
    rows = rows_of("points.csv")
    assert len(rows) == 2 * 3 * 10
    assert {row["kind"] for row in rows} == {"real", "generated"}
    assert "Told apart by the nearest neighbour" in done.err
    said = " ".join(done.err.split())
    assert "30 real (test pictures) and 30 generated features" in said
    on = (load_file(weights_of(trained, run))["W_star"] > 0).sum(1)
    assert f"W* leaves on {on.min()} to {on.max()} of 6 feature maps of a class" in said


def test_difa_and_training_pictures_are_drawn_too(cli: Cli, trained: Any, where: Any) -> None:
    run = of(trained, "difa")
    words = ("--real", "training", "--classes", "0,4", "--images", 10, "-o", "a.svg")
    done = cli("plot", "pca", run["id"], *words, *where)
    assert (done.code, done.out) == (0, "a.svg\n")
    said = " ".join(done.err.split())
    assert "the last hidden layer (84)" in said
    assert "(training pictures)" in said


def test_without_a_run_the_newest_is_drawn(cli: Cli, trained: Any, where: Any) -> None:
    done = cli("plot", "pca", "--images", 1, "-o", "a.png", *where)
    assert done.code == 0
    assert "DFG on Digits" in done.err


def test_maps_of_one_pair_are_drawn(cli: Cli, trained: Any, where: Any) -> None:
    words = ("--pictures", "3,17", "--data", "maps.csv", "-o", "maps.pdf")
    done = cli("plot", "cam", *words, *where)
    assert (done.code, done.out) == (0, "maps.pdf\n")
    rows = rows_of("maps.csv")
    assert [(row["method"], row["picture"]) for row in rows] == [
        (method, n) for method in ("original", "finetune", "delta", "dfg") for n in ("3", "17")
    ]
    by_id = {run["id"]: run for run in trained.plain.json + trained.swept.json}
    shown = [by_id[row["run"]] for row in rows]
    assert len({(tuple(run["combination"]), run["seed"]) for run in shown}) == 1
    assert [run["method"] for run in shown] == [row["method"] for row in rows]


def test_maps_of_the_pair_of_a_named_run(cli: Cli, trained: Any, where: Any) -> None:
    for run in (r for r in trained.plain.json if r["method"] == "difa"):
        words = ("--method", "difa", "--method", "original", "--measure", 5, "--data", "maps.csv")
        assert cli("plot", "cam", run["id"], *words, *where).code == 0
        rows = rows_of("maps.csv")
        assert rows[0]["run"] == run["id"]
        assert len(rows) == 2 * 5
        assert sum(row["shown"] == "True" for row in rows) == 2 * 4


def moved(trained: Any, rho: float, far: float) -> dict[str, Any]:
    """Give a swept run a second update of its filter weights, as longer training would."""
    run = of(trained, "dfg", rho=rho)
    state = load_file(weights_of(trained, run))
    first = state["W_history"][0]
    state["W_history"] = torch.stack([first, 1 + far * (first - 1)])
    state["W_history_steps"] = torch.tensor([0, 3])
    save_file(state, weights_of(trained, run))
    return run


def test_filter_weights_of_a_pair_are_drawn(cli: Cli, trained: Any, where: Any) -> None:
    runs = [moved(trained, 0.5, 0.5), moved(trained, 0.0, 0.0)]
    words = ("--rho", "0.5,0", "--filters", "2", "--data", "w.csv", "-o", "w.png")
    done = cli("plot", "weights", *words, *where)
    assert (done.code, done.out) == (0, "w.png\n")
    rows = rows_of("w.csv")
    assert [run["id"] for run in runs] == list(dict.fromkeys(row["run"] for row in rows))
    assert len(rows) == 2 * 2 * 10 * 6
    last = [row for row in rows if row["rho"] == "0.0" and row["step"] == "3"]
    assert {float(row["weight"]) for row in last} == {1}
    assert "0.000 at step 3" in " ".join(done.err.split())


def test_filter_weights_of_a_named_run_are_drawn_beside_runs_of_another_data_set(
    trained: Any,
) -> None:
    run = moved(trained, 0.5, 0.5)
    found = opened(str(trained.file), None)
    others = [replace(r, spec=replace(r.spec, dataset="fmnist")) for r in found.runs]
    runs = [*found.runs, *others]
    both = replace(found, runs=runs, recipes=templates.recipes_of(runs))
    made = drawn(both, [0.5], both.named(run["id"]))
    assert f"rho 0.5 (run {run['id'][:10]})" in " ".join(made.said)
    with pytest.raises(InputError, match="such runs of digits and fmnist: choose one"):
        drawn(both, [0.5])


def test_weights_that_never_moved_are_no_figure(cli: Cli, trained: Any, where: Any) -> None:
    done = cli("plot", "weights", "--rho", "0,0.5", *where)
    refused(done, "has the filter weights of step 0 only", "3 steps and n_W is 100", "dfg.n_W=1,")


def test_weights_that_are_gone_end_in_the_remedy(cli: Cli, trained: Any, where: Any) -> None:
    run = of(trained, "dfg")
    weights_of(trained, run).unlink()
    refused(cli("plot", "tsne", run["id"], *where), "are not at", "train it once more with --force")
    for file in (trained.file.parent / "weights").iterdir():
        file.unlink()
    for words in (("pca",), ("cam",), ("weights", "--rho", "0,0.5")):
        refused(cli("plot", *words, *where), "train it once more with --force")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tsne", "{original}"), "is of original and has no generator of features"),
        (("tsne", "--classes", "0,x"), "There is no class 'x'"),
        (("tsne", "--classes", ","), "--classes names no class"),
        (("pca", "ffff"), "There is no run 'ffff'"),
        (("pca", "--images", "1", "--classes", "0"), "too few to compare"),
        (("pca", "-o", "a.txt"), "has no picture's ending"),
        (("pca", "{original}", "--dataset", "svhn"), "leave --dataset out"),
        (("cam", "--pictures", "3,x"), "--pictures takes numbers from 0 on"),
        (("cam", "--pictures", "901"), "There is no test picture 901: they are 0 to 900"),
        (("cam", "--method", "mine"), "Unknown method 'mine'"),
        (("weights", "--rho", "2"), "--rho takes values from 0 to 1"),
        (("weights", "--rho", "0,0.3"), "there is none of dfg.rho=0.3. Train with dfgctl run"),
        (("weights", "--rho", "0.1234567,0.12345671"), "dfg.rho=0.1234567,0.12345671"),
        (("weights", "--dataset", "svhn"), "dfgctl run svhn --method dfg --set dfg.rho=0.75,0"),
    ],
)
def test_bad_input_is_one_sentence(
    words: tuple[str, ...], says: str, cli: Cli, trained: Any, where: Any
) -> None:
    original = of(trained, "original")["id"]
    refused(cli("plot", *(w.format(original=original) for w in words), *where), says)


@pytest.mark.parametrize("kind", ["tsne", "pca", "cam", "weights"])
def test_without_a_registry_it_says_what_to_train(kind: str, cli: Cli) -> None:
    refused(cli("plot", kind), "dfgctl run digits --method ")
