"""A method's state: whatever it holds is as it was, or it is said that it cannot be saved."""

import functools
import itertools
import json
import random
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from narrow import narrow, small_context
from torch import nn

from dfgctl import recipe as recipes
from dfgctl.data.batches import Batches
from dfgctl.draws import Stream
from dfgctl.ledger import Readings
from dfgctl.losses import cross_entropy
from dfgctl.methods import dfg as dfg_module
from dfgctl.methods.base import Method
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.original import Original
from dfgctl.pack import Replicated, descend
from dfgctl.state import StateError
from dfgctl.state.method import MethodState

CPU = torch.device("cpu")
SGD = {"optimizer": "sgd", "lr_decay_step": 2}
DFG = {"n_D": 1, "n_C1": 1, "n_C2": 2, "n_W": 2, "batch_size": 4, "weight_images": 2}


def settings(name: str, **changes):
    section = recipes.load("digits").section(name)
    return type(section).model_validate({**section.values(), **changes})


REG = settings("reg", head_epochs=1, weight_batches=1)
MADE = {
    "original": lambda c: Original(c, settings("original", **SGD)),
    "finetune": lambda c: Finetune(c, settings("finetune", **SGD)),
    "delta": lambda c: Delta(c, settings("delta"), REG),
    "difa": lambda c: Difa(c, settings("difa", steps=4, n_D=1, units=8, batch_size=4, **SGD)),
    "dfg": lambda c: Dfg(c, settings("dfg", **DFG, **SGD), REG),
}


def saved(state: MethodState):
    """Return what was saved as a file gives it back: tensors, and JSON."""
    found = [(tensors, json.loads(json.dumps(c, allow_nan=False))) for tensors, c in state.saved()]
    for tensors, _ in found:
        assert all(t.is_contiguous() for t in tensors.values())
    return found


def restored(make, parts) -> tuple[Method, MethodState]:
    method = make()
    state = MethodState(method, len(parts), CPU)
    state.restore([t for t, _ in parts], [c for _, c in parts])
    return method, state


def modes(method: Method) -> dict[str, bool]:
    """Return which modules are in training mode, and which parameters learn."""
    found = {}
    for letter, network in method.networks().items():
        for name, module in network.module.named_modules():
            found[f"{letter}.{name}"] = module.training
        for name, tensor in network.stacked().items():
            found[f"{letter}.{name}"] = tensor.requires_grad
    return found


def check(make, replicas: int, steps: int = 4, at=(1, 2, 3), evaluated=()) -> None:
    """Check that training goes on bit for bit wherever it is interrupted."""

    def go(method: Method, step: int):
        losses = method.step(step)
        if step in evaluated:
            method.classify(method.batches.draw(0, 0)[0])
        return losses

    whole = make()
    state = MethodState(whole, replicas, CPU)
    assert state.problem == ""
    losses, kept = {}, {}
    for step in range(1, steps + 1):
        losses[step] = go(whole, step)
        if step in at:
            kept[step] = (saved(state), modes(whole))
    assert kept
    for begin, (parts, before) in kept.items():
        method, _ = restored(make, parts)
        assert modes(method) == before
        for step in range(begin + 1, steps + 1):
            for name, loss in go(method, step).items():
                assert torch.equal(loss, losses[step][name]), (begin, step, name)
        for r in range(replicas):
            mine, theirs = method.weights(r), whole.weights(r)
            assert mine.keys() == theirs.keys()
            for name, tensor in theirs.items():
                assert torch.equal(mine[name], tensor), (begin, name)


@pytest.mark.parametrize("method", MADE)
@pytest.mark.parametrize(
    ("network", "released", "replicas"),
    [
        ("vgg16", ("F27",), (0,)),
        ("vgg16", ("F27",), (0, 1, 2)),
        ("resnet50", (), (0,)),
    ],
)
def test_dropout_and_batch_norms_go_on_bit_for_bit(
    monkeypatch, method, network, released, replicas
):
    if method == "dfg" and len(replicas) > 1:
        replicas = replicas[:2]
    small = narrow(monkeypatch, network, "", Readings(frozenset(released)), method == "difa")
    context = small_context(small, replicas)
    check(lambda: MADE[method](context), len(replicas), at=(1, 3), evaluated=(2,))


def test_what_can_change_may_not_be_missing(monkeypatch):
    context = small_context(narrow(monkeypatch, "vgg16"), (0,))
    whole = MADE["original"](context)
    ((tensors, content),) = saved(MethodState(whole, 1, CPU))
    del content["attributes"]["optimizers"]
    with pytest.raises(KeyError, match="optimizers"):
        restored(lambda: MADE["original"](context), [(tensors, content)])


