"""Every switch of the ledger changes what it should and nothing else."""

import copy
import importlib.util
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from specs import spec
from torch import nn

from dfgctl import attention, ledger, losses, seeding
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.batches import Batches, Images
from dfgctl.data.imbalance import Ratio, class_counts, first_counts, random_combination, subset
from dfgctl.data.views import VIEWS
from dfgctl.evaluation import Evaluator
from dfgctl.events import Done, Evaluated
from dfgctl.ledger import SWITCHES, Readings
from dfgctl.methods import dfg as dfg_module
from dfgctl.methods.base import SourceWeights
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.regulariser import Regulariser
from dfgctl.networks.backbones import backbone, seeded
from dfgctl.networks.discriminator import Discriminator, discriminator
from dfgctl.networks.dropout import StreamDropout
from dfgctl.networks.generator import Deconv, Generator, Shape, generator
from dfgctl.networks.lenet5 import LeNet5Extractor
from dfgctl.networks.vgg16 import Vgg16Classifier
from dfgctl.pack import Replicated
from dfgctl.report.selection import accuracy_of
from dfgctl.training import Trainer, train

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).parent / "oracle.py")
assert _spec is not None
oracle = importlib.util.module_from_spec(_spec)
assert _spec.loader is not None
_spec.loader.exec_module(oracle)

ALL = ledger.readings("released", {})
CPU = torch.device("cpu")
FAST = {"n_D": 2, "n_C1": 1, "n_C2": 2, "n_W": 2, "batch_size": 8}


def released(*switches: str) -> Readings:
    """Read these switches as the released code does, and the others as the paper."""
    assert set(switches) <= set(SWITCHES)
    return Readings(frozenset(switches))


@pytest.fixture
def pack(context):
    """Makes a context with readings, and a source that fits its network."""

    def make(readings: Readings, replicas: range = range(1)):
        lenet = backbone("lenet5", readings=readings)
        parts = {
            "E": seeded(lenet.extractor, 1, "E"),
            "C": seeded(lambda: lenet.classifier(10), 1, "C"),
        }
        state = {f"{n}.{k}": v for n, net in parts.items() for k, v in net.state_dict().items()}
        return replace(
            context(replicas),
            backbone=lenet,
            source=SourceWeights(state, 10),
            readings=readings,
        )

    return make


@pytest.fixture
def dfg(pack, settings):
    """Makes a Dfg with readings."""

    def make(readings: Readings, replicas: range = range(1), **changes) -> Dfg:
        return Dfg(
            pack(readings, replicas),
            settings("dfg", **{**FAST, **changes}),
            settings("reg", weight_batches=1),
        )

    return make


def updates(method: Dfg, replica: int = 0) -> list[int]:
    """Return the steps at which a replica got filter weights."""
    return method.extra_state(replica)["W_history_steps"].tolist()


def without_norms(network: Generator) -> Generator:
    """Make batch norms the identity (in evaluation mode)."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eps = 0.0
    return network.double().eval()


# The filter weights by hand: F01, F03, F04, F06


class TinyExtractor(nn.Module):
    """Two filters that both pass the pixel on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, x: torch.Tensor, stop: str = "", resume: str = ""):
        conv = x if resume else self.conv(x)
        return (conv,) if stop else conv


