"""``dfgctl predict`` and ``dfgctl export``: what was trained, used on pictures and elsewhere."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import lenet5
from PIL import Image
from refusals import refused
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from small_data import write_own
from torch import Tensor
from typer.testing import CliRunner

from dfgctl.cli import app
from dfgctl.data.digits import labels_and_split

Cli = Callable[..., Any]
QUICK = ("--repeats", "1", "--device", "cpu", "--json")
TRAIN = (
    *("--backbone", "lenet5", "--method", "original", "--steps", "12", *QUICK),
    *("--set", "original.lr=0.01", "--set", "original.batch_size=8"),
)


def grey(files: Sequence[Path]) -> Tensor:
    """Read pictures without transparency by Pillow alone: (N, 1, 32, 32)."""
    found = []
    for file in files:
        with Image.open(file) as opened:
            small = opened.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
        found.append(np.asarray(small))
    return torch.tensor(np.stack(found))[:, None]


@dataclass(frozen=True)
class Table:
    """What predict wrote."""

    header: list[str]
    files: list[str]
    predicted: list[str]
    probabilities: np.ndarray


def read(text: str) -> Table:
    header, *rows = csv.reader(io.StringIO(text))
    numbers = np.array([[float(x) for x in row[2:]] for row in rows]).reshape(len(rows), -1)
    return Table(header, [r[0] for r in rows], [r[1] for r in rows], numbers)


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Train one run on a folder of one's own, once for all tests."""
    home = tmp_path_factory.mktemp("use")
    write_own(home / "mine")
    registry = ("--registry", str(home / "results" / "registry.sqlite"))
    result = CliRunner().invoke(app, ["run", str(home / "mine"), *TRAIN, *registry])
    assert result.exit_code == 0, result.stderr
    (run,) = json.loads(result.stdout)
    return home, run["id"]


@pytest.fixture
def run(_trained: tuple[Path, str], tmp_path: Path) -> str:
    """A finished run in the default registry, and its pictures in mine/."""
    home, run_id = _trained
    shutil.copytree(home / "results", tmp_path / "results")
    shutil.copytree(home / "mine", tmp_path / "mine")
    return run_id


def weights_of(run_id: str) -> Path:
    return Path("results") / "weights" / f"{run_id}.1.safetensors"


@pytest.fixture
def plain(tmp_path: Path) -> list[Path]:
    """Five pictures without transparency, in several folders, in the order of their paths."""
    rng = np.random.default_rng(5)
    files = []
    for i, name in enumerate(["a, b.png", "deep/er/1.PNG", "deep/er/2.bmp", "deep/z.gif", "ü.jpg"]):
        file = tmp_path / "some" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (30 + i, 50 - i, 3), dtype=np.uint8))
        picture.convert("L" if name.endswith("gif") else "RGB").save(file)
        files.append(file)
    return files


# Predict


def test_probabilities_are_those_of_the_trained_network(
    cli: Cli, run: str, plain: list[Path]
) -> None:
    shown = cli("predict", run[:10], "some")
    assert (shown.code, shown.err) == (0, "")
    table = read(shown.out)
    assert table.header == ["file", "predicted", "cat", "dog"]
    assert table.files == [str(file.relative_to(Path("some").resolve())) for file in plain]
    expected = lenet5(load_file(weights_of(run)), grey(plain)).numpy()
    np.testing.assert_allclose(table.probabilities, expected, atol=2e-6)
    np.testing.assert_allclose(table.probabilities.sum(1), 1, atol=2e-6)
    assert table.predicted == [("cat", "dog")[p.argmax()] for p in expected]


def test_training_and_prediction_agree_on_the_test_pictures(cli: Cli, run: str) -> None:
    confusion = cli("runs", "show", run, "--json").json["metrics"]["confusion"]
    for c, name in enumerate(("cat", "dog")):
        table = read(cli("predict", run, f"mine/test/{name}").out)
        assert [table.predicted.count(n) for n in ("cat", "dog")] == confusion[c]