def test_batch_norms_go_on_in_a_pack(monkeypatch):
    context = small_context(narrow(monkeypatch, "resnet50"), (0, 1))
    check(lambda: MADE["original"](context), 2, steps=3, at=(2,))


@pytest.fixture
def gated(monkeypatch):
    """Makes dfg whose weights are updated where E's loss says so (F07), at other steps by run."""
    network = narrow(monkeypatch, "vgg16")
    monkeypatch.setattr(dfg_module, "RELEASED_GATE", 1.1)

    def make(*replicas):
        context = small_context(network, replicas)
        readings = Readings(frozenset({"F07"}))
        return Dfg(replace(context, readings=readings), settings("dfg", **{**DFG, "n_W": 1}), REG)

    return make


def test_updates_of_the_filter_weights_are_each_runs_own_in_whatever_pack(gated):
    together = gated(0, 1, 2)
    state = MethodState(together, 3, CPU)
    for step in range(1, 4):
        together.step(step)
    parts = saved(state)
    steps = [together.extra_state(r)["W_history_steps"].tolist() for r in range(3)]
    assert len({tuple(s) for s in steps}) > 1  # or this shows nothing
    for step in (4, 5):
        together.step(step)

    apart = []
    for run in range(3):
        alone, own = restored(lambda run=run: gated(run), parts[run : run + 1])
        assert alone.extra_state(0)["W_history_steps"].tolist() == steps[run]
        apart += saved(own)
        for step in (4, 5):
            alone.step(step)
        for name, tensor in alone.weights(0).items():
            torch.testing.assert_close(tensor, together.weights(run)[name], rtol=1e-7, atol=1e-9)
    again, _ = restored(lambda: gated(0, 1, 2), apart)
    for step in (4, 5):
        again.step(step)
    for run in range(3):
        for name, tensor in again.weights(run).items():
            torch.testing.assert_close(tensor, together.weights(run)[name], rtol=1e-7, atol=1e-9)


def test_f07_goes_on_bit_for_bit(gated):
    check(lambda: gated(0, 1, 2), 3)


def test_runs_that_have_and_have_not_updated_their_weights_go_on_in_one_pack(gated):
    parts = []
    for run in range(2):
        method = gated(run)
        state = MethodState(method, 1, CPU)
        if run == 0:
            method.W = method.W * 2
        parts += saved(state)
    method, _ = restored(lambda: gated(0, 1), parts)
    assert torch.equal(method.W[0], 2 * method.W_source[0])
    assert torch.equal(method.W[1], method.W_source[1])


class Everything(Original):
    """Holds all that can be saved, and lets it decide how it learns."""

    def __init__(self, context, settings):
        super().__init__(context, settings)
        r = len(context.run_keys)
        self.replicas = r
        self.context, self.settings = context, settings
        self.criterion = nn.CrossEntropyLoss(reduction="none")
        self.wanted = lambda name: name.startswith(self.prefix)
        self.prefix, self.nothing, self.on = context.backbone.head, None, True
        self.mean = torch.zeros(r, dtype=torch.float64)  # replaced
        self.total = torch.zeros(r, 3, dtype=torch.float64)  # changed where it is
        self.alias = self.total
        self.shared = torch.zeros((), dtype=torch.float64)
        self.table = torch.ones(7, 5, dtype=torch.float64).T
        self.scale = nn.Parameter(torch.ones(r, dtype=torch.float64))
        self.others = {
            "adam": torch.optim.Adam([self.scale], lr=0.1),
            "rms": torch.optim.RMSprop(self.C.parameter_list(self.wanted), lr=1e-3, momentum=0.5),
        }
        self.log, self.nested = [], {"a": [1, (2, [3.0])], 5: {None: "x"}}
        self.bound = float("inf")
        self.flipped = torch.zeros(r, 2, 3, dtype=torch.float64)

    def step(self, step):
        x, y = self.batches.draw(step, 0)
        losses = cross_entropy(self.C(self.E(x)), y)
        factor = (
            self.scale * (1 + self.mean + self.total.sum(1) + self.shared) * (1 + len(self.log))
        )
        factor = factor + self.table.sum() * 1e-3 + self.flipped.flatten(1).sum(1)
        factor = factor + self.nested["a"][1][1][0] + (min(self.bound, 2.0) if self.on else 0)
        loss = losses * factor
        descend([*self.optimizers, *self.others.values()], loss)
        self.mean = 0.5 * self.mean + 0.1 * losses.detach()
        self.alias += 0.01 * losses.detach()[:, None]
        self.shared += 0.01
        self.table = (self.table * 1.01).contiguous().T.contiguous().T
        self.flipped = torch.rand(
            3, 2, self.replicas, generator=torch.Generator().manual_seed(step), dtype=torch.float64
        ).permute(2, 1, 0)
        self.log.append((step, self.mean, {"last": float(losses.detach().sum())}))
        self.nested["a"][1][1][0] += 0.5
        self.on = not self.on
        if step == 2:
            self.bound = 0.25
            self.born = {"late": [torch.full((self.replicas,), 0.5)]}
            self.others["adam"].param_groups[0]["lr"] = 0.01
            self.E.requires_grad_(False)
            self.optimizers.pop(0)
            self.C.module.eval()
        return {"loss": loss.detach()}

    def extra_state(self, replica):
        return {"scale": self.scale[replica].detach(), "total": self.total[replica]}


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_method_may_hold_whatever_lies_plainly_in_its_attributes(monkeypatch, replicas):
    context = small_context(narrow(monkeypatch, "vgg16"), range(replicas))

    def make():
        return Everything(context, settings("original", lr_decay_step=3))

    check(make, replicas, steps=5, at=(1, 2, 3, 4))