class TinyClassifier(nn.Module):
    """Logits ln(2) of filter 1 plus ln(4) of filter 2 for class 0, and 0 for class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[math.log(2), math.log(4)], [0.0, 0.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


@pytest.mark.parametrize("training", [False, True])
def test_f01_turns_the_sign_of_eq_5(training):
    """One pixel of 1, class 0: its loss is ln(1 + exp(-margin)).

    Whole: margin ln 8, loss ln(9/8). Without filter 1: ln 4, ln(5/4), a gap of ln(10/9). Without
    filter 2: ln 2, ln(3/2), a gap of ln(12/9). Eq. 5, the paper: (10, 12) / 22; times 2 filters
    10/11 and 12/11. Turned: (9/10, 9/12) / (33/20), times 2: 12/11 and 10/11.
    """
    E, C = Replicated([TinyExtractor().double()]), Replicated([TinyClassifier().double()])
    for network in (E, C):
        network.train(training)
    image = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    batch = (image, torch.tensor([[0]]), torch.tensor([[True]]))
    for sign, expected in ((1, [10 / 11, 12 / 11]), (-1, [12 / 11, 10 / 11])):
        weights = attention.filter_weights(E, C, "E.conv", [batch], 2, sign)
        assert weights[0, 0].tolist() == pytest.approx(expected, rel=1e-7)
        assert weights[0, 1].tolist() == [1.0, 1.0]


def test_f01_turns_dfgs_filter_weights_and_its_regulariser_of_e_alone(dfg):
    """Channel weights are softmax(w / 5): turned, they are in the inverse ratios, 1/w."""
    paper, turned = dfg(released()), dfg(released("F01"))
    x, y, _ = next(paper.batches.sweep(1000))
    E, C = (n.network for n in (paper.regulariser.E_S, paper.regulariser.C_S))
    expected = oracle.filter_weights(E, C, x[0], y[0], 10, sign=-1)
    torch.testing.assert_close(turned.W_source[0], expected)
    assert not torch.allclose(paper.W_source[0], expected)
    (e, c), (turned_e, turned_c) = paper.regulariser._weights, turned.regulariser._weights
    torch.testing.assert_close(turned_e, (1 / e) / (1 / e).sum())
    assert not torch.allclose(turned_e, e)
    assert torch.equal(turned_c, c)


def test_f01_leaves_delta_alone(pack, settings):
    plain, turned = (
        Delta(pack(r), settings("delta"), settings("reg")) for r in (released(), released("F01"))
    )
    for mine, theirs in zip(plain.regulariser._weights, turned.regulariser._weights, strict=True):
        assert torch.equal(mine, theirs)


W_SOURCE = [0.88, 0.92, 0.96, 1.00, 1.04, 1.20]
W_TARGET = [1.20, 1.04, 0.97, 0.93, 0.91, 0.95]


@pytest.fixture
def selected(dfg, monkeypatch):
    """Gives W* first, and after one update, where Eq. 6 gives W_SOURCE and then W_TARGET."""

    def make(*switches: str, rho: float = 0.25, delta: float = 1.0):
        given = iter([W_SOURCE, W_TARGET])
        monkeypatch.setattr(
            dfg_module,
            "filter_weights",
            lambda *_, **__: torch.tensor([[next(given)] * 10], dtype=torch.float64),
        )
        method = dfg(released(*switches), rho=rho, delta=delta)
        first = method.W_star.clone()
        method._update_weights(2)
        rows = torch.stack([first[0], method.W_star[0]])  # (2, K, n_f)
        assert torch.equal(rows, rows[:, :1].expand_as(rows))
        return rows[0, 0].tolist(), rows[1, 0].tolist()

    return make


def test_the_papers_reading_of_eq_5_to_7(selected):
    """0.25 W_SOURCE + 0.75 W_TARGET = 1.12, 1.01, 0.9675, 0.9475, 0.9425, 1.0125; delta is 1."""
    first, later = selected()
    assert first == pytest.approx([0, 0, 0, 0, 1.04, 1.20])
    assert later == pytest.approx([1.12, 1.01, 0, 0, 0, 1.0125])


def test_f03_takes_two_constants_whatever_delta_is(selected):
    """Of W_SOURCE, 0.92 and more are above 0.90; of the mix, 0.9675 and more are above 0.95."""
    for delta in (0.0, 1.0, 2.0):
        first, later = selected("F03", delta=delta)
        assert first == pytest.approx([0, 0.92, 0.96, 1.00, 1.04, 1.20])
        assert later == pytest.approx([1.12, 1.01, 0.9675, 0, 0, 1.0125])


def test_f04_divides_what_is_kept_by_the_number_of_filters(selected):
    """The weights of the paper's reading over 6; the threshold comes first."""
    first, later = selected("F04")
    assert first == pytest.approx([0, 0, 0, 0, 0.52 / 3, 0.20])
    assert later == pytest.approx([0.56 / 3, 0.505 / 3, 0, 0, 0, 0.16875])


def test_f06_takes_the_targets_weights_alone(selected):
    """Of W_TARGET, 1.20 and 1.04 are above delta, 1."""
    for rho in (0.0, 0.25, 1.0):
        first, later = selected("F06", rho=rho)
        assert first == pytest.approx([0, 0, 0, 0, 1.04, 1.20])
        assert later == pytest.approx([1.20, 1.04, 0, 0, 0, 0])


# G and D by hand: F04 and F05 on G's output, F08, F24


def last_layer(*switches: str) -> Generator:
    """Make a generator of one channel and one 4x4 map whose values are tanh(first noise number)."""
    network = Generator(Shape(1, (Deconv(1, 1),)), 1, 1, readings=released(*switches)).double()
    network.dense_norm.eval()
    network.dense_norm.eps = 0.0
    network.norm1.eps = 1e-15
    with torch.no_grad():
        network.dense.weight.copy_(torch.tensor([[1.0, 0.0]]).expand(16, -1))
        network.deconv1.weight.fill_(1.0)
    return network


@torch.no_grad()
def generated(network: Generator, noise: list[float], weights: list[float]) -> list[float]:
    """Generate one map for each noise number, all of whose pixels are equal; one pixel of each."""
    z, w = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (noise, weights))
    maps = network(z, torch.zeros_like(z), w).flatten(1)
    assert torch.equal(maps, maps[:, :1].expand_as(maps))
    return maps[:, 0].tolist()


def test_f05_weighs_after_the_last_norm_instead_of_before():
    """Two maps of t and -t, t = tanh(0.5), whose classes weigh 0 and 2.

    The paper: norm of (0, -2t), mean -t and deviation t, is (1, -1): a map that is switched off is
    a constant, not 0. Released: norm of (t, -t) is (1, -1), weighed (0, -2).
    """
    assert generated(last_layer(), [0.5, -0.5], [0, 2]) == pytest.approx([1, -1])
    assert generated(last_layer("F05"), [0.5, -0.5], [0, 2]) == pytest.approx([0, -2])


