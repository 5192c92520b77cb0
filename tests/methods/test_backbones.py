"""Methods on VGG-16 and ResNet-50: what is fixed, what is compared, and packs."""

import copy

import pytest
import torch
from narrow import narrow, small_context
from torch import nn

from dfgctl.losses import feature_distance
from dfgctl.methods.base import Schedule, optimizer
from dfgctl.methods.crt import Crt
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.ldam import Ldam
from dfgctl.methods.original import Original
from dfgctl.methods.smote import Smote
from dfgctl.networks.backbones import Backbone
from dfgctl.pack import Replicated, descend
from dfgctl.settings import PlainSettings

SGD = {"optimizer": "sgd", "lr_decay_step": 1}
DFG = {"n_D": 1, "n_C1": 1, "n_C2": 2, "n_W": 2, "batch_size": 4, "weight_images": 2}
DFG |= {"eta_E": 1e-5, "eta_C": 1e-5}
METHODS = {
    "original": lambda c, s: Original(c, s("original", **SGD)),
    "finetune": lambda c, s: Finetune(c, s("finetune", **SGD)),
    "delta": lambda c, s: Delta(c, s("delta", **SGD), s("reg", head_epochs=1, weight_batches=1)),
    "difa": lambda c, s: Difa(c, s("difa", steps=4, n_D=1, units=8, batch_size=4, **SGD)),
    # Small rates: what rounding makes different grows with them.
    "dfg": lambda c, s: Dfg(
        c,
        s("dfg", **DFG, **SGD),
        s("reg", head_epochs=1, weight_batches=1),
    ),
}
STAGES = {"steps": 3, "share_1": 0.4, "lr": 1e-3}
RIVALS = {
    "ldam": lambda c, s: Ldam(c, s("ldam", init="source", **STAGES, **SGD)),
    "crt": lambda c, s: Crt(c, s("crt", init="source", **STAGES, **SGD)),
    "smote": lambda c, s: Smote(c, s("smote", **STAGES, **SGD)),
}
"""Those that do more with a network than to train all of it."""


def made(monkeypatch: pytest.MonkeyPatch, name: str, method: str) -> Backbone:
    return narrow(monkeypatch, name, bounded=method == "difa", cosine=method == "ldam")


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_finetune_keeps_all_before_the_last_block_with_its_batch_norms(monkeypatch, settings, name):
    method = METHODS["finetune"](small_context(narrow(monkeypatch, name), [0]), settings)
    before = {letter: net.replica_state(0) for letter, net in method.networks().items()}
    for step in (1, 2):
        method.step(step)
        method.classify(method.batches.draw(0, 0)[0])
    after = {letter: net.replica_state(0) for letter, net in method.networks().items()}
    assert all(torch.equal(after["E"][n], t) for n, t in before["E"].items())
    moved = {n for n, t in before["C"].items() if not torch.equal(after["C"][n], t)}
    last = {
        "vgg16": ("features.24.", "features.26.", "features.28.", "classifier."),
        "resnet50": ("layer4.", "fc."),
    }[name]
    assert moved == {n for n in before["C"] if n.startswith(last)}


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_finetune_keeps_it_in_a_pack_too(monkeypatch, settings, name):
    method = METHODS["finetune"](small_context(narrow(monkeypatch, name), [0, 1]), settings)
    before = [method.C.replica_state(r) for r in range(2)]
    method.step(1)
    for r in range(2):
        for key, value in method.C.replica_state(r).items():
            fixed = key.startswith(method.fixed)
            assert torch.equal(value, before[r][key]) == fixed, key