def test_pictures_are_classified_a_chunk_at_a_time_in_order(
    cli: Cli, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cli("predict", run, "mine").out
    monkeypatch.setattr("dfgctl.cli.use.CHUNK", 5)
    few = read(cli("predict", run, "mine").out)
    assert few.files == sorted(few.files, key=lambda f: Path(f).parts)
    assert len(few.files) == 12
    assert few.files == read(whole).files
    np.testing.assert_allclose(few.probabilities, read(whole).probabilities, atol=2e-6)


def test_a_single_picture_is_classified(cli: Cli, run: str) -> None:
    file = "mine/test/dog/picture 0.png"
    alone = read(cli("predict", run, file).out)
    assert alone.files == [file]
    among = read(cli("predict", run, "mine/test/dog").out)
    np.testing.assert_allclose(alone.probabilities[0], among.probabilities[0], atol=2e-6)


def test_it_is_written_to_a_file(cli: Cli, run: str) -> None:
    printed = cli("predict", run, "mine").out
    shown = cli("predict", run, "mine", "-o", "deeper/p.csv")
    assert (shown.code, shown.out) == (0, "")
    assert "Wrote deeper/p.csv" in shown.err
    assert Path("deeper/p.csv").read_text(encoding="utf-8") == printed


def test_broken_pictures_are_named_and_left_out(cli: Cli, run: str) -> None:
    whole = cli("predict", run, "mine")
    Path("mine/bad [1].png").write_bytes(b"no picture")
    Path("mine/test/cut.jpg").write_bytes(b"\xff\xd8\xff")
    shown = cli("predict", run, "mine")
    assert (shown.code, shown.out) == (0, whole.out)
    (line,) = shown.err.strip().splitlines()
    assert "2 broken pictures" in line
    assert "mine/bad [1].png" in line
    assert "mine/test/cut.jpg" in line
    refused(cli("predict", run, "mine", "--strict"), "mine/bad [1].png", "--strict")


def test_hidden_files_and_what_is_no_picture_do_not_count(cli: Cli, run: str) -> None:
    whole = cli("predict", run, "mine").out
    for name in (".hidden.png", "notes.txt", ".thumbnails/1.png"):
        Path("mine", name).parent.mkdir(exist_ok=True)
        shutil.copy("mine/test/cat/picture 0.png", Path("mine", name))
    assert cli("predict", run, "mine").out == whole


def test_nothing_but_broken_pictures_is_refused(cli: Cli, run: str) -> None:
    Path("bad").mkdir()
    Path("bad/1.png").write_bytes(b"no picture")
    for place in ("bad", "bad/1.png"):
        result = cli("predict", run, place)
        assert result.code == 2
        assert "1.png" in result.err


def test_what_cannot_be_predicted_is_refused(cli: Cli, run: str) -> None:
    Path("empty").mkdir()
    refused(cli("predict", run, "empty"), "There is no picture in empty")
    refused(cli("predict", run, "nowhere"), "nowhere")
    refused(cli("predict", "zzz", "mine"), "There is no run 'zzz'", "dfgctl runs list")
    refused(cli("predict", run, "mine", "--device", "gpu"), "it is auto, cpu, cuda")
    refused(cli("predict", "no.safetensors", "mine"), "no.safetensors")
    refused(cli("predict", weights_of(run), "mine"), "no classifier", "a run's id")


@pytest.mark.parametrize("words", [("predict", "mine"), ("export", "-o", "m.safetensors")])
def test_a_run_without_weights_is_refused(cli: Cli, run: str, words: tuple[str, ...]) -> None:
    command, *rest = words
    weights_of(run).write_bytes(b"half a file")
    refused(cli(command, run, *rest), f"{run}.1.safetensors")
    weights_of(run).unlink()
    refused(cli(command, run[:8], *rest), run[:10], f"{run}.1.safetensors", "--force")


@pytest.mark.parametrize("words", [("predict", "mine"), ("export", "-o", "m.safetensors")])
def test_a_run_that_has_not_finished_is_refused(
    cli: Cli, run: str, sql: Any, words: tuple[str, ...]
) -> None:
    sql("UPDATE runs SET status = 'failed', result_attempt = NULL")
    command, *rest = words
    refused(cli(command, run[:8], *rest), f"Run {run[:8]} is failed, not finished")


@pytest.mark.parametrize("words", [("predict", "mine"), ("export", "-o", "m.safetensors")])
def test_without_a_registry_there_is_no_run(
    cli: Cli, own_pictures: Callable[..., Path], words: tuple[str, ...]
) -> None:
    own_pictures()
    command, *rest = words
    refused(cli(command, "3f9a", *rest), "There is no run '3f9a'", "no registry")
    assert list(Path().iterdir()) == [Path("mine")]


def test_a_run_that_is_queued_again_is_used_as_it_was(cli: Cli, run: str, sql: Any) -> None:
    before = cli("predict", run, "mine").out
    sql("UPDATE runs SET status = 'queued'")
    assert cli("predict", run, "mine").out == before


# Export


def test_an_exported_classifier_predicts_the_same(cli: Cli, run: str) -> None:
    expected = cli("predict", run, "mine").out
    shown = cli("export", run[:10], "-o", "deeper/model.safetensors")
    assert (shown.code, shown.out) == (0, "")
    assert [p.name for p in sorted(Path("deeper").iterdir())] == [
        "model.json",
        "model.safetensors",
    ]
    assert shown.err.splitlines() == ["Wrote deeper/model.safetensors", "Wrote deeper/model.json"]
    shutil.rmtree("results")
    assert cli("predict", "deeper/model.safetensors", "mine").out == expected


def test_other_programs_need_only_the_two_files(cli: Cli, run: str, plain: list[Path]) -> None:
    cli("export", run, "-o", "model.safetensors")
    told = json.loads(Path("model.json").read_text(encoding="utf-8"))
    assert told["classes"] == ["cat", "dog"]
    assert told["run"] == run
    assert told["preprocessing"] == {
        "mode": "L",
        "resize": 32,
        "interpolation": "bilinear",
        "pad": 0,
        "centre_crop": 32,
        "scale": "pixel / 127.5 - 1",
    }
    found = lenet5(load_file("model.safetensors"), grey(plain)).numpy()
    np.testing.assert_allclose(
        found, read(cli("predict", run, "some").out).probabilities, atol=2e-6
    )


def test_only_the_classifier_is_exported(cli: Cli, run: str) -> None:
    cli("export", run, "-o", "model.safetensors")
    assert {name[:2] for name in load_file("model.safetensors")} == {"E.", "C."}


def test_onnx_gives_the_same_numbers(cli: Cli, run: str, plain: list[Path]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    shown = cli("export", run, "-o", "model.onnx")
    assert (shown.code, shown.out) == (0, "")
    assert json.loads(Path("model.json").read_text())["classes"] == ["cat", "dog"]
    session = runtime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": grey(plain).float().numpy()})
    np.testing.assert_allclose(
        found, read(cli("predict", run, "some").out).probabilities, atol=1e-5
    )


def test_without_the_extra_it_says_what_to_install(
    cli: Cli, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    refused(cli("export", run, "-o", "model.onnx"), "onnxscript", "pip install 'dfgctl[onnx]'")
    assert sorted(p.name for p in Path().iterdir()) == ["mine", "results"]


def test_a_file_of_another_kind_is_refused(cli: Cli, run: str) -> None:
    for name in ("model.pt", "model", "model.json"):
        refused(cli("export", run, "-o", name), f"'{name}'", ".safetensors", ".onnx")
    refused(cli("export", "zzz", "-o", "model.onnx"), "There is no run 'zzz'")


@pytest.mark.parametrize("ending", ["safetensors", "onnx"])
def test_a_place_that_cannot_be_written_is_refused(cli: Cli, run: str, ending: str) -> None:
    pytest.importorskip("onnxscript")
    Path("file").write_text("a file")
    refused(cli("export", run, "-o", f"file/model.{ending}"), "file")
    Path(f"folder.{ending}").mkdir()
    refused(cli("export", run, "-o", f"folder.{ending}"), f"folder.{ending}")
    assert list(Path(f"folder.{ending}").iterdir()) == []


def test_an_onnx_file_cannot_be_predicted_with_and_says_so(cli: Cli, run: str) -> None:
    Path("model.onnx").write_bytes(b"onnx")
    refused(cli("predict", "model.onnx", "mine"), "model.onnx", ".safetensors")


# Methods, readings and data sets that change what the network sees or is


@pytest.mark.parametrize("kind", ["difa", "released widths", "validation"])
def test_what_changes_the_network_is_kept(cli: Cli, run: str, plain: list[Path], kind: str) -> None:
    words = [w for w in TRAIN if w != "12"]
    words.insert(words.index("--steps") + 1, "4")
    if kind == "difa":
        words[words.index("original")] = "difa"
        words = [w.replace("original.lr", "difa.lr").replace("original.", "difa.") for w in words]
        words += ["--source-weights", str(weights_of(run)), "--set", "difa.n_D=1"]
    elif kind == "released widths":
        words += ["--set", "fidelity.F09=released"]
    else:
        words += ["--validation", "0.25"]
    result = cli("run", "./mine", *words)
    assert result.code == 0, result.err
    made = result.json[0]["id"]
    state = load_file(weights_of(made))
    if kind == "released widths":
        assert state["C.fc1.weight"].shape == (1024, 400)
    expected = lenet5(state, grey(plain), bounded=kind == "difa").numpy()
    shown = cli("predict", made, "some")
    np.testing.assert_allclose(read(shown.out).probabilities, expected, atol=2e-6)
    cli("export", made, "-o", "model.safetensors")
    assert cli("predict", "model.safetensors", "some").out == shown.out
    told = json.loads(Path("model.json").read_text())
    assert told["bounded"] == (kind == "difa")
    assert told["released"] == (["F09"] if kind == "released widths" else [])


def test_pictures_of_a_set_of_28x28_are_padded_and_not_stretched(
    cli: Cli, small_data: Callable[..., Any]
) -> None:
    made = small_data("fmnist", train=3, test=1)
    words = ("--method", "original", "--steps", "4", "--imbalance", "1:1", *QUICK)
    few = ("--set", "original.batch_size=8", "--set", "original.lr=0.01")
    result = cli("run", "fmnist", *words, *few)
    assert result.code == 0, result.err
    (run,) = result.json
    images = made.pixels["test"]
    Path("pngs").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(f"pngs/{i}.png")
    table = read(cli("predict", run["id"], "pngs").out)
    assert table.header == ["file", "predicted", *made.info.classes]
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    expected = lenet5(load_file(weights_of(run["id"])), torch.from_numpy(padded)).numpy()
    np.testing.assert_allclose(table.probabilities, expected, atol=2e-6)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (made.labels["test"], expected.argmax(1)), 1)
    assert run["metrics"]["confusion"] == confusion.tolist()
    cli("export", run["id"], "-o", "model.safetensors")
    told = json.loads(Path("model.json").read_text())["preprocessing"]
    assert (told["resize"], told["pad"], told["centre_crop"]) == (28, 2, 32)


@pytest.mark.parametrize("name", ["digits", "svhn"])
def test_pictures_of_a_published_set_are_seen_as_in_training(
    cli: Cli, small_data: Callable[..., Any], name: str
) -> None:
    words = ("--method", "original", "--steps", "4", "--imbalance", "1:1", *QUICK)
    few = ("--set", "original.batch_size=8", "--set", "original.lr=0.01")
    if name == "digits":
        bunch = load_digits()
        pixels = (bunch.images * 255 / 16).round().astype(np.uint8)
        labels, chosen = bunch.target, ~labels_and_split()[2]
        pixels, labels = pixels[chosen], labels[chosen]
    else:
        made = small_data(name, train=3, test=2)
        pixels, labels = made.pixels["test"].transpose(0, 2, 3, 1), made.labels["test"]
    (run,) = cli("run", name, *words, *few).json
    Path("pngs").mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(f"pngs/{i:04d}.png")
    table = read(cli("predict", run["id"], "pngs").out)
    names = table.header[2:]
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, [names.index(p) for p in table.predicted]), 1)
    assert run["metrics"]["confusion"] == confusion.tolist()