def test_tensors_lie_as_they_lay_and_are_one_where_they_were_one(monkeypatch):
    context = small_context(narrow(monkeypatch, "vgg16"), range(3))

    def make():
        return Everything(context, settings("original"))

    whole = make()
    state = MethodState(whole, 3, CPU)
    for step in (1, 2, 3):
        whole.step(step)
    method, _ = restored(make, saved(state))
    assert method.alias is method.total
    assert method.log[-1][1] is method.mean
    for name in ("mean", "total", "table", "flipped", "shared"):
        assert getattr(method, name).stride() == getattr(whole, name).stride(), name
    assert whole.flipped.stride() == (1, 3, 6)
    assert method.scale is method.others["adam"].param_groups[0]["params"][0]


class OwnBatches(Batches):
    """May hold anything."""


HIDDEN = {
    "torch": lambda m: torch.Generator(),
    "random": lambda m: random.Random(0),
    "numpy": lambda m: np.random.default_rng(0),
    "legacy": lambda m: np.random.RandomState(0),
    "schedule": lambda m: torch.optim.lr_scheduler.StepLR(m.optimizers[0], 5),
    "counter": lambda m: itertools.count(),
    "bound": lambda m: np.random.default_rng(0).random,
    "closure": lambda m: (lambda rng: lambda: rng.random())(random.Random(0)),
    "partial": lambda m: functools.partial(random.Random(0).random),
    "deque": lambda m: deque([1]),
    "set": lambda m: {1, 2},
    "array": lambda m: np.zeros(3),
    "module": lambda m: nn.BatchNorm1d(2),
    "own class": lambda m: type("Mine", (), {})(),
    "own batches": lambda m: OwnBatches(
        m.batches.images, m.batches.subsets, m.batches.run_keys, 4, m.batches.dtype
    ),
    "complex": lambda m: torch.zeros(2, dtype=torch.complex64),
    "nested": lambda m: {"a": [(random.Random(0),)]},
    "key": lambda m: {(1, 2): 3},
    "twice": lambda m: (lambda shared: [shared, shared])([1]),
    "graph": lambda m: torch.ones(1, requires_grad=True) * 2,
    "unknown parameters": lambda m: torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1),
}


@pytest.fixture
def context(monkeypatch):
    return small_context(narrow(monkeypatch, "vgg16"), (0,))


@pytest.fixture
def plain(context):
    return lambda kind=Original: kind(context, settings("original"))


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("late", [False, True])
def test_hidden_state_is_never_lost_in_silence(plain, name, late):
    method = plain()
    make = HIDDEN[name]
    if not late:
        method.hidden = make(method)
    state = MethodState(method, 1, CPU)
    if late:
        method.step(1)
        method.hidden = make(method)
    with pytest.raises(StateError, match="hidden"):
        state.saved()


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), lambda: np.random.rand()])
def test_draws_from_a_global_generator_rule_checkpoints_out(plain, draw):
    method = plain()
    state = MethodState(method, 1, CPU)
    state.saved()
    before = torch.get_rng_state()
    try:
        draw()
        with pytest.raises(StateError, match="global random generator"):
            state.saved()
    finally:
        torch.set_rng_state(before)