def test_f04_reaches_gs_output_only_where_f05_lets_it():
    """Weights (3, 1) and a sixth of them, on maps of t and -t.

    The paper's F05: 3t and -t, mean t and deviation 2t, are (1, -1), and so they are at a sixth:
    the norm cancels a common scale. F05 released: (1, -1) times the weights.
    """
    whole, sixth = [3.0, 1.0], [0.5, 1 / 6]
    assert generated(last_layer(), [0.5, -0.5], whole) == pytest.approx([1, -1])
    assert generated(last_layer(), [0.5, -0.5], sixth) == pytest.approx([1, -1])
    assert generated(last_layer("F05"), [0.5, -0.5], whole) == pytest.approx([3, -1])
    assert generated(last_layer("F05"), [0.5, -0.5], sixth) == pytest.approx([0.5, -1 / 6])


def test_f04_scales_dfgs_generated_features_by_the_filters(dfg):
    def features(*switches: str) -> torch.Tensor:
        method = dfg(released(*switches), delta=0.999)
        with torch.no_grad():
            return method._generate(*method._noise(1, 0))

    torch.testing.assert_close(features("F04", "F05"), features("F05") / 6)
    torch.testing.assert_close(features("F04"), features(), rtol=0.02, atol=0.02)
    assert not torch.allclose(features("F05"), features(), atol=0.1)


def test_f08_makes_the_critic_affine():
    """One path of weights 1 through D: -1 becomes -1 * 0.2^3 = -0.008, or stays -1; 1 stays 1."""
    for readings, expected in ((released(), -0.008), (released("F08"), -1.0)):
        D = Discriminator(1, 1, readings=readings).double()
        with torch.no_grad():
            for parameter in D.parameters():
                parameter.zero_()
            for conv in (D.conv1, D.conv2, D.conv3):
                conv.weight[0, 0, 2, 2] = 1.0
            D.dense.weight[0, 0] = 1.0
            pixels = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1)
            assert D(pixels).tolist() == pytest.approx([expected, 1.0])


def hidden_layer(*switches: str) -> float:
    """Give G's only pixel after one hidden layer: the value -1, and a norm of 2x + 1."""
    network = Generator(Shape(1, (Deconv(1, 1), Deconv(1, 1))), 1, 1, readings=released(*switches))
    without_norms(network)
    with torch.no_grad():
        network.dense.weight.zero_()
        network.dense.bias.fill_(-1.0)
        for deconv in (network.deconv1, network.deconv2):
            deconv.weight.fill_(1.0)
        network.norm1.weight.fill_(2.0)
        network.norm1.bias.fill_(1.0)
        one = torch.ones(1, 1, dtype=torch.float64)
        return math.atanh(float(network(one, one, one)[0, 0, 0, 0]))


def test_f08_and_f24_in_gs_hidden_layer():
    """The paper: 2 lReLU(-1) + 1 = 0.6. F24, the norm first: lReLU(2 * -1 + 1) = -0.2.

    F08, slope 1: 2 * -1 + 1 = -1 in either order.
    """
    assert hidden_layer() == pytest.approx(0.6)
    assert hidden_layer("F24") == pytest.approx(-0.2)
    assert hidden_layer("F08") == pytest.approx(-1.0)
    assert hidden_layer("F08", "F24") == pytest.approx(-1.0)


def test_dfgs_g_and_d_are_read_so(dfg):
    plain, method = dfg(released()), dfg(released("F05", "F08", "F24"))
    assert (plain.G.module.slope, plain.D.module.slope) == (0.2, 0.2)
    assert not plain.G.module.norm_first
    assert not plain.G.module.weight_last
    assert (method.G.module.slope, method.D.module.slope) == (1.0, 1.0)
    assert method.G.module.norm_first
    assert method.G.module.weight_last
    for letter in "GD":
        ours, theirs = (m.networks()[letter].replica_state(0) for m in (plain, method))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# F07, F09


def test_f07_updates_only_replicas_whose_last_loss_of_e_is_below_a_twentieth(dfg):
    last = torch.tensor([0.049, 0.051], dtype=torch.float64)
    paper, method = (dfg(r, range(2)) for r in (released(), released("F07")))
    before = {m: (m.W.clone(), m.W_star.clone()) for m in (paper, method)}
    for each in (paper, method):
        with torch.no_grad():
            each.E.tensor("conv.weight").mul_(1.5)
        each.loss_E = last
        each._update_weights(2)
    moved = {m: [not torch.equal(m.W[r], before[m][0][r]) for r in range(2)] for m in before}
    assert moved == {paper: [True, True], method: [True, False]}
    assert torch.equal(method.W[0], paper.W[0])
    assert torch.equal(method.W_star[1], before[method][1][1])


def test_f07_keeps_the_first_weights_where_e_was_never_trained(dfg):
    method = dfg(released("F07"), n_C1=100, n_W=1)
    for step in (1, 2):
        method.step(step)
    assert updates(method) == [0]
    assert method.W is method.W_source
    paper = dfg(released(), n_C1=100, n_W=1)
    for step in (1, 2):
        paper.step(step)
    assert updates(paper) == [0, 1, 2]


