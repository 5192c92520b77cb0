"""What goes through the networks: whole, in parts, and up to a convolution and on from there."""

import copy

import pytest
import torch
import torch.nn.functional as F
from narrow import both, narrow, whole_resnet50
from torch import nn
from torchvision.models import resnet50, vgg

from dfgctl.networks.backbones import backbone
from dfgctl.networks.resnet50 import ResNet50Classifier, ResNet50Extractor

RESNET_SPLITS = ("block1", "block2", "block3", "block4")
CASES = [("lenet5", ""), ("vgg16", ""), *(("resnet50", split) for split in RESNET_SPLITS)]


def pictures(name: str, count: int = 2) -> torch.Tensor:
    torch.manual_seed(5)
    return torch.randn(count, 1 if name == "lenet5" else 3, 32, 32, dtype=torch.float64)


def noted(network: nn.Module, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Keep a copy of what each of these layers gives, whatever becomes of it later."""
    seen: dict[str, torch.Tensor] = {}

    def note(name: str):  # type: ignore[no-untyped-def]
        return lambda _, __, output: seen.__setitem__(name, output.clone())

    for name in names:
        network.get_submodule(name).register_forward_hook(note(name))
    return seen


# The whole network


@pytest.fixture(scope="module")
def imagenet() -> nn.Module:
    """torchvision's own ResNet-50, with random weights and statistics."""
    torch.manual_seed(0)
    whole = resnet50(weights=None)
    for norm in whole.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.8, 1.5)
    return whole.eval()


@pytest.mark.parametrize("split", RESNET_SPLITS)
@torch.no_grad()
def test_e_then_c_is_torchvisions_resnet50(imagenet: nn.Module, split: str):
    state = imagenet.state_dict()
    with torch.device("meta"):
        e, c = ResNet50Extractor(split), ResNet50Classifier(1000, split)
    assert set(e.state_dict()) | set(c.state_dict()) == set(state)
    assert not set(e.state_dict()) & set(c.state_dict())
    for part in (e, c):
        part.load_state_dict({n: state[n] for n in part.state_dict()}, assign=True)
        part.eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(c(e(x)), imagenet(x), rtol=1e-5, atol=1e-5)


def test_e_and_c_have_torchvisions_names_for_vgg16s_convolutions():
    with torch.device("meta"):
        e, c = backbone("vgg16").extractor(), backbone("vgg16").classifier(10)
        whole = vgg.vgg16(weights=None)
    ours = {**e.state_dict(), **c.state_dict()}
    assert set(ours) == set(whole.state_dict())
    for name, tensor in whole.state_dict().items():
        if name.startswith("features."):
            assert ours[name].shape == tensor.shape


@torch.no_grad()
def test_e_then_c_is_torchvisions_vgg16_with_table_a3s_dense_layers(
    monkeypatch: pytest.MonkeyPatch,
):
    e, c = both(narrow(monkeypatch, "vgg16"), 10)
    features = vgg.make_layers(vgg.cfgs["D"]).double()
    state = {**e.state_dict(), **c.state_dict()}
    features.load_state_dict(
        {n.removeprefix("features."): t for n, t in state.items() if n.startswith("features.")}
    )
    x = pictures("vgg16")
    h = F.adaptive_avg_pool2d(features(x), 7).flatten(1)
    for layer in ("0", "3", "6"):
        h = F.linear(h, state[f"classifier.{layer}.weight"], state[f"classifier.{layer}.bias"])
        h = h if layer == "6" else h.relu()
    torch.testing.assert_close(c(e(x)), h)


# Parts of it


@pytest.mark.parametrize(("name", "split"), CASES)
@torch.no_grad()
def test_maps_are_the_convolutions_own_output_and_nothing_overwrites_them(
    monkeypatch: pytest.MonkeyPatch, name: str, split: str
):
    network = narrow(monkeypatch, name, split)
    e, c = both(network, 3)
    x = pictures(name)
    whole = c(e(x))
    seen_c = noted(c, network.map_layers)
    features = e(x)
    if network.extractor_maps:
        seen_e = noted(e, network.extractor_maps)
        features, *inner = e(x, maps=True)
        assert len(inner) == len(network.extractor_maps)
        for layer, conv in zip(network.extractor_maps, inner, strict=True):
            assert torch.equal(conv, seen_e[layer])
    logits, *maps = c(features, maps=True)
    assert torch.equal(logits, whole)
    for layer, conv in zip(network.map_layers, maps, strict=True):
        assert torch.equal(conv, seen_c[layer])
        assert (conv < 0).any()