def test_delta_compares_the_last_convolutions_of_all_four_blocks(monkeypatch, settings):
    method = METHODS["delta"](small_context(narrow(monkeypatch, "resnet50"), [0]), settings)
    reg = method.regulariser
    assert [w.shape[1] for w in reg._weights] == [16, 32, 64, 128]

    def convs(extractor: nn.Module, classifier: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []
        layers = [
            part.get_submodule(f"{block}.conv3")
            for part, block in (
                (extractor, "layer1.2"),
                (classifier, "layer2.3"),
                (classifier, "layer3.5"),
                (classifier, "layer4.2"),
            )
        ]
        hooks = [
            c.register_forward_hook(lambda _, __, out: seen.append(out.clone())) for c in layers
        ]
        classifier(extractor(x))
        for hook in hooks:
            hook.remove()
        return seen

    mine = [copy.deepcopy(network.network) for network in (method.E, method.C)]
    source = [network.network for network in (reg.E_S, reg.C_S)]
    x, _ = method.batches.draw(1, 0)
    with torch.no_grad():
        pairs = zip(convs(*mine, x[0]), convs(*source, x[0]), reg._weights, strict=True)
        distance = sum(float(feature_distance(a[None], b[None], w)) for a, b, w in pairs)
        head = mine[1].fc
        square = float((head.weight**2).sum() + (head.bias**2).sum())
    omega = method.step(1)["omega"]
    assert distance > 0
    assert omega.item() == pytest.approx(0.01 * distance + 0.01 * 0.5 * square)


def test_dfg_compares_e_by_its_output_there(monkeypatch, settings):
    method = METHODS["dfg"](small_context(narrow(monkeypatch, "resnet50"), [0]), settings)
    assert [w.shape[1] for w in method.regulariser._weights] == [16, 32, 64, 128]
    x, _ = method.batches.draw(1, 0)
    with torch.no_grad():
        ((compared,), outer) = method.regulariser.source_maps(x)
        assert torch.equal(compared, method.regulariser.E_S(x))
    assert [m.shape[2] for m in outer] == [32, 64, 128]


def test_resnet50_has_a_new_head_even_where_class_counts_agree(monkeypatch, settings):
    for name in ("vgg16", "resnet50"):
        network = narrow(monkeypatch, name)
        context = small_context(network, [0, 1])
        method = METHODS["finetune"](context, settings)
        heads = [method.C.replica_state(r)[f"{network.head}.weight"] for r in range(2)]
        theirs = context.source.part("C")[f"{network.head}.weight"]
        assert [torch.equal(head, theirs) for head in heads] == [name == "vgg16"] * 2


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
@pytest.mark.parametrize("method", [*METHODS, *RIVALS])
def test_a_pack_of_two_equals_two_packs_of_one(monkeypatch, settings, method, name):
    network = made(monkeypatch, name, method)
    source = small_context(network, [0]).source
    make = {**METHODS, **RIVALS}[method]
    packed = make(small_context(network, [0, 1], source=source), settings)
    losses = [packed.step(step) for step in (1, 2)]
    for r in range(2):
        alone = make(small_context(network, [r], source=source), settings)
        for step in (1, 2):
            for key, value in alone.step(step).items():
                torch.testing.assert_close(losses[step - 1][key][r], value[0], rtol=1e-6, atol=1e-8)
        mine, theirs = alone.weights(0), packed.weights(r)
        assert set(mine) == set(theirs)
        for key, value in mine.items():
            torch.testing.assert_close(theirs[key], value, rtol=1e-5, atol=1e-7, msg=key)


# Optimisers and schedules


def plain(**changes) -> PlainSettings:
    return PlainSettings(steps=9, batch_size=2, lr=0.1, **changes)


def line(replicas: int = 1) -> Replicated:
    torch.manual_seed(0)
    return Replicated([nn.Linear(3, 1, bias=False).double() for _ in range(replicas)])


def test_sgd_goes_down_with_momentum_and_a_tenth_of_the_rate_after_the_step():
    network, x = line(), torch.tensor([[[1.0, 2.0, -1.0]]], dtype=torch.float64)
    sgd = optimizer(network, 0.1, plain(optimizer="sgd", momentum=0.8))
    schedule = Schedule(2, sgd)
    weight = network.tensor("weight")[0].detach().clone()
    velocity = torch.zeros_like(weight)
    for step, rate in ((1, 0.1), (2, 0.1), (3, 0.01), (4, 0.01)):
        schedule.at(step)
        gradient = 2 * (weight @ x[0, 0]) * x[0]
        velocity = 0.8 * velocity + gradient
        weight = weight - rate * velocity
        descend(sgd, network(x).square().sum(dim=(1, 2)))
        torch.testing.assert_close(network.tensor("weight")[0].detach(), weight)


def test_a_rate_depends_on_the_step_alone():
    sgd, other = (torch.optim.SGD(line().parameter_list(), lr=lr) for lr in (0.1, 0.3))
    schedule = Schedule(20_000, sgd, other)
    for step, share in ((1, 1), (20_001, 0.1), (20_000, 1), (40_000, 0.1), (40_000, 0.1)):
        schedule.at(step)
        rates = [o.param_groups[0]["lr"] for o in (sgd, other)]
        assert rates == pytest.approx([0.1 * share, 0.3 * share])


def test_without_a_step_a_rate_never_falls():
    sgd = torch.optim.SGD(line().parameter_list(), lr=0.1)
    Schedule(0, sgd).at(10**9)
    assert sgd.param_groups[0]["lr"] == 0.1


def test_adam_has_the_settings_decay_rates_and_only_what_is_wanted():
    torch.manual_seed(0)
    network = Replicated([nn.Linear(3, 1).double() for _ in range(2)])
    adam = optimizer(network, 0.1, plain(), wanted=lambda name: name == "bias")
    assert isinstance(adam, torch.optim.Adam)
    (group,) = adam.param_groups
    assert (group["lr"], group["betas"]) == (0.1, (0.5, 0.9))
    assert [p.shape for p in group["params"]] == [(2, 1)]


@pytest.mark.parametrize("method", ["original", "finetune", "delta", "dfg"])
def test_every_method_follows_its_schedule(monkeypatch, settings, method):
    network = narrow(monkeypatch, "vgg16")
    trained = METHODS[method](small_context(network, [0]), settings)
    found = [o for o in vars(trained).values() if isinstance(o, torch.optim.SGD)]
    found += getattr(trained, "optimizers", [])
    rates = []
    for step in (1, 2, 3):
        trained.step(step)
        rates.append({o.param_groups[0]["lr"] for o in found})
    assert found
    assert rates[1] == rates[2] == {rate * 0.1 for rate in rates[0]}
