"""Weights in files: dfgctl's own, torchvision's, of another split, and what is refused."""

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch
from narrow import both, narrow
from safetensors import SafetensorError
from safetensors.torch import save_file

from dfgctl.errors import InputError
from dfgctl.ledger import Readings
from dfgctl.networks.backbones import backbone
from dfgctl.networks.weights import divided, read, write

State = dict[str, torch.Tensor]


def weights(network, classes: int = 7) -> State:  # type: ignore[no-untyped-def]
    """Random weights with dfgctl's names."""
    e, c = both(network, classes)
    state = {f"E.{n}": t for n, t in e.state_dict().items()}
    return {**state, **{f"C.{n}": t for n, t in c.state_dict().items()}}


def torchvisions(state: State) -> State:
    """The same weights with torchvision's names."""
    return {name[2:]: tensor for name, tensor in state.items()}


def assert_same(found: State, expected: State) -> None:
    assert set(found) == set(expected)
    assert all(torch.equal(found[n], expected[n]) for n in expected)


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
@pytest.mark.parametrize("ending", [".pth", ".pt", ".safetensors"])
def test_torchvisions_weights_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, ending: str
):
    network = narrow(monkeypatch, name)
    expected = weights(network)
    file = tmp_path / f"weights{ending}"
    if ending == ".safetensors":
        save_file(torchvisions(expected), file)
    else:
        torch.save(torchvisions(expected), file)
    found = divided(read(file), network)
    assert found is not None
    assert found[1] == 7
    assert_same(found[0], expected)


def test_a_state_dict_inside_a_checkpoint_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    network = narrow(monkeypatch, "resnet50")
    expected = weights(network)
    content = {"epoch": 3, "state_dict": {**torchvisions(expected), "note": "x"}}
    torch.save(content, tmp_path / "checkpoint.pth")
    found = divided(read(tmp_path / "checkpoint.pth"), network)
    assert found is not None
    assert_same(found[0], expected)


@pytest.mark.parametrize("split", ["block2", "block4"])
def test_weights_of_another_split_are_divided_anew(monkeypatch: pytest.MonkeyPatch, split: str):
    state = weights(narrow(monkeypatch, "resnet50"))
    other = narrow(monkeypatch, "resnet50", split)
    found = divided(state, other)
    assert found is not None
    assert set(found[0]) == set(other.expected(7))
    assert_same(torchvisions(found[0]), torchvisions(state))
    back = divided(found[0], narrow(monkeypatch, "resnet50"))
    assert back is not None
    assert_same(back[0], state)


def test_what_an_old_file_lacks_is_zero(monkeypatch: pytest.MonkeyPatch):
    network = narrow(monkeypatch, "resnet50")
    state = weights(network)
    old = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    for given in (old, torchvisions(old)):
        found = divided(given, network)
        assert found is not None
        assert_same(found[0], state)


def test_networks_that_a_run_trained_beside_it_are_left_out(monkeypatch: pytest.MonkeyPatch):
    network = narrow(monkeypatch, "resnet50")
    state = weights(network)
    beside = {"G.dense.weight": torch.zeros(3), "W_star": torch.zeros(2)}
    found = divided(state | beside, network)
    assert found is not None
    assert_same(found[0], state)


def test_weights_with_a_dropouts_state_serve_networks_with_and_without_it(
    monkeypatch: pytest.MonkeyPatch,
):
    plain = narrow(monkeypatch, "vgg16")
    dropping = narrow(monkeypatch, "vgg16", readings=Readings(frozenset({"F27"})))
    state = weights(dropping)
    assert "C.classifier.2.key" in state
    for network in (plain, dropping):
        found = divided(state, network)
        assert found is not None
        assert set(found[0]) == set(weights(plain))


@pytest.mark.parametrize(
    "change",
    [
        {"E.conv1.weight": torch.zeros(64, 3, 3, 3)},
        {"E.conv1.weight": None},
        {"E.bn1.running_mean": None},
        {"C.fc.bias": torch.zeros(8)},
        {"C.fc.bias": torch.tensor(1.0)},
        {"C.fc.bias": None},
        {"C.more.weight": torch.zeros(1)},
    ],
)
def test_weights_of_another_network_are_none_of_this_one(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, torch.Tensor | None]
):
    network = narrow(monkeypatch, "resnet50")
    changed = {n: t for n, t in (weights(network) | change).items() if t is not None}
    assert divided(changed, network) is None
    assert divided(torchvisions(changed), network) is None


def test_one_backbones_weights_are_none_of_anothers(monkeypatch: pytest.MonkeyPatch):
    networks = {name: narrow(monkeypatch, name) for name in ("lenet5", "vgg16", "resnet50")}
    for name, network in networks.items():
        state = weights(network)
        for other, given in networks.items():
            assert (divided(state, given) is not None) == (name == other)


def test_plain_names_of_lenet5_do_not_tell_e_from_c():
    lenet = backbone("lenet5")
    assert divided(torchvisions(weights(lenet)), lenet) is None


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run_it(tmp_path: Path):
    class Bad:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return os.mkdir, (str(tmp_path / "made"),)

    file = tmp_path / "bad.pth"
    file.write_bytes(pickle.dumps({"weight": Bad()}))
    with pytest.raises(InputError, match="cannot be read as weights"):
        read(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"no weights at all", None])
def test_a_pth_file_that_holds_no_state_dict_is_refused(tmp_path: Path, content: bytes | None):
    file = tmp_path / "weights.pth"
    if content is None:
        torch.save([1, 2], file)
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as weights") as error:
        read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_full_disk_is_told_by_its_number(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("dfgctl.networks.weights.save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "w.safetensors", {})
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