@pytest.mark.parametrize(("name", "split"), CASES)
@torch.no_grad()
def test_a_pass_that_is_stopped_and_resumed_is_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, name: str, split: str
):
    network = narrow(monkeypatch, name, split)
    e, c = both(network, 3)
    x = pictures(name)
    features = e(x)
    inner = {network.filter_layer, *network.extractor_maps}
    parts = [(e, x, layer) for layer in inner] + [(c, features, n) for n in network.map_layers]
    for part, entering, layer in parts:
        seen = noted(part, (layer,))
        whole = part(entering)
        conv, *beside = part(entering, stop=layer)
        assert torch.equal(conv, seen[layer])
        assert torch.equal(part(conv, *beside, resume=layer), whole)
        assert not torch.allclose(part(conv + 1, *beside, resume=layer), whole)


@pytest.mark.parametrize(("name", "split"), CASES)
@torch.no_grad()
def test_hidden_is_what_the_head_sees(monkeypatch: pytest.MonkeyPatch, name: str, split: str):
    network = narrow(monkeypatch, name, split)
    e, c = both(network, 3)
    features = e(pictures(name))
    logits, hidden = c(features, hidden=True)
    assert hidden.shape == (2, c.get_submodule(network.head).in_features)
    torch.testing.assert_close(c.get_submodule(network.head)(hidden), logits)
    assert torch.equal(logits, c(features))


@pytest.mark.parametrize(("name", "split"), CASES)
@torch.no_grad()
def test_a_bounded_head_sees_tanh_of_the_last_hidden_layer(
    monkeypatch: pytest.MonkeyPatch, name: str, split: str
):
    e, free = both(narrow(monkeypatch, name, split), 3)
    network = narrow(monkeypatch, name, split, bounded=True)
    _, c = both(network, 3)
    assert {n: t.shape for n, t in c.state_dict().items()} == {
        n: t.shape for n, t in free.state_dict().items()
    }
    c.load_state_dict(free.state_dict())
    features = 3 * e(pictures(name))
    logits, hidden = c(features, hidden=True)
    torch.testing.assert_close(hidden, torch.tanh(free(features, hidden=True)[1]))
    torch.testing.assert_close(c.get_submodule(network.head)(hidden), logits)


@pytest.mark.parametrize(("name", "split"), CASES)
@torch.no_grad()
def test_a_head_of_cosines_sees_directions_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, split: str
):
    e, plain = both(narrow(monkeypatch, name, split), 3)
    network = narrow(monkeypatch, name, split, cosine=True)
    _, c = both(network, 3)
    theirs, mine = plain.state_dict(), c.state_dict()
    assert set(theirs) - set(mine) == {f"{network.head}.bias"}
    others = [n for n in mine if not n.startswith(f"{network.head}.")]
    assert all(mine[n].equal(theirs[n]) for n in others)  # the first weights are the same
    rows = mine[f"{network.head}.weight"]
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3, dtype=torch.float64))
    logits, hidden = c(3 * e(pictures(name)), hidden=True)
    lengths = hidden.norm(dim=1)[:, None] * rows.norm(dim=1)
    torch.testing.assert_close(logits, 30 * hidden @ rows.T / lengths)
    c.get_submodule(network.head).weight.mul_(7)
    torch.testing.assert_close(c(3 * e(pictures(name))), logits)


@pytest.mark.parametrize("name", ["lenet5", "vgg16", "resnet50"])
def test_a_backward_pass_goes_through_what_maps_returns(monkeypatch: pytest.MonkeyPatch, name: str):
    """An activation in place would spoil the gradient of the map behind it."""
    network = narrow(monkeypatch, name)
    e, c = both(network, 3)
    for part in (e, c):
        part.train()
    logits, *maps = c(e(pictures(name, 4)), maps=True)
    (logits.sum() + sum(conv.square().sum() for conv in maps)).backward()
    for part in (e, c):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())


def test_the_narrow_networks_of_these_tests_have_the_names_of_the_full_ones(
    monkeypatch: pytest.MonkeyPatch,
):
    for name in ("vgg16", "resnet50"):
        full = backbone(name).expected(3)
        assert set(narrow(monkeypatch, name).expected(3)) == set(full)
    assert set(whole_resnet50().state_dict()) == {n[2:] for n in backbone("resnet50").expected(3)}


def test_networks_are_not_changed_by_an_evaluation(monkeypatch: pytest.MonkeyPatch):
    e, c = both(narrow(monkeypatch, "resnet50"), 3)
    before = copy.deepcopy(c.state_dict())
    c(e(pictures("resnet50")))
    assert all(torch.equal(t, before[n]) for n, t in c.state_dict().items())