def test_f07_looks_at_es_loss_with_its_regulariser(dfg, settings):
    method = dfg(released("F07"))
    losses = method.step(1)
    assert torch.equal(method.loss_E, losses["L_E"])
    x, y = method.batches.draw(2, 2)
    with torch.no_grad():
        features = method.E(x)
        entropy = F.cross_entropy(method.C(features)[0], y[0])
        omega = method.regulariser.extractor_term((features,), method.regulariser.source_maps(x))
    method._update_E_and_C(x, y, method.regulariser.source_maps(x))
    assert float(omega[0]) > 0
    assert float(method.loss_E[0]) == pytest.approx(float(entropy + omega[0]))


def test_f07_keeps_a_replicas_history_its_own(dfg):
    method = dfg(released("F07"), range(2))
    method.loss_E = torch.tensor([0.04, 0.3], dtype=torch.float64)
    method._update_weights(2)
    assert updates(method, 0) == [0, 2]
    assert updates(method, 1) == [0]
    assert method.extra_state(1)["W_history"].shape == (1, 10, 6)


def test_f09_widens_lenet5s_dense_layers_and_nothing_else():
    widths = {}
    for readings in (released(), released("F09")):
        shapes = backbone("lenet5", readings=readings).expected(10)
        widths["F09" in readings] = [shapes[f"C.{name}.weight"] for name in ("fc1", "fc2", "head")]
        assert shapes["E.conv.weight"] == (6, 1, 5, 5)
        assert shapes["C.conv.weight"] == (16, 6, 5, 5)
    assert widths[False] == [(120, 400), (84, 120), (10, 84)]
    assert widths[True] == [(1024, 400), (128, 1024), (10, 128)]
    assert backbone("lenet5", readings=released("F09")).hidden == 128
    everything_else = Readings(ALL.released - {"F09"})
    assert backbone("lenet5", readings=everything_else).hidden == 84


# F11


def gradients(adam: torch.optim.Adam) -> list[torch.Tensor]:
    """Return the gradients of an optimiser's first step: its first moments are a share of them."""
    (group,) = adam.param_groups
    return [adam.state[p]["exp_avg"] / (1 - group["betas"][0]) for p in group["params"]]


def test_f11_trains_e_and_c_on_one_joint_loss(dfg):
    """E's gradient holds cross-entropy twice and C's feature distance, C's has no E's term."""
    method = dfg(released("F11"))
    E, C = (copy.deepcopy(n.network) for n in (method.E, method.C))
    x, y = method.batches.draw(1, 2)
    (source,), (source_conv,) = method.regulariser.source_maps(x)
    w_E, w_C = (w[0] for w in method.regulariser._weights)
    method._update_E_and_C(x, y, method.regulariser.source_maps(x))

    features = E(x[0])
    logits, conv = C(features, maps=True)
    entropy = F.cross_entropy(logits, y[0])
    omega_E = 0.01 * oracle.distance(features, source[0], w_E)
    omega_C = 0.01 * oracle.distance(conv, source_conv[0], w_C)
    square = 0.005 * (C.head.weight.square().sum() + C.head.bias.square().sum())
    (2 * entropy + omega_E + omega_C + square).backward()
    for adam, plain in ((method.optimizer_E, E), (method.optimizer_C, C)):
        for got, parameter in zip(gradients(adam), plain.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad)


def test_without_f11_e_and_c_each_go_down_their_own_loss(dfg):
    """Eq. 3 for E; then Eq. 4a for C, on the features of the new E."""
    method = dfg(released())
    E, C = (copy.deepcopy(n.network) for n in (method.E, method.C))
    x, y = method.batches.draw(1, 2)
    (source,), (source_conv,) = method.regulariser.source_maps(x)
    w_E, w_C = (w[0] for w in method.regulariser._weights)
    method._update_E_and_C(x, y, method.regulariser.source_maps(x))

    features = E(x[0])
    omega = 0.01 * oracle.distance(features, source[0], w_E)
    (F.cross_entropy(C(features), y[0]) + omega).backward()
    C.zero_grad()
    logits, conv = C(method.E.network(x[0]).detach(), maps=True)
    square = 0.005 * (C.head.weight.square().sum() + C.head.bias.square().sum())
    omega = 0.01 * oracle.distance(conv, source_conv[0], w_C) + square
    (F.cross_entropy(logits, y[0]) + omega).backward()
    for adam, plain in ((method.optimizer_E, E), (method.optimizer_C, C)):
        for got, parameter in zip(gradients(adam), plain.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad)


# F12, F13


def real_batches(method: Dfg, steps: range, monkeypatch) -> dict[int, list[torch.Tensor]]:
    """Train, and return each step's real batches: the critic's, then that of lines 11 to 20."""
    seen: dict[int, list[torch.Tensor]] = {}
    update_D, update_E = method._update_D, method._update_E_and_C

    def watch_D(x, z, y_hat, step, t):
        seen.setdefault(step, []).append(x[0])
        return update_D(x, z, y_hat, step, t)

    def watch_E(x, y, source_maps):
        seen[max(seen)].append(x[0])
        return update_E(x, y, source_maps)

    monkeypatch.setattr(method, "_update_D", watch_D)
    monkeypatch.setattr(method, "_update_E_and_C", watch_E)
    for step in steps:
        method.step(step)
    return seen


