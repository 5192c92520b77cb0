"""Steps that are recorded leave what the same steps leave one by one, bit for bit."""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import cheap_method
import own_method
import pytest
import torch
from narrow import narrow, small_context
from resuming import assert_same, weights
from specs import spec
from stepped import CASES, STEPS, driven, specs, trainer
from tape import Tape

from dfgctl import lookup, stepping, training
from dfgctl import recipe as recipes
from dfgctl.data.arrays import ImageArrays
from dfgctl.events import Noted
from dfgctl.ledger import Readings
from dfgctl.methods import dfg as dfg_module
from dfgctl.methods.base import Method
from dfgctl.methods.crt import Crt
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.ldam import Ldam
from dfgctl.methods.original import Original
from dfgctl.methods.smote import Smote
from dfgctl.state import Tally
from dfgctl.stepping import CudaGraphs, Stepper, recorder_for
from dfgctl.training import Trainer, train

pytestmark = pytest.mark.usefixtures("narrow_game")

CPU = torch.device("cpu")
PACKED = ("original-sgd", "finetune", "delta", "difa", "dfg-gated", "ldam", "smote")
SWITCHING = ("dfg", "crt", "smote")
"""Methods with steps that look at values, and so are done one by one."""


def calls_of(made: Trainer, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count the calls of a method's ``step``, by step."""
    calls: Counter[int] = Counter()
    step = made.method.step
    monkeypatch.setattr(made.method, "step", lambda n: calls.update([n]) or step(n))
    return calls


# On LeNet-5, through a trainer


@pytest.mark.parametrize(
    ("case", "replicas"), [*((c, 1) for c in CASES), *((c, 3) for c in PACKED)]
)
def test_recorded_steps_leave_what_plain_ones_leave(digits, monkeypatch, case, replicas):
    monkeypatch.setattr(dfg_module, "RELEASED_GATE", 2.0)
    pack = specs(case, replicas, n_D=2 if replicas == 1 else 1)
    plain = driven(trainer(pack, digits))
    tape = Tape()
    made = trainer(pack, digits, tape)
    calls = calls_of(made, monkeypatch)
    assert_same(plain, driven(made))

    phases = [made.method.phase(n) for n in range(1, STEPS + 1)]
    eager = phases.count(None)
    method = made.specs[0].method
    assert (eager > 0) == (method in SWITCHING)
    kinds = set(phases) - {None}
    assert len(kinds) == {"difa": 4, "dfg": 8, "ldam": 3, "crt": 3, "smote": 3}.get(method, 2)
    assert tape.warmed == len(kinds)
    assert tape.recorded == sum(phases.count(kind) > 1 for kind in kinds)
    assert tape.replayed == STEPS - eager - tape.warmed - tape.recorded > 0
    assert sum(calls.values()) == len(calls) == STEPS - tape.replayed
    if case == "dfg-gated":
        updated = torch.stack([u for _, _, u in made.method.history[1:]])
        assert 0 < len(updated) < eager
        assert replicas == 1 or updated.any(1).all() != updated.all()


@pytest.mark.parametrize(("case", "replicas"), [("difa", 2), ("dfg-gated", 1), ("smote", 2)])
def test_checkpoints_of_recorded_steps_are_those_of_plain_ones(digits, monkeypatch, case, replicas):
    """Either way goes on from what the other has saved."""
    monkeypatch.setattr(dfg_module, "RELEASED_GATE", 2.0)
    pack = specs(case, replicas, n_D=1, eval_every=13)
    whole = driven(trainer(pack, digits))
    for first, second in ((Tape(), None), (None, Tape())):
        made = trainer(pack, digits, first)
        made.evaluate(0)
        for step in range(1, 16):
            made.step(step)
            if step == 13:
                made.evaluate(13)
        states = list(made.saved(15).values())
        other = trainer(pack, digits, second)
        assert other.restore(states) == 15
        assert_same(whole, driven(other, start=15), after=15)


def test_a_pack_that_recorded_may_be_brought_back_to_an_earlier_step(digits):
    pack = specs("dfg", 1, n_D=1)
    whole = driven(trainer(pack, digits))
    made = trainer(pack, digits, Tape())
    for step in range(1, STEPS):
        made.step(step)
        if step == 6:
            made.evaluate(6)
            states = list(made.saved(6).values())
    made.restore(states)
    assert_same(whole, driven(made, start=6), after=6)


def test_a_replica_that_diverges_in_a_recording_is_seen(digits):
    made = trainer(specs("original", 2), digits, Tape())
    for step in range(1, 6):
        made.step(step)
    assert made.evaluate(5).diverged == frozenset()
    with torch.no_grad():
        made.method.C.tensor("head.bias")[1, 0] = float("nan")
    made.step(6)
    assert made.evaluate(6).diverged == {1}


# On the other networks, method by method

SGD = {"optimizer": "sgd", "lr_decay_step": 5}
DFG = {"n_D": 1, "n_C1": 1, "n_C2": 2, "n_W": 5, "batch_size": 4, "weight_images": 2}


def section(name: str, **changes):
    found = recipes.load("digits").section(name)
    return type(found).model_validate({**found.values(), **changes})


REG = section("reg", head_epochs=1, weight_batches=1)
MADE: dict[str, Callable[..., Method]] = {
    "original": lambda c: Original(c, section("original", **SGD)),
    "finetune": lambda c: Finetune(c, section("finetune", **SGD)),
    "delta": lambda c: Delta(c, section("delta", **SGD), REG),
    "difa": lambda c: Difa(
        c,
        section("difa", steps=11, n_D=1, units=8, batch_size=4, **{**SGD, "lr_decay_step": 2}),
    ),
    "dfg": lambda c: Dfg(c, section("dfg", **DFG, **SGD), REG),
    "ldam": lambda c: Ldam(c, section("ldam", steps=11, **SGD)),
    "crt": lambda c: Crt(c, section("crt", steps=11, share_1=0.6, init="source", **SGD)),
    "smote": lambda c: Smote(c, section("smote", steps=11, share_1=0.6, **SGD)),
}


@pytest.mark.parametrize("method", MADE)
@pytest.mark.parametrize(
    ("network", "released", "replicas"),
    [("vgg16", ("F27",), (0, 1)), ("vgg16", ("F27",), (0,)), ("resnet50", (), (0,))],
)
def test_dropout_batch_norms_and_momentum_go_on_in_recordings(
    monkeypatch, method, network, released, replicas
):
    readings = Readings(frozenset(released))
    small = narrow(monkeypatch, network, "", readings, method == "difa", method == "ldam")
    context = small_context(small, replicas)
    plain, recorded = MADE[method](context), MADE[method](context)
    one, other = (Tally(len(replicas), CPU) for _ in range(2))
    tape = Tape()
    stepper = Stepper(recorded, other, context.clock, tape, CPU)
    for step in range(1, 12):
        one.add(plain.step(step))
        stepper.step(step)
        if step == 6:
            x, _ = plain.batches.draw(0, 0)
            assert torch.equal(plain.classify(x), recorded.classify(x))
    assert tape.replayed > 0
    assert one.take_means() == other.take_means()
    for r in range(len(replicas)):
        mine, theirs = recorded.weights(r), plain.weights(r)
        assert mine.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert torch.equal(mine[name], tensor), name


# What is not recorded


class Broken(Tape):
    """Fails to record."""

    def record(self, work):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")


def trained(pack, digits: ImageArrays, monkeypatch, recorder) -> list[training.Event]:
    monkeypatch.setattr(training, "recorder_for", lambda *_: recorder)
    made = trainer(pack, digits)
    counts = [tuple(made.method.batches.class_counts(10)[0].tolist())]
    return list(train(pack, counts, digits, None, CPU))


def test_where_recording_fails_steps_are_plain_and_it_is_said_once(digits, monkeypatch):
    pack = specs("original", 1)
    plain = trained(pack, digits, monkeypatch, None)
    events = trained(pack, digits, monkeypatch, Broken())
    assert_same(plain, events)
    (noted,) = [e for e in events if isinstance(e, Noted)]
    assert noted.text == (
        "Steps are not recorded as CUDA graphs, and so take longer "
        "(RuntimeError: operation not permitted)."
    )
    assert not any(isinstance(e, Noted) for e in plain)


def test_recordings_before_one_that_fails_are_not_done_again(digits):
    class Once(Tape):
        def record(self, work):
            if self.recorded:
                raise RuntimeError
            return super().record(work)

    pack = specs("original", 1)
    made = trainer(pack, digits, tape := Once())
    assert_same(driven(trainer(pack, digits)), driven(made))
    assert made.stepper.recorder is None
    assert made.stepper.problem == "RuntimeError"
    assert tape.replayed == 10  # of the first phase's 12 steps


class Looking(Original):
    """Looks at its labels, and says that all of its steps are alike."""

    def phase(self, step):
        return 0

    def step(self, step):
        _, y = self.batches.draw(self.clock.at(step), 0)
        assert int(y.max()) < 10
        return super().step(step)


def test_a_step_that_waits_for_the_device_is_not_recorded(digits, monkeypatch):
    monkeypatch.setitem(lookup.CLASSES, "original", Looking)
    pack = specs("original", 1)
    made = trainer(pack, digits, Tape())
    assert_same(driven(trainer(pack, digits)), driven(made))
    assert made.stepper.problem == "UnrecordableError: _local_scalar_dense waits for the device"


class Heir(Original):
    """Does other work than its parent, and says nothing of phases."""

    def step(self, step):
        self.count = getattr(self, "count", 0) + 1
        return super().step(step)


@pytest.mark.parametrize("kind", [own_method.BalancedDemo, Heir])
def test_a_class_that_says_nothing_of_phases_is_never_recorded(digits, monkeypatch, kind):
    monkeypatch.setitem(lookup.CLASSES, "original", kind)
    made = trainer(specs("original", 1), digits, tape := Tape())
    driven(made)
    assert (tape.warmed, tape.recorded, tape.replayed) == (0, 0, 0)
    assert made.stepper.problem == ""
    if kind is Heir:
        assert made.method.count == STEPS


class Alike(own_method.BalancedDemo):
    """A method of one's own that draws by the clock."""

    def __init__(self, context, settings):
        super().__init__(context, settings)
        self.clock = context.clock

    def phase(self, step):
        return "all"

    def step(self, step):
        return super().step(self.clock.at(step))


def test_a_method_of_ones_own_may_be_recorded(digits, monkeypatch):
    pack = specs("original", 2)
    monkeypatch.setitem(lookup.CLASSES, "original", own_method.BalancedDemo)
    plain = driven(trainer(pack, digits))
    monkeypatch.setitem(lookup.CLASSES, "original", Alike)
    assert_same(plain, driven(trainer(pack, digits, tape := Tape())))
    assert (tape.warmed, tape.recorded, tape.replayed) == (1, 1, STEPS - 2)


def test_steps_of_one_phase_have_the_same_losses(digits, monkeypatch):
    class Fickle(cheap_method.Cheap):
        def phase(self, step):
            return 0

        def step(self, step):
            return {f"loss {step}": torch.ones(self.replicas)}

    monkeypatch.setitem(lookup.CLASSES, "original", Fickle)
    made = trainer([spec(own={"batch_size": 8})], digits, Tape())
    for step in (1, 2, 3):
        made.step(step)
    assert made.stepper.problem == "ValueError: steps of one phase have other losses"
    assert made.evaluate(3).measurements[0].losses == {f"loss {n}": 1.0 for n in (1, 2, 3)}


def test_what_is_recorded_where():
    cuda = torch.device("cuda")
    assert recorder_for(CPU, None, True) is None
    assert recorder_for(CPU, False, True) is None
    assert recorder_for(cuda, False, True) is None
    assert recorder_for(cuda, None, False) is None
    assert recorder_for(cuda, True, False) is None
    with pytest.raises(ValueError, match="CUDA graphs need a CUDA device, not cpu"):
        recorder_for(CPU, True, True)


# How CUDA is told, with one that only listens


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Let ``torch.cuda`` note what it is told; like PyTorch's, a failed capture stays half open."""
    said: list[str] = []

    @contextlib.contextmanager
    def graph(graph, pool, stream, capture_error_mode):
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        said.append("capture")
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError("the capture was invalidated") from error
        said.append("captured")

    @contextlib.contextmanager
    def stream(_):
        said.append("side")
        yield
        said.append("main")

    class Stream:
        def __init__(self, name="side", device=None):
            self.name = name

        def wait_stream(self, other):
            said.append(f"{self.name} waits for {other.name}")

    main = Stream("main")
    fakes = {
        "device": lambda _: contextlib.nullcontext(),
        "Stream": Stream,
        "graph_pool_handle": lambda: "pool",
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: said.append("replay")),
        "current_stream": lambda: main,
        "current_device": lambda: 0,
        "set_stream": lambda s: said.append(f"back to {s.name}"),
        "graph": graph,
        "stream": stream,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(stepping, "_stream_on", cache(stepping._stream_on.__wrapped__))
    monkeypatch.setattr(
        torch._C, "_cuda_endAllocateToPool", lambda *of: said.append(f"closed {of}"), raising=False
    )
    return said


def test_a_graph_is_captured_on_the_stream_of_its_warm_up_and_replayed(told):
    graphs = CudaGraphs(torch.device("cuda"))
    graphs.warm_up(lambda: told.append("work"))
    assert told == ["side waits for main", "side", "work", "main", "main waits for side"]
    told.clear()
    again = graphs.record(lambda: told.append("work"))
    assert told == ["capture", "work", "captured", "replay"]
    again()
    assert told[4:] == ["replay"]


def test_a_capture_that_fails_is_closed_and_its_own_error_told(told):
    def work() -> None:
        raise RuntimeError("not permitted while capturing")

    with pytest.raises(RuntimeError, match="not permitted while capturing"):
        CudaGraphs(torch.device("cuda")).record(work)
    assert told == ["capture", "back to main", "closed (0, 'pool')"]


# On a GPU


@pytest.fixture
def steady(monkeypatch) -> None:
    """Let a GPU's libraries take the same way each time."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def close(one, other, rtol: float) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(mine[name], tensor, rtol=rtol, atol=rtol, msg=name)


class TestOnGpu:
    pytestmark = pytest.mark.gpu

    @pytest.mark.parametrize("replicas", [1, 3])
    @pytest.mark.parametrize("case", CASES)
    def test_graphs_leave_what_plain_steps_leave(self, digits, monkeypatch, steady, case, replicas):
        monkeypatch.setattr(dfg_module, "RELEASED_GATE", 2.0)
        pack = specs(case, replicas)
        made = trainer(pack, digits, device="cuda", graphs=True)
        calls = calls_of(made, monkeypatch)
        graphs = driven(made)
        assert made.stepper.problem == ""
        assert sum(calls.values()) < STEPS
        assert_same(graphs, driven(trainer(pack, digits, device="cuda")))
        close(graphs, driven(trainer(pack, digits, device="cuda", graphs=False)), 1e-4)

    @pytest.mark.parametrize("case", ["original", "finetune", "delta", "difa", "dfg", "dfg-sgd"])
    def test_a_step_is_one_launch_that_waits_for_nothing(self, digits, case):
        pack = [replace(s, steps=60) for s in specs(case, 3)]
        pack = [replace(s, settings={**s.settings, s.method: changed(s)}) for s in pack]
        made = trainer(pack, digits, device="cuda")
        for step in range(1, 41):
            made.step(step)
        made.evaluate(40)
        made.step(41)
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.profiler.profile(activities=activities) as profile:
                for step in range(42, 52):
                    made.step(step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        names = Counter(event.name for event in profile.events())
        assert names["cudaGraphLaunch"] == 10
        launches = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx")
        assert not [n for n in (*launches, "cudaMemcpyAsync", "cudaMemsetAsync") if names[n]]

    def test_a_graph_that_fails_harms_nothing(self, digits, monkeypatch, steady):
        monkeypatch.setitem(lookup.CLASSES, "original", Looking)
        pack = specs("original", 1)
        made = trainer(pack, digits, device="cuda", graphs=True)
        failed = driven(made)
        assert made.stepper.problem != ""
        assert torch.cuda.current_stream() == torch.cuda.default_stream()
        assert_same(failed, driven(trainer(pack, digits, device="cuda", graphs=False)))


def changed(made) -> dict[str, object]:
    """Return a method's settings with no phase that begins, and no update of W, after step 40."""
    own = {**made.settings[made.method], "lr_decay_step": 0}
    if made.method == "dfg":
        own["n_W"] = 1000
    if made.method == "difa":
        own |= {"share_0": 0.2, "share_1": 0.2}
    return own
