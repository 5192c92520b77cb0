"""A measuring goes through every phase of a method, and counts each by its share."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from cheap_method import Cheap
from fake_device import FakeDevice
from specs import spec

from dfgctl import measuring, plugins
from dfgctl.data.arrays import ImageArrays
from dfgctl.devices import CudaMeter, HostMeter, is_memory, meter_of
from dfgctl.lookup import backbone_of
from dfgctl.measuring import measure, shortened
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import seeded
from dfgctl.training import Trainer

CPU = torch.device("cpu")
COUNTS = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)
METHODS = ("original", "finetune", "delta", "difa", "dfg", "ldam", "smote")


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
        "ldam": [1, 2, 321, 322],
        "smote": [1, 2, 361, 362, 363],
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


def test_a_method_of_one_s_own_is_measured_as_it_is() -> None:
    code = {"class": "cheap_method:Cheap", "sections": []}
    made = spec(steps=50)
    settings = {"cheap": {}, "code": {**code, "sha256": plugins._checksum(Cheap)}}
    made = replace(made, method="cheap", settings=settings)
    assert shortened(made) == made


# On a device


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
