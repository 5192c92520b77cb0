"""Source networks: a short training beats chance, and weights are read as they were written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dfgctl import ledger
from dfgctl.data.arrays import ImageArrays
from dfgctl.errors import InputError
from dfgctl.networks.backbones import backbone
from dfgctl.networks.weights import write as write_weights
from dfgctl.pretraining import pretrain, read_weights
from dfgctl.settings import SourceSettings

LENET5 = backbone("lenet5")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Train on one thread: small networks only wait for a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(classes: int = 10) -> dict[str, torch.Tensor]:
    """Random weights of LeNet-5 by name."""
    generator = torch.Generator().manual_seed(0)
    networks = {"E": LENET5.extractor(), "C": LENET5.classifier(classes)}
    return {
        f"{letter}.{name}": torch.randn(tensor.shape, generator=generator)
        for letter, network in networks.items()
        for name, tensor in network.state_dict().items()
    }


def short(steps: int, seed: int = 0) -> SourceSettings:
    return SourceSettings(steps=steps, batch_size=32, lr=1e-3, seed=seed)


def few(glyphs: ImageArrays) -> ImageArrays:
    return ImageArrays(glyphs.train, glyphs.train_labels, glyphs.test[::5], glyphs.test_labels[::5])


def test_a_short_training_on_glyphs_beats_chance(glyphs: ImageArrays) -> None:
    steps: list[int] = []
    trained, accuracy = pretrain(LENET5, few(glyphs), 10, short(80), CPU, steps.append)
    assert steps == list(range(1, 81))
    assert 0.3 < accuracy <= 1
    assert trained.classes == 10
    assert {n: t.shape for n, t in trained.state.items()} == {
        n: t.shape for n, t in weights().items()
    }
    # The accuracy is that of the weights that are handed over.
    extractor, classifier = LENET5.extractor(), LENET5.classifier(10)
    extractor.load_state_dict(trained.part("E"))
    classifier.load_state_dict(trained.part("C"))
    data = few(glyphs)
    pixels = torch.from_numpy(data.test).float() / 127.5 - 1
    with torch.no_grad():
        right = classifier(extractor(pixels)).argmax(1) == torch.from_numpy(data.test_labels)
    assert right.float().mean().item() == pytest.approx(accuracy, abs=0.011)


def test_a_source_network_depends_on_its_seed_alone(glyphs: ImageArrays) -> None:
    def train(seed: int) -> dict[str, torch.Tensor]:
        made, _ = pretrain(LENET5, few(glyphs), 10, short(2, seed), CPU, lambda _: None)
        return dict(made.state)

    first, other = train(0), train(1)
    torch.manual_seed(99)
    again = train(0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("classes", [10, 26])
def test_weights_are_read_as_they_were_written(tmp_path: Path, classes: int) -> None:
    file = tmp_path / "sources" / "weights.safetensors"
    written = weights(classes)
    write_weights(file, written)
    read = read_weights(file, LENET5)
    assert read.classes == classes
    assert set(read.state) == set(written)
    assert all(torch.equal(read.state[name], written[name]) for name in written)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_runs_own_weights_serve_as_a_source(tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    others = {"G.fc.weight": torch.zeros(3), "D.fc.bias": torch.zeros(1), "W": torch.zeros(6)}
    write_weights(file, weights() | others)
    assert set(read_weights(file, LENET5).state) == set(weights())


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all", b"PK\x03\x04" * 10])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "weights.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as safetensors") as error:
        read_weights(file, LENET5)
    assert str(file) in str(error.value)


def test_a_folder_in_the_place_of_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_weights(tmp_path, LENET5)


@pytest.mark.parametrize(
    "change",
    [
        {"E.conv.weight": torch.zeros(6, 1, 3, 3)},
        {"C.fc1.weight": torch.zeros(1024, 400)},
        {"C.head.bias": torch.zeros(26)},
        {"C.head.weight": torch.zeros(26, 84)},
        {"C.head.bias": torch.tensor(1.0)},
        {"E.extra.weight": torch.zeros(1)},
        {"E.conv.bias": None},
        {"C.head.bias": None},
    ],
)
def test_weights_of_other_networks_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor | None]
) -> None:
    file = tmp_path / "weights.safetensors"
    changed = weights() | change
    save_file({n: t for n, t in changed.items() if t is not None}, file)
    with pytest.raises(InputError, match="holds no weights of lenet5") as error:
        read_weights(file, LENET5)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(("given", "asked"), [("paper", "released"), ("released", "paper")])
def test_weights_of_the_other_reading_are_refused_with_what_makes_them_fit(
    tmp_path: Path, given: str, asked: str
) -> None:
    file = tmp_path / "weights.safetensors"
    networks = {r: backbone("lenet5", readings=ledger.readings(r, {})) for r in (given, asked)}
    state = {n: torch.zeros(shape) for n, shape in networks[given].expected(10).items()}
    save_file(state, file)
    assert read_weights(file, networks[given]).state.keys() == state.keys()
    with pytest.raises(InputError, match=f"--set fidelity.F09={given}"):
        read_weights(file, networks[asked])
