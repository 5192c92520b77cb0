"""A measuring goes through every phase of a method, and counts each by its share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from cheap_method import Cheap
from fake_device import FakeDevice
from specs import spec

from dfgctl import measuring, plugins
from dfgctl.data.arrays import ImageArrays
from dfgctl.lookup import backbone_of
from dfgctl.measuring import (
    CudaMeter,
    HostMeter,
    Phase,
    is_memory,
    measure,
    meter_of,
    phases_of,
    shortened,
)
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import seeded
from dfgctl.training import Trainer

CPU = torch.device("cpu")
COUNTS = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
METHODS = ("original", "finetune", "delta", "difa", "dfg")


@pytest.fixture
def few(digits: ImageArrays) -> ImageArrays:
    """Digits with few test images: evaluations are not what is tested."""
    return replace(digits, test=digits.test[:60], test_labels=digits.test_labels[:60])


@pytest.fixture
def source() -> SourceWeights:
    """A source network with random weights: only time and memory are measured."""
    backbone = backbone_of(spec())
    parts = {
        "E": seeded(backbone.extractor, 1, "E"),
        "C": seeded(lambda: backbone.classifier(10), 1, "C"),
    }
    state = {f"{n}.{k}": t for n, m in parts.items() for k, t in m.state_dict().items()}
    return SourceWeights(state, 10)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps that are trained while measuring."""
    done: list[int] = []

    class Watched(Trainer):
        def step(self, step: int) -> None:
            done.append(step)
            super().step(step)

    monkeypatch.setattr(measuring, "Trainer", Watched)
    return done


def shares(phases: list[Phase]) -> float:
    return sum(phase.share for phase in phases)


# Phases


def test_dfg_s_phases_are_those_of_its_three_counters() -> None:
    made = spec("dfg", steps=20_000, own={"n_C1": 2, "n_C2": 10, "n_W": 5000})
    phases = phases_of(made, most=3)
    assert [p.steps for p in phases] == [(1, 3, 5), (2, 4, 6), (10, 20, 30), (5000, 10000, 15000)]
    assert [p.share for p in phases] == pytest.approx([0.5, 0.4, 0.0998, 0.0002])


def test_a_phase_that_never_comes_is_none() -> None:
    made = spec("dfg", steps=9, own={"n_C1": 2, "n_C2": 10, "n_W": 5000})
    assert [p.steps for p in phases_of(made, most=2)] == [(1, 3), (2, 4)]


def test_difa_s_phases_are_its_stages() -> None:
    made = spec("difa", steps=100, own={"share_0": 0.4, "share_1": 0.3})
    assert phases_of(made, most=2) == [
        Phase(0.4, (1, 2)),
        Phase(0.3, (41, 42)),
        Phase(0.3, (71, 72)),
    ]


def test_a_falling_rate_makes_a_phase_of_its_own() -> None:
    made = spec("original", steps=10, own={"lr_decay_step": 8})
    assert phases_of(made, most=2) == [Phase(0.8, (1, 2)), Phase(0.2, (9, 10))]


@pytest.mark.parametrize("method", METHODS)
def test_all_steps_are_in_a_phase(method: str) -> None:
    assert shares(phases_of(spec(method, steps=137), most=2)) == pytest.approx(1)


def test_of_one_s_own_method_steps_are_taken_in_their_order() -> None:
    code = {"class": "cheap_method:Cheap", "sections": []}
    made = spec(steps=50)
    settings = {"cheap": {}, "code": {**code, "sha256": plugins._checksum(Cheap)}}
    made = replace(made, method="cheap", settings=settings)
    assert phases_of(made, most=3) == [Phase(1.0, (1, 2, 3))]
    assert shortened(made) == made


# Measuring


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pack", [1, 2])
def test_every_method_is_measured(
    method: str, pack: int, few: ImageArrays, source: SourceWeights, steps: list[int]
) -> None:
    own = {"dfg": {"n_C1": 2, "n_C2": 4, "n_W": 300}, "difa": {"share_0": 0.4, "share_1": 0.3}}
    made = shortened(spec(method, steps=400, own=own.get(method, {})))
    specs = [replace(made, seed=seed) for seed in range(pack)]
    meter = FakeDevice(total=100)
    meter.highest = 7
    measured = measure(specs, [COUNTS] * pack, few, source, CPU, meter, warm_up=1, steps=1)
    assert (measured.pack, measured.peak_bytes) == (pack, 0)  # forgotten, and nothing is held here
    assert min(measured.seconds_per_step, measured.evaluation_seconds) > 0
    assert measured.setup_seconds > 0
    assert meter.waits >= 3
    expected = {
        "dfg": [1, 3, 2, 6, 4, 8, 300],
        "difa": [1, 2, 161, 162, 281, 282],
    }
    assert steps == expected.get(method, [1, 2])