def test_f12_slides_a_window_of_batches_by_one_a_step(dfg, monkeypatch):
    method = dfg(released("F12"), n_D=3, n_W=100)
    seen = real_batches(method, range(1, 5), monkeypatch)
    for step, (*window, used) in seen.items():
        assert len(window) == 3
        assert torch.equal(used, window[0])
        if step > 1:
            before = seen[step - 1][:-1]
            assert all(torch.equal(a, b) for a, b in zip(window, before[1:], strict=False))
            assert not any(torch.equal(window[-1], b) for b in before)


def test_without_f12_every_batch_is_a_fresh_one(dfg, monkeypatch):
    seen = real_batches(dfg(released(), n_D=3, n_W=100), range(1, 4), monkeypatch)
    batches = [x for each in seen.values() for x in each]
    assert len(batches) == 12
    for i, x in enumerate(batches):
        assert not any(torch.equal(x, other) for other in batches[:i])


@pytest.fixture
def weighed(pack, settings, digits, monkeypatch):
    """Gives the images whose filters are weighed at the start and in updates, from 15 a class."""

    def make(*switches: str, **changes) -> list[tuple[torch.Tensor, torch.Tensor]]:
        c = pack(released(*switches))
        kept = np.concatenate([np.flatnonzero(digits.train_labels == k)[:15] for k in range(10)])
        batches = Batches(c.batches.images, [kept], c.run_keys, 8, torch.float64)
        seen = []

        def watch(E, C, layer, sweep, classes, sign=1):
            parts = [(x[real], y[real]) for x, y, real in sweep]
            seen.append(tuple(torch.cat(p) for p in zip(*parts, strict=True)))
            return torch.ones(1, 10, 6, dtype=torch.float64)

        monkeypatch.setattr(dfg_module, "filter_weights", watch)
        values = {**FAST, "n_W": 1, "n_D": 1, "n_C1": 100, **changes}
        method = Dfg(replace(c, batches=batches), settings("dfg", **values), settings("reg"))
        for step in (1, 2):
            method.step(step)
        return seen

    return make


def pictures(x: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in x}


def test_f13_takes_ten_images_of_each_class_anew_at_each_update(weighed):
    for images in (0, 3):
        seen = weighed("F13", weight_images=images)
        assert [Counter(y.tolist()) for _, y in seen] == [Counter(dict.fromkeys(range(10), 10))] * 3
        sets = [pictures(x) for x, _ in seen]
        assert sets[0] != sets[1] != sets[2] != sets[0]


def test_without_f13_all_images_are_taken_or_the_first_weight_images(weighed):
    seen = weighed()
    assert [len(y) for _, y in seen] == [150] * 3
    few = weighed(weight_images=3)
    assert [Counter(y.tolist()) for _, y in few] == [Counter(dict.fromkeys(range(10), 3))] * 3
    for each in (seen, few):
        assert pictures(each[0][0]) == pictures(each[1][0]) == pictures(each[2][0])


# F14, F15, F16, F29: what is reported, and which images there are


COUNTS = class_counts([87] * 10, (0, 4), Ratio.parse("10:1"), 80)


def test_f14_reports_the_best_evaluation_while_the_last_weights_are_saved(digits):
    """The run itself is the same under both readings: only what is shown of it differs."""

    class Shown:
        def __init__(self, spec, metrics):
            self.spec, self.metrics = spec, metrics

    digits = replace(digits, test=digits.test[:90], test_labels=digits.test_labels[:90])
    ends = {}
    for reading in ledger.PROTOCOLS:
        made = spec(
            steps=12, eval_every=2, own={"lr": 0.05}, sections={"fidelity": {"F14": reading}}
        )
        *events, done = train([made], [COUNTS], digits, None, CPU)
        assert isinstance(done, Done)
        curve = [e.measurements[0].accuracy for e in events if isinstance(e, Evaluated)]
        assert max(curve) > curve[-1]
        ends[reading] = (done.weights[0], accuracy_of(Shown(made, done.metrics[0])), curve)
    (last, shown, curve), (other_last, other_shown, other_curve) = ends.values()
    assert shown == curve[-1]
    assert other_shown == max(curve)
    assert curve == other_curve
    assert all(torch.equal(last[name], other_last[name]) for name in last)


def first_images(trainer: Trainer) -> tuple[int, ...]:
    batches = trainer.method.context.first_batches
    if batches is None:
        return ()
    return tuple(batches.class_counts(10)[0].tolist())


