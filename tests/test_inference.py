"""A trained classifier as a file: read back, by us and by others, it gives the same numbers."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import lenet5
from narrow import narrow
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfgctl import inference
from dfgctl.data.views import VIEWS
from dfgctl.errors import InputError
from dfgctl.inference import Classifier, ClassifierCard, description, load, save, save_onnx
from dfgctl.ledger import Readings
from dfgctl.networks import vgg16
from dfgctl.networks.backbones import backbone

CARD = ClassifierCard(
    run="f" * 64,
    dataset="mine",
    method="dfg",
    backbone="lenet5",
    split="block1",
    bounded=False,
    released=(),
    classes=("Katze", "Hündchen", 'a "third"'),
    channels=1,
    resize=32,
    pad=0,
    crop=32,
)
RESNET50 = replace(CARD, backbone="resnet50", split="block2", channels=3, resize=40, pad=0, crop=32)
VGG16 = replace(CARD, backbone="vgg16", channels=3)


def random_state(card: ClassifierCard) -> dict[str, Tensor]:
    """Return weights of the size that training gives, and statistics that are not the first."""
    network = inference.backbone(
        card.backbone,
        card.split,
        Readings(frozenset(card.released)),
        card.bounded,
        card.cosine,
    )
    torch.manual_seed(0)
    parts = {"E": network.extractor(), "C": network.classifier(len(card.classes))}
    state = {f"{p}.{n}": t.clone() for p, m in parts.items() for n, t in m.state_dict().items()}
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.3)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return state


def pictures(card: ClassifierCard, count: int = 3) -> Tensor:
    side = torch.Generator().manual_seed(1)
    shape = (count, card.channels, card.resize, card.resize)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=side)


def cut(card: ClassifierCard, x: Tensor) -> Tensor:
    """Pad pictures with black and cut out their centre, by hand."""
    x = F.pad(x, (card.pad,) * 4)
    first = (x.shape[-1] - card.crop) // 2
    return x[:, :, first : first + card.crop, first : first + card.crop]


CARDS = {
    "lenet5": CARD,
    "difa": replace(CARD, bounded=True),
    "ldam": replace(CARD, cosine=True),
    "released widths": replace(CARD, released=("F09",)),
    "padded": replace(CARD, resize=28, pad=2),
    "two classes": replace(CARD, classes=("0", "1")),
}


# Numbers


@pytest.mark.parametrize("name", CARDS)
def test_probabilities_are_those_of_table_a1(name: str) -> None:
    card = CARDS[name]
    state = random_state(card)
    x = pictures(card)
    found = Classifier(card, state).probabilities(x)
    torch.testing.assert_close(found, lenet5(state, cut(card, x), card.bounded, card.cosine))
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    assert found.std(0).min() > 1e-5  # the picture matters


def test_probabilities_do_not_depend_on_the_other_pictures() -> None:
    for card in (CARD, RESNET50):
        made = Classifier(card, random_state(card))
        x = pictures(card)
        alone = torch.cat([made.probabilities(x[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(made.probabilities(x), alone, rtol=1e-4, atol=1e-6)


def test_dropout_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg16, "DENSE", (64, 32))
    card = replace(VGG16, released=("F27",))
    made = Classifier(card, random_state(card))
    plain = Classifier(
        VGG16, {n: t for n, t in made.state_dict().items() if n in expected_of(VGG16)}
    )
    x = pictures(card)
    assert torch.equal(made.probabilities(x), made.probabilities(x))
    torch.testing.assert_close(made.probabilities(x), plain.probabilities(x))


def expected_of(card: ClassifierCard) -> dict[str, Any]:
    return dict(backbone(card.backbone, card.split).expected(len(card.classes)))


def test_the_centre_is_what_is_shown() -> None:
    card = RESNET50
    made = Classifier(card, random_state(card))
    x = pictures(card)
    edge = x.clone()
    edge[:, :, :4] = edge[:, :, -4:] = 0
    edge[..., :4] = edge[..., -4:] = 0
    assert torch.equal(made.probabilities(x), made.probabilities(edge))
    uncropped = Classifier(replace(card, crop=card.resize), made.state_dict())
    assert not torch.equal(uncropped.probabilities(x), uncropped.probabilities(edge))


def test_weights_of_another_network_are_refused() -> None:
    state = random_state(CARD)
    del state["C.head.bias"]
    with pytest.raises(RuntimeError, match=r"head\.bias"):
        Classifier(CARD, state)


# Safetensors


@pytest.mark.parametrize(
    "card",
    [*CARDS.values(), RESNET50],
    ids=[*CARDS, "resnet50 block2"],
)
def test_what_is_saved_is_read_back_to_the_same_numbers(
    card: ClassifierCard, tmp_path: Path
) -> None:
    made = Classifier(card, random_state(card))
    save(made, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.card == card
    assert not again.training
    x = pictures(card)
    assert torch.equal(again.probabilities(x), made.probabilities(x))


@pytest.mark.parametrize("released", [(), ("F27",)])
def test_vgg16_is_read_back(
    released: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg16, "DENSE", (64, 32))
    card = replace(VGG16, released=released)
    made = Classifier(card, random_state(card))
    save(made, tmp_path / "model.safetensors")
    x = pictures(card)
    assert torch.equal(load(tmp_path / "model.safetensors").probabilities(x), made.probabilities(x))


def test_others_need_only_safetensors_and_the_description(tmp_path: Path) -> None:
    card = CARDS["padded"]
    made = Classifier(card, random_state(card))
    file = tmp_path / "model.safetensors"
    save(made, file)
    told = json.loads(json.dumps(description(made)))
    steps = told["preprocessing"]
    x = pictures(card)
    assert steps["mode"] == "L"
    assert x.shape[-1] == steps["resize"]
    shown = F.pad(x, (steps["pad"],) * 4)
    assert shown.shape[-1] == steps["centre_crop"]
    assert steps["scale"] == "pixel / 127.5 - 1"
    assert len(told["classes"]) == load_file(file)["C.head.bias"].numel()
    torch.testing.assert_close(made.probabilities(x), lenet5(load_file(file), shown))


def test_the_description_has_classes_and_preprocessing() -> None:
    made = Classifier(RESNET50, random_state(RESNET50))
    assert description(made) == {
        "format": "dfgctl classifier 1",
        "classes": CARD.classes,
        "preprocessing": {
            "mode": "RGB",
            "resize": 40,
            "interpolation": "bilinear",
            "pad": 0,
            "centre_crop": 32,
            "scale": "pixel / 127.5 - 1",
        },
        "run": "f" * 64,
        "dataset": "mine",
        "method": "dfg",
        "backbone": "resnet50",
        "split": "block2",
        "bounded": False,
        "released": (),
        "channels": 3,
        "cosine": False,
    }


def test_a_card_from_before_there_was_a_head_of_cosines_is_read(tmp_path: Path) -> None:
    state, file = random_state(CARD), tmp_path / "older.safetensors"
    card = {**asdict(CARD), "released": list(CARD.released), "classes": list(CARD.classes)}
    del card["cosine"]
    metadata = {"format": "pt", "dfgctl": json.dumps({"format": inference.FORMAT, "card": card})}
    save_file(state, file, metadata)
    again = load(file)
    assert again.card == CARD
    x = pictures(CARD)
    assert torch.equal(again.probabilities(x), Classifier(CARD, state).probabilities(x))


def test_a_file_without_a_card_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(random_state(CARD), file)
    with pytest.raises(InputError, match=r"weights\.safetensors is no classifier"):
        load(file)


@pytest.mark.parametrize(
    "metadata",
    [
        {"dfgctl": "no JSON"},
        {"dfgctl": "[]"},
        {"dfgctl": "{}"},
        {"dfgctl": '{"card": {}}'},
        {"dfgctl": '{"card": {"colour": 1}}'},
        {"other": "1"},
    ],
    ids=str,
)
def test_a_file_with_another_card_is_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    save_file(random_state(CARD), file, metadata)
    with pytest.raises(InputError, match=r"odd\.safetensors is no classifier"):
        load(file)


def test_a_file_that_is_broken_or_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load(file)
    save(Classifier(CARD, random_state(CARD)), file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load(file)


# ONNX


@pytest.fixture
def onnx_of(tmp_path: Path) -> Callable[[Classifier], Callable[[Tensor], np.ndarray]]:
    """Write a classifier as ONNX, to be run by another program."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")

    def make(classifier: Classifier) -> Callable[[Tensor], np.ndarray]:
        save_onnx(classifier, tmp_path / "model.onnx")
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
        session = runtime.InferenceSession(
            tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
        )
        assert [x.name for x in session.get_inputs()] == ["images"]
        assert [x.name for x in session.get_outputs()] == ["probabilities"]
        return lambda shown: session.run(None, {"images": shown.float().numpy()})[0]

    return make