def test_the_time_of_a_step_is_each_phase_s_by_its_share(
    few: ImageArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])

    class Timed(Trainer):
        def step(self, step: int) -> None:
            # The first steps of a phase are slow, and those after the rate fell take twice as long.
            now[0] += 100.0 if step in (1, 9) else 2.0 if step > 8 else 1.0

        def evaluate(self, step: int) -> Any:
            now[0] += 3.0
            return super().evaluate(step)

    monkeypatch.setattr(measuring, "Trainer", Timed)
    made = spec("original", steps=12, own={"lr_decay_step": 8})
    few_at_a_time = replace(backbone_of(made), evaluation_chunk=20)
    monkeypatch.setattr("dfgctl.training.backbone_of", lambda _: few_at_a_time)

    def measured(**how: Any) -> measuring.Measured:
        return measure([made], [COUNTS], few, None, CPU, HostMeter(), warm_up=1, steps=2, **how)

    assert measured().seconds_per_step == pytest.approx((8 * 1.0 + 4 * 2.0) / 12)
    assert measured().evaluation_seconds == pytest.approx(9.0)  # a third of the images took 3 s
    assert measured(chunks=2).evaluation_seconds == pytest.approx(4.5)
    assert measured(chunks=None).evaluation_seconds == pytest.approx(3.0)
    assert measured().peak_bytes is None


def test_held_out_images_are_part_of_an_evaluation(few: ImageArrays) -> None:
    made = spec("original", steps=4, validation=0.25)
    seen: list[int] = []
    trainer = Trainer([made], [COUNTS], few, None, CPU, torch.float32)
    trainer.evaluator.chunk = 10
    held_out = len(trainer.evaluator.validation[0])
    assert held_out > 10
    assert measuring._cut(trainer, 1) == pytest.approx(20 / (60 + held_out))
    trainer.method.classify, classify = (  # type: ignore[method-assign]
        lambda x: (seen.append(x.shape[1]), classify(x))[1],
        trainer.method.classify,
    )
    trainer.evaluate(4)
    assert seen == [10, 10]


def test_a_measuring_that_is_to_stop_stops_between_steps(
    few: ImageArrays, steps: list[int]
) -> None:
    def check() -> None:
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([spec(steps=50)], [COUNTS], few, None, CPU, HostMeter(), check=check)
    assert steps == [1, 2]


def test_a_shortened_run_weighs_a_chunk_of_images_and_trains_a_head_once() -> None:
    made = shortened(spec("dfg"))
    chunk = backbone_of(made).weight_chunk
    assert made.settings["dfg"]["weight_images"] == chunk
    assert made.settings["reg"]["head_epochs"] == 1
    fewer = shortened(spec("dfg", own={"weight_images": 7}))
    assert fewer.settings["dfg"]["weight_images"] == 7
    assert shortened(spec("difa")) == spec("difa")
    assert spec("dfg").settings["reg"]["head_epochs"] == 10  # nothing was changed in place


# Meters


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("too large"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("of another kind"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, told: bool) -> None:
    assert is_memory(error) is told


def test_a_cpu_s_memory_is_not_measured() -> None:
    meter = meter_of(CPU)
    assert isinstance(meter, HostMeter)
    assert not meter.measures
    assert meter.available() == meter.total > 2**20


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A CUDA device as PyTorch tells of it."""
    state: dict[str, Any] = {"free": 60, "total": 100, "held": 30, "used": 10, "peak": 35}

    def empty_cache() -> None:
        state["free"] += state["held"] - state["used"]
        state["held"] = state["used"]

    def reset(_: Any) -> None:
        state["peak"] = state["held"]

    fakes: dict[str, Callable[..., Any]] = {
        "mem_get_info": lambda _: (state["free"], state["total"]),
        "memory_reserved": lambda _: state["held"],
        "max_memory_reserved": lambda _: state["peak"],
        "empty_cache": empty_cache,
        "reset_peak_memory_stats": reset,
        "synchronize": lambda _: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return state


def test_what_this_process_holds_is_its_to_use_and_what_others_hold_is_not(
    cuda: dict[str, Any],
) -> None:
    meter = meter_of(torch.device("cuda", 0))
    assert isinstance(meter, CudaMeter)
    assert (meter.measures, meter.total) == (True, 100)
    assert meter.available() == 90  # others hold 10
    cuda["free"] -= 50
    assert meter.available() == 40


def test_a_peak_is_what_was_held_since_the_last_look(cuda: dict[str, Any]) -> None:
    meter = meter_of(torch.device("cuda"))
    assert meter.peak() == 35
    meter.reset()
    assert meter.peak() == 10
    meter.wait()


@pytest.mark.gpu
def test_on_a_device_a_larger_pack_takes_more_and_what_it_took_is_free_again(
    few: ImageArrays, source: SourceWeights
) -> None:
    device = torch.device("cuda")
    meter = meter_of(device)
    assert isinstance(meter, CudaMeter)
    made = shortened(spec("dfg", steps=200, own={"n_W": 100}))

    def peak(pack: int) -> int:
        specs = [replace(made, seed=seed) for seed in range(pack)]
        found = measure(specs, [COUNTS] * pack, few, source, device, meter).peak_bytes
        assert found is not None
        return found

    before = meter.available()
    peaks = [peak(pack) for pack in (1, 2, 16)]
    assert peaks == sorted(peaks)
    assert peaks[2] > peaks[1]
    assert meter.available() >= before - 2**28  # libraries keep workspaces


@pytest.mark.gpu
def test_on_a_device_a_pack_that_does_not_fit_says_so_and_leaves_nothing(
    few: ImageArrays,
) -> None:
    device = torch.device("cuda")
    meter = CudaMeter(device)
    before = meter.available()
    torch.cuda.set_per_process_memory_fraction(0.001, device)
    failed = False
    try:
        measure([spec(steps=10)] * 64, [COUNTS] * 64, few, None, device, meter)
    except Exception as error:
        failed = is_memory(error)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert failed
    assert meter.available() >= before - 2**28