def test_f15_gives_the_first_weights_other_majority_classes(digits, source):
    def trainer(fidelity: dict[str, str], **changes) -> Trainer:
        made = spec("dfg", sections={"fidelity": fidelity}, **changes)
        counts = COUNTS if made.combination else (80,) * 10
        return Trainer([made], [counts], digits, source, CPU, torch.float32)

    plain, random = trainer({}), trainer({"F15": "released"})
    assert first_images(plain) == ()
    key = seeding.run_key(0, (0, 4))
    available = np.bincount(digits.train_labels).tolist()
    found = first_images(random)
    assert found == first_counts(available, random.specs[0], key)
    assert sorted(found) == [8] * 8 + [80] * 2
    assert found != COUNTS
    assert not torch.equal(random.method.W_source, plain.method.W_source)
    for method in (plain.method, random.method):
        assert method.batches.class_counts(10)[0].tolist() == list(COUNTS)
    for letter in ("E", "C", "G", "D"):
        mine, theirs = (t.method.networks()[letter].replica_state(0) for t in (plain, random))
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    balanced = trainer({"F15": "released"}, ratio="1:1", majority=0, combination=())
    assert first_images(balanced) == ()


def test_f15_leaves_what_is_held_out_for_validation_out_of_the_first_weights(digits, source):
    made = spec("dfg", sections={"fidelity": {"F15": "released"}}, validation=0.25)
    trainer = Trainer([made], [COUNTS], digits, source, CPU, torch.float32)
    first = trainer.method.context.first_batches
    assert first is not None
    assert not set(first.subsets[0]) & set(trainer.evaluator.validation[0])
    assert len(trainer.evaluator.validation[0]) > 0


def test_f15_draws_majority_classes_at_random():
    drawn = [random_combination(seeding.key("majority classes", s), 10, 2) for s in range(600)]
    assert len(set(drawn)) == 45
    assert all(a < b for a, b in drawn)
    assert max(Counter(drawn).values()) < 40  # 13.3 expected, deviation 3.6
    assert drawn != [random_combination(seeding.key("other", s), 10, 2) for s in range(600)]


def test_f16_keeps_each_classs_first_images_in_file_order(digits):
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 0])
    train, held_out = subset(labels, (3, 2), (1, 0), 5, in_order=True)
    assert held_out.tolist() == [0]
    assert train.tolist() == [2, 4, 1, 3]
    trainers = {
        reading: Trainer(
            [spec(sections={"fidelity": {"F16": reading}})],
            [COUNTS],
            digits,
            None,
            CPU,
            torch.float32,
        )
        for reading in ledger.PROTOCOLS
    }
    kept = {r: t.method.batches.subsets[0] for r, t in trainers.items()}
    first = [np.flatnonzero(digits.train_labels == c)[:n] for c, n in enumerate(COUNTS)]
    assert kept["released"].tolist() == np.concatenate(first).tolist()
    assert kept["paper"].tolist() != kept["released"].tolist()
    for chosen in kept.values():
        assert np.bincount(digits.train_labels[chosen]).tolist() == list(COUNTS)


def test_f29_tests_resnet50_on_uncropped_images():
    pixels = np.zeros((2, 3, 256, 256), dtype=np.uint8)
    pixels[:, :, 16:240, 16:240] = 255  # the centre of 224
    labels = np.array([0, 1])
    data = ImageArrays(pixels, labels, pixels, labels)
    seen = []

    def classify(x):
        seen.append(x[0])
        return torch.zeros(1, 2, 2)

    for readings in (released(), released("F29"), Readings(ALL.released - {"F29"})):
        images = Images.on(CPU, data.train, data.train_labels)
        view = VIEWS["resnet50"]
        evaluator = Evaluator(data, images, [], 1, 2, 2, view, readings, torch.float32)
        evaluator.tested(classify)
    paper, uncropped, others = seen
    assert paper.shape == others.shape == (2, 3, 224, 224)
    assert uncropped.shape == (2, 3, 256, 256)
    assert bool((paper == 1).all())
    assert float(uncropped[0, 0, 0, 0]) == -1


# F19


@pytest.fixture
def regularisers(pack, settings):
    return [
        Regulariser(pack(r), settings("reg", alpha=2.0, beta=0.0))
        for r in (released(), released("F19"))
    ]


def test_f19_compares_cs_maps_after_the_relu(regularisers):
    """One image, maps of 1x1, one channel of weight w differs: -3 and 1, beside -3 and -1.

    alpha/2 * 16 w * (1 + 3)^2 = 256 w, or after the ReLU (1 - 0)^2: 16 w. Negative ones: 16 w * 4
    = 64 w, or 0.
    """
    for other, before, after in ((1.0, 256.0, 16.0), (-1.0, 64.0, 0.0)):
        for regulariser, factor in zip(regularisers, (before, after), strict=True):
            maps, source = (torch.zeros(1, 1, 16, 1, 1, dtype=torch.float64) for _ in range(2))
            source[0, 0, 3], maps[0, 0, 3] = -3.0, other
            w = float(regulariser._weights[1][0, 3])
            C = Replicated([nn.ModuleDict({"head": nn.Linear(1, 1)}).double()])
            term = regulariser.classifier_term(C, (maps,), ((), (source,)))
            assert float(term[0].detach()) == pytest.approx(factor * w)


def test_f19_leaves_es_output_alone(regularisers):
    maps = torch.full((1, 1, 6, 1, 1), -1.0, dtype=torch.float64)
    paper, changed = (float(r.extractor_term((maps,), ((-3 * maps,), ()))[0]) for r in regularisers)
    assert paper == changed == pytest.approx(96.0)  # alpha/2 * 6 channels * (-1 - 3)^2 * sum of w