@pytest.mark.parametrize("name", ["padded", "difa", "ldam"])
def test_onnx_gives_the_same_numbers_for_any_number_of_pictures(
    name: str, onnx_of: Callable[..., Any]
) -> None:
    card = CARDS[name]
    made = Classifier(card, random_state(card))
    other = onnx_of(made)
    for count in (1, 7):
        x = pictures(card, count)
        found = other(cut(card, x))
        assert found.shape == (count, 3)
        np.testing.assert_allclose(found, made.probabilities(x).numpy(), atol=1e-5)


@pytest.mark.parametrize(("name", "split"), [("vgg16", "block1"), ("resnet50", "block2")])
def test_onnx_has_batch_norms_statistics(
    name: str, split: str, onnx_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = narrow(monkeypatch, name, split)
    monkeypatch.setattr(inference, "backbone", lambda *_: few)
    card = replace(VGG16 if name == "vgg16" else RESNET50, split=split)
    made = Classifier(card, random_state(card))
    x = pictures(card, 3)
    np.testing.assert_allclose(
        onnx_of(made)(cut(card, x)), made.probabilities(x).numpy(), atol=1e-5
    )


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_extra_it_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    made = Classifier(CARD, random_state(CARD))
    with pytest.raises(InputError) as caught:
        save_onnx(made, tmp_path / "model.onnx")
    message = str(caught.value)
    assert message.startswith(f"Writing ONNX needs {package}: ")
    assert message.endswith("pip install 'dfgctl[onnx]'.")
    assert list(tmp_path.iterdir()) == []


def test_every_view_can_be_that_of_a_card() -> None:
    for view in VIEWS.values():
        card = replace(CARD, channels=view.channels, resize=view.stored, crop=view.crop)
        assert card.view() == replace(view, padding=0, flip=False)