def test_what_init_made_may_not_be_exchanged(plain):
    for name, change in {
        "batches": lambda m: m.batches.renamed("later"),
        "E": lambda m: m.C,
        "stream": lambda m: Stream((1,), "x", CPU),
    }.items():
        method = plain()
        state = MethodState(method, 1, CPU)
        if name == "E":
            del method.E
        else:
            setattr(method, name, change(method))
        with pytest.raises(StateError, match=name):
            state.saved()


def test_an_optimiser_that_was_given_more_to_train_is_not_saved(plain):
    method = plain()
    state = MethodState(method, 1, CPU)
    method.optimizers[0].add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    with pytest.raises(StateError, match=r"optimizers\.0"):
        state.saved()


def test_a_class_may_rule_checkpoints_out(plain):
    class Unwilling(Original):
        resumable = False

    class Slotted(Original):
        __slots__ = ("rng",)

    assert "Unwilling is not resumable" in MethodState(plain(Unwilling), 1, CPU).problem
    assert "Slotted has slots" in MethodState(plain(Slotted), 1, CPU).problem
    assert MethodState(object(), 1, CPU).problem != ""


def test_lists_that_may_be_by_replica_do_not_go_to_another_pack(monkeypatch):
    class Listing(Original):
        def __init__(self, context, settings):
            super().__init__(context, settings)
            self.context = context
            self.fixed = [0.5] * len(context.run_keys)
            self.losses = [0.0] * len(context.run_keys)

        def step(self, step):
            losses = super().step(step)
            self.losses = losses["loss"].tolist()
            return losses

    network = narrow(monkeypatch, "vgg16")

    def make(*replicas):
        return Listing(small_context(network, replicas), settings("original"))

    method = make(0, 1, 2)
    state = MethodState(method, 3, CPU)
    before = saved(state)
    method.step(1)
    parts = saved(state)
    assert restored(lambda: make(0, 1, 2), parts)[0].losses == method.losses
    with pytest.raises(StateError, match="former pack"):
        restored(lambda: make(1, 0, 2), [parts[1], parts[0], parts[2]])
    with pytest.raises(StateError, match="former pack"):
        restored(lambda: make(0, 1), parts[:2])
    with pytest.raises(StateError):
        restored(lambda: make(0, 1, 2), [before[0], *parts[1:]])


def test_runs_that_disagree_on_what_is_the_packs_are_refused(monkeypatch):
    network = narrow(monkeypatch, "vgg16")

    def make(*replicas):
        return Everything(small_context(network, replicas), settings("original"))

    parts = []
    for run in range(2):
        method = make(run)
        state = MethodState(method, 1, CPU)
        for step in range(1, 2 + run):
            method.step(step)
        parts += saved(state)
    with pytest.raises(StateError):
        restored(lambda: make(0, 1), parts)


class Drawing(Original):
    """Draws from a generator that it looks after itself."""

    aside = ("rng", "bits")

    def __init__(self, context, settings):
        super().__init__(context, settings)
        self.rng = torch.Generator().manual_seed(3)
        self.bits = np.random.default_rng(4)

    def step(self, step):
        x, y = self.batches.draw(step, 0)
        x = x + torch.rand(x.shape, generator=self.rng, dtype=x.dtype) * self.bits.random()
        loss = cross_entropy(self.C(self.E(x)), y)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}

    def saved_aside(self, replica):
        return {"rng": self.rng.get_state(), "bits": self.bits.bit_generator.state}

    def restore_aside(self, saved):
        self.rng.set_state(saved[0]["rng"])
        self.bits.bit_generator.state = saved[0]["bits"]


def test_a_method_may_look_after_its_own_hidden_state(plain):
    check(lambda: plain(Drawing), 1)


def test_schedules_still_set_the_rates_after_a_restoration(context):
    def rates(method):
        return {group["lr"] for o in method.optimizers for group in o.param_groups}

    method = MADE["original"](context)
    state = MethodState(method, 1, CPU)
    base = rates(method)
    for step in (1, 2, 3):
        method.step(step)
    assert rates(method) != base
    again, _ = restored(lambda: MADE["original"](context), saved(state))
    again.step(4)
    assert rates(again) == rates(method)
    again.schedule.at(1)
    assert rates(again) == base


def test_networks_keep_their_very_parameters(plain):
    method = plain()
    state = MethodState(method, 1, CPU)
    method.step(1)
    parts = saved(state)
    other = plain()
    before = {id(p) for n in (other.E, other.C) for p in n.parameters()}
    MethodState(other, 1, CPU).restore([t for t, _ in parts], [c for _, c in parts])
    assert {id(p) for n in (other.E, other.C) for p in n.parameters()} == before
    assert isinstance(other.E, Replicated)