def test_f19_does_not_touch_resnet50(pack, settings):
    context = pack(released("F19"))
    inner = replace(context.backbone, extractor_maps=("conv",))
    assert not Regulariser(replace(context, backbone=inner), settings("reg"))._after_relu
    assert Regulariser(context, settings("reg"))._after_relu


# F23


def test_f23_shows_in_float64_where_the_gradient_is_zero(dfg, monkeypatch):
    """A critic that is flat in 10,000 numbers: (0 - 1)^2 = 1, or (1e-16 * 100 - 1)^2 < 1."""
    x = torch.zeros(1, 2, 10_000, dtype=torch.float64)
    epsilon = torch.zeros(1, 2, dtype=torch.float64)
    assert losses.gradient_penalty(torch.zeros_like, x, x, epsilon).tolist() == [1.0]
    (found,) = losses.gradient_penalty(torch.zeros_like, x, x, epsilon, 1e-16).tolist()
    assert 1 - found == pytest.approx(2e-14, rel=0.02)

    for readings, added in ((released("F23"), 1e-16), (Readings(ALL.released - {"F23"}), 0.0)):
        seen = []

        def watch(gradient, real, generated, epsilon, value=0.0, seen=seen):
            seen.append(value)
            return losses.gradient_penalty(gradient, real, generated, epsilon, value)

        monkeypatch.setattr(dfg_module, "gradient_penalty", watch)
        dfg(readings).step(1)
        assert seen == [added] * FAST["n_D"]


# F27, F28


def test_f27_drops_half_of_vgg16s_two_hidden_layers_in_training_only():
    readings = {
        paper: backbone("vgg16", readings=r)
        for paper, r in ((False, released("F27")), (True, Readings(ALL.released - {"F27"})))
    }
    shapes = {paper: made.expected(10) for paper, made in readings.items()}
    extra = {f"C.classifier.{i}.{name}": () for i in (2, 5) for name in ("key", "count")}
    assert shapes[False] == {**shapes[True], **extra}
    with torch.device("meta"):
        layers = Vgg16Classifier(10, dropout=True).classifier
    assert [type(layer).__name__ for layer in layers] == [
        *("Linear", "ReLU", "StreamDropout") * 2,
        "Linear",
    ]
    assert [layers[i].share for i in (2, 5)] == [0.5, 0.5]

    dropout = StreamDropout(0.5)
    x = torch.ones(1, 4096)
    out = dropout.train()(x)
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert float(out.mean()) == pytest.approx(1, abs=0.05)
    assert not torch.equal(dropout(x), out)
    assert torch.equal(dropout.eval()(x), x)


class NormedExtractor(LeNet5Extractor):
    """LeNet-5's E with a batch norm behind the convolution, and dropout if it has any."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        self.dropout = StreamDropout(0.25)

    def forward(self, x, stop="", resume=""):
        conv = x if resume else self.conv(x)
        if stop:
            return (conv,)
        return F.max_pool2d(F.relu(self.dropout(self.norm(conv))), 2)


@pytest.fixture
def normed(pack, settings):
    """Makes a Dfg whose E has a batch norm and dropout."""

    def make(*switches: str, replicas: range = range(1)) -> Dfg:
        context = pack(released(*switches), replicas)
        E = seeded(NormedExtractor, 1, "E").state_dict()
        C = context.source.part("C")
        state = {f"E.{n}": t for n, t in E.items()} | {f"C.{n}": t for n, t in C.items()}
        context = replace(
            context,
            backbone=replace(context.backbone, extractor=NormedExtractor),
            source=SourceWeights(state, 10),
        )
        return Dfg(context, settings("dfg", **FAST), settings("reg"))

    return make


def statistics(method: Dfg, replica: int = 0) -> dict[str, torch.Tensor]:
    state = method.E.replica_state(replica)
    return {n: state[n] for n in ("norm.running_mean", "norm.running_var", "dropout.count")}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("replicas", [1, 2])
def test_f28_weighs_filters_in_training_mode(normed, replicas):
    """Each of 1 + 6 passes moves the statistics of the batch norm; the paper's move none.

    A dropout's count is set back: how many passes there are depends on the pack.
    """
    for switches, moved in (((), False), (("F28",), True)):
        method = normed(*switches, replicas=range(replicas))
        source = {n: v for n, v in method.regulariser.E_S.replica_state(0).items() if "norm" in n}
        for r in range(replicas):
            before = statistics(method, r)
            method._update_weights(2)
            after = statistics(method, r)
            assert same(before, after) != moved
            assert int(after["dropout.count"] - before["dropout.count"]) == 0
        left = method.regulariser.E_S.replica_state(0)
        assert all(torch.equal(left[name], source[name]) for name in source)
        assert method.E.training
        assert method.C.training


def test_f28_does_not_touch_the_first_weights(normed):
    plain, trained = normed(), normed("F28")
    assert torch.equal(plain.W_source, trained.W_source)
    assert same(statistics(plain), statistics(trained))
    plain._update_weights(2)
    trained._update_weights(2)
    assert not torch.equal(plain.W, trained.W)


def test_f28_moves_no_statistics_of_a_replica_whose_gate_is_closed(normed):
    method = normed("F07", "F28", replicas=range(2))
    before = statistics(method, 1)
    method.loss_E = torch.tensor([0.04, 0.3], dtype=torch.float64)
    method._update_weights(2)
    assert same(before, statistics(method, 1))


# All together


@pytest.mark.parametrize("gate", [1e9, 0.05], ids=["open", "closed"])
def test_three_steps_of_the_released_protocol_equal_the_plain_loop(dfg, monkeypatch, gate):
    monkeypatch.setattr(dfg_module, "RELEASED_GATE", gate)
    method = dfg(ALL)
    c, s = method.context, method.settings
    lenet, key = c.backbone, c.run_keys[0]
    networks = {
        "E": seeded(lenet.extractor, key, "E"),
        "C": seeded(lambda: lenet.classifier(10), key, "C"),
        "G": seeded(lambda: generator("lenet5", "block1", 100, 10, ALL), key, "G"),
        "D": seeded(lambda: discriminator("lenet5", "block1", ALL), key, "D"),
    }
    networks["E"].load_state_dict(c.source.part("E"))
    networks["C"].load_state_dict(c.source.part("C"))
    for network in networks.values():
        network.double()

    def weighed(update: int):
        ((x, y, _),) = c.batches.sweep(1000, 10, shuffle=update)
        return x[0], y[0]

    def one(batch):
        return tuple(part[0] for part in batch)

    channel = c.batches.renamed("channel weights")
    plain = oracle.PlainReleased(
        networks,
        s,
        weighed,
        [one(channel.draw(0, 0))],
        10,
        lambda i: one(method.window.draw(i, 0)),
        gate,
    )
    torch.testing.assert_close(method.W_star[0], plain.W)
    assert (plain.W > 0).any()
    first = plain.W
    for step in range(1, 4):
        method.step(step)
        plain.step(
            step,
            lambda t, step=step: one(method._noise(step, t)),
            lambda t, step=step: method.epsilon.uniform(
                step * s.n_D + t, (8,), dtype=torch.float64
            )[0],
        )
        for letter, network in networks.items():
            state = method.networks()[letter].replica_state(0)
            for name, value in network.state_dict().items():
                torch.testing.assert_close(
                    state[name], value, rtol=1e-7, atol=1e-9, msg=f"{step} {letter}.{name}"
                )
        torch.testing.assert_close(method.W_star[0], plain.W)
    opened = gate > 1
    assert updates(method) == ([0, 2] if opened else [0])
    assert torch.equal(plain.W, first) != opened


def test_a_released_pack_of_two_equals_two_singles(dfg, monkeypatch):
    monkeypatch.setattr(dfg_module, "RELEASED_GATE", 1e9)
    often = {"n_D": 1, "n_C2": 1, "n_W": 1}
    packed = dfg(ALL, range(2), **often)
    together = [packed.step(step) for step in (1, 2)]
    assert updates(packed) == [0, 1, 2]
    for r in range(2):
        alone = dfg(ALL, range(r, r + 1), **often)
        for step in (1, 2):
            for name, value in alone.step(step).items():
                torch.testing.assert_close(
                    together[step - 1][name][r], value[0], rtol=1e-8, atol=1e-9
                )
        mine, theirs = alone.weights(0), packed.weights(r)
        assert set(mine) == set(theirs)
        for name, value in mine.items():
            torch.testing.assert_close(theirs[name], value, rtol=1e-7, atol=1e-9)


NO_PART_IN_A_STEP = ("F14", "F15", "F16", "F27", "F28", "F29")
TOO_SMALL_TO_SEE = "F23"


def test_each_switch_alone_changes_what_dfg_learns_on_lenet5_or_has_no_part_in_it(dfg, monkeypatch):
    monkeypatch.setattr(dfg_module, "RELEASED_IMAGES", 2)  # there are four of a class here

    def learned(*switches: str) -> dict[str, torch.Tensor]:
        method = dfg(released(*switches), n_D=1, n_C2=1, n_W=1, delta=1.0, rho=0.5)
        method.step(1)
        method.step(2)
        return method.weights(0)

    plain = learned()
    for switch in sorted(SWITCHES.keys() - {*NO_PART_IN_A_STEP, TOO_SMALL_TO_SEE}):
        changed = learned(switch)
        assert any(
            value.shape != plain[name].shape or not torch.allclose(value, plain[name], rtol=1e-6)
            for name, value in changed.items()
        ), switch
    for switches in (NO_PART_IN_A_STEP, (TOO_SMALL_TO_SEE,)):
        changed = learned(*switches)
        for name, value in plain.items():
            torch.testing.assert_close(changed[name], value, rtol=1e-7, atol=1e-9)


def test_every_switch_has_a_test_of_its_own():
    named = {i for name in globals() for i in name.upper().split("_") if name.startswith("test_")}
    assert set(SWITCHES) <= named
