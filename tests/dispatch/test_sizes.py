"""Workers choose their packs by what was measured, and no size runs out of memory twice."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_device import FakeDevice, install

from dfgctl.cli.planning import enqueue
from dfgctl.data.arrays import ImageArrays
from dfgctl.devices import HostMeter, meter_of
from dfgctl.dispatch import pictures, sizes, worker
from dfgctl.dispatch.place import Place
from dfgctl.dispatch.stopping import Stop
from dfgctl.dispatch.worker import Worker
from dfgctl.errors import DataCorruptError, LeaseLostError, StoppedError
from dfgctl.memory import kind_of
from dfgctl.registry import Registry

Make = Callable[..., Any]
TINY: dict[str, Any] = {"methods": ("original",), "steps": 2, "settings": ("source.steps=3",)}
AUTO = Place(torch.device("cpu"), None, Path("data"), 0)


@pytest.fixture
def work(
    registry: Registry, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Train a plan on a device with made-up memory; return how its runs stand.

    Few test images do: what a pack takes is made up, and how well it does is no matter.
    """

    def run(
        plan: Any, device: FakeDevice, place: Place = AUTO, observer: Any = recorder, **how: Any
    ) -> list[str]:
        load = pictures.data_sources.load

        def few(*values: Any) -> ImageArrays:
            data = load(*values)
            return replace(data, test=data.test[:30], test_labels=data.test_labels[:30])

        with monkeypatch.context() as patch:
            install(device, patch)
            patch.setattr(pictures.data_sources, "load", few)
            queued = enqueue(registry, plan, force=False, weights=None)
            Worker(registry, place, observer, queued, meter=device, **how).work()
        statuses = registry.statuses(r.id for r in plan.runs)
        return [statuses[r.id] for r in plan.runs]

    return run


def finished(statuses: Sequence[str]) -> bool:
    return set(statuses) == {"finished"}


def test_one_and_two_are_measured_and_packs_are_as_large_as_fits(
    registry: Registry, make_plan: Make, work: Make, recorder: Any
) -> None:
    device = FakeDevice(total=100)  # 12 fit: 20 + 6 * 12 = 92
    plan = make_plan(repeats=20, **TINY)
    assert finished(work(plan, device))
    assert device.sizes(probes=True) == [1, 2]
    assert device.sizes(probes=False) == [10, 10]  # two packs of the same size, not 12 and 8
    told = [(spec.method, pack) for spec, pack in recorder.of("measuring")]
    assert told == [("original", 1), ("original", 2)]
    (profile,) = registry.profiles()
    assert profile.kind == kind_of(plan.runs[0].spec)
    assert profile.peaks == {1: 26, 2: 32, 10: 80}
    assert all(p.step_seconds and p.step_seconds > 0 for p in profile.points)
    assert (profile.method, profile.backbone, profile.dataset) == ("original", "lenet5", "digits")
    assert f"torch {torch.__version__}" in profile.device


def test_a_probe_leaves_no_trace_in_results(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    plan = make_plan(repeats=3, methods=("dfg",), steps=3, settings=TINY["settings"])
    fixed = replace(AUTO, pack=3)
    work(plan, FakeDevice(total=100), fixed)
    without = [registry.measurements(r.id, 1) for r in plan.runs]
    registry.enqueue(plan.runs, force=True)
    device = FakeDevice(total=100)
    work(plan, device)
    assert device.sizes(probes=True) == [1]  # the pack of three is known by now
    for run, before in zip(plan.runs, without, strict=True):
        after = registry.measurements(run.id, 2)
        assert [(m.accuracy, m.loss, m.losses) for m in after] == [
            (m.accuracy, m.loss, m.losses) for m in before
        ]
        assert [a.outcome for a in registry.attempts(run.id)] == ["finished", "finished"]


def test_a_size_far_beyond_those_measured_is_measured_on_the_way(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=1000)
    assert finished(work(make_plan(repeats=20, **TINY), device))
    assert device.sizes(probes=True) == [1, 2, 16]
    assert device.sizes(probes=False) == [20]


def test_a_run_that_is_queued_between_look_and_claim_is_looked_at_first(
    registry: Registry, make_plan: Make, work: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, late = Registry.next_queued, [None]
    monkeypatch.setattr(worker, "POLL_SECONDS", 0)
    monkeypatch.setattr(
        Registry, "next_queued", lambda *values: late.pop() if late else look(*values)
    )
    device = FakeDevice(total=100)
    assert finished(work(make_plan(repeats=3, **TINY), device))
    assert device.sizes(probes=False) == [3]


def test_what_is_known_is_not_measured_again_by_whichever_worker(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    first, second = FakeDevice(total=100), FakeDevice(total=100)
    work(make_plan(repeats=8, **TINY), first)
    later = make_plan(repeats=8, seed=1, imbalance="20:1", **{**TINY, "steps": 3})
    assert finished(work(later, second))
    assert second.tried == [(False, "original", 8, True)]


def test_no_size_that_ran_out_is_tried_again_on_that_device_and_others_are_free(
    registry: Registry, make_plan: Make, work: Make, recorder: Any
) -> None:
    # A run takes twice in training what the probes say.
    device = FakeDevice(total=100, b=6, b_real=12)
    plan = make_plan(repeats=20, **TINY)
    assert finished(work(plan, device))
    assert device.sizes(probes=False) == [10, 7, 5, 5, 5, 5]
    assert device.again() == []
    assert all(why.startswith("out of memory") for _, why in recorder.of("pack_returned"))
    kept = {p.pack: (p.failures, p.free_bytes) for p in registry.profiles()[0].points}
    assert kept == {1: (0, None), 2: (0, None), 5: (0, None), 7: (1, 100), 10: (1, 100)}

    later = make_plan(repeats=15, seed=100, **TINY)  # queued later, and another worker
    assert finished(work(later, device))
    assert device.sizes(probes=False)[6:] == [5, 5, 5]
    assert device.again() == []

    larger = FakeDevice(total=10_000, b=6, b_real=12)
    assert finished(work(make_plan(repeats=15, seed=200, **TINY), larger))
    assert larger.sizes(probes=False) == [15]


def test_runs_that_went_back_are_not_limited_on_another_device(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    small = FakeDevice(total=100, b=6, b_real=12)
    plan = make_plan(repeats=10, **TINY)
    stop = Stop()
    hold = small.hold

    def first_then_stop(*values: Any) -> None:
        if not values[0]:
            stop.request("interrupted")
        hold(*values)

    small.hold = first_then_stop  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        work(plan, small, stop=stop)
    assert [registry.attempts(r.id)[0].outcome for r in plan.runs] == ["out-of-memory"] * 10
    large = FakeDevice(total=10_000)
    assert finished(work(plan, large))
    assert large.sizes(probes=False) == [10]


def test_a_probe_that_runs_out_is_not_repeated_either(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=30)  # one fits, two do not
    assert finished(work(make_plan(repeats=3, **TINY), device))
    assert device.sizes(probes=True) == [1, 2]
    assert device.sizes(probes=False) == [1, 1, 1]
    assert device.again() == []


def test_where_not_even_one_fits_runs_fail_and_only_the_first_is_tried(
    registry: Registry, make_plan: Make, work: Make, recorder: Any
) -> None:
    device = FakeDevice(total=10)
    plan = make_plan(repeats=3, **TINY)
    assert work(plan, device) == ["failed"] * 3
    assert device.tried == [(True, "original", 1, False)]
    assert [o for _, o, _ in recorder.of("run_failed")] == ["out-of-memory"] * 3
    assert all("out of memory" in (registry.run(r.id).error or "") for r in plan.runs)
    # Typed again where there is room by now, they are trained.
    roomy = FakeDevice(total=10, others=-100)
    assert finished(work(plan, roomy))


def test_a_single_run_is_not_measured_and_fails_as_out_of_memory(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=10)
    assert work(make_plan(repeats=1, **TINY), device) == ["failed"]
    assert device.tried == [(False, "original", 1, False)]
    (profile,) = registry.profiles()
    assert [(p.pack, p.failures) for p in profile.points] == [(1, 1)]


def test_memory_of_other_processes_counts(registry: Registry, make_plan: Make, work: Make) -> None:
    device = FakeDevice(total=100, others=50)  # 46 less 20, by 6: four fit
    assert finished(work(make_plan(repeats=8, **TINY), device))
    assert device.sizes(probes=False) == [4, 4]
    device.others = 0
    assert finished(work(make_plan(repeats=8, seed=50, **TINY), device))
    assert device.sizes(probes=False) == [4, 4, 8]


def test_a_neighbour_that_took_the_memory_limits_nothing_once_it_is_gone(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=100)
    hold = device.hold

    def disturbed(*values: Any) -> None:
        device.others = 0 if values[0] or device.sizes(probes=False) else 70
        hold(*values)

    device.hold = disturbed  # type: ignore[method-assign]
    plan = make_plan(repeats=10, **TINY)
    assert finished(work(plan, device))
    # With 30 free a single run fits; the neighbour leaves, and what is left fits in one.
    assert device.sizes(probes=False) == [10, 1, 9]


def test_a_number_is_not_exceeded_nothing_is_measured_and_it_shrinks_if_it_must(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=100)
    fixed = replace(AUTO, pack=4)
    assert finished(work(make_plan(repeats=9, **TINY), device, fixed))
    assert device.sizes(probes=True) == []
    assert device.sizes(probes=False) == [4, 4, 1]
    small = FakeDevice(total=40)  # three fit
    assert finished(work(make_plan(repeats=5, seed=9, **TINY), small, fixed))
    assert small.sizes(probes=False) == [4, 3, 2]
    assert small.again() == []


def test_each_kind_is_measured_and_the_backbone_s_own_limit_holds(
    registry: Registry, make_plan: Make, work: Make, monkeypatch: Any
) -> None:
    monkeypatch.setitem(sizes.BACKBONES, "lenet5", replace(sizes.BACKBONES["lenet5"], pack=3))
    device = FakeDevice(total=10_000)
    plan = make_plan(**{**TINY, "methods": ("original", "finetune")}, repeats=6)
    assert finished(work(plan, device))
    assert [(m, r) for probe, m, r, _ in device.tried if probe] == [
        *(("original", r) for r in (1, 2)),
        *(("finetune", r) for r in (1, 2)),
    ]
    assert device.sizes(probes=False) == [3, 3, 3, 3]
    assert len(registry.profiles()) == 2


def test_on_a_cpu_nothing_is_measured(
    registry: Registry, make_plan: Make, recorder: Any, monkeypatch: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(sizes, "measure", refuse)
    assert isinstance(meter_of(torch.device("cpu")), HostMeter)
    plan = make_plan(repeats=2, **TINY)
    queued = enqueue(registry, plan, force=False, weights=None)
    Worker(registry, AUTO, recorder, queued).work()
    assert [registry.attempts(r.id)[0].pack_size for r in plan.runs] == [1, 1]
    assert registry.profiles() == []


def test_what_real_packs_take_refines_what_is_known(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    device = FakeDevice(total=200, b=6, b_real=9)
    assert finished(work(make_plan(repeats=10, **TINY), device))
    (profile,) = registry.profiles()
    assert profile.peaks == {1: 26, 2: 32, 10: 110}
    assert finished(work(make_plan(repeats=40, seed=77, **TINY), device))
    # By the probes alone 27 would fit, by what the pack of ten took 17.
    assert device.sizes(probes=False) == [10, 14, 13, 13]
    assert device.again() == []


def test_a_stop_while_measuring_ends_the_worker_with_nothing_claimed(
    registry: Registry, make_plan: Make, work: Make, recorder: Any
) -> None:
    stop = Stop()
    recorder.measuring = lambda *_: stop.request("preempted")
    plan = make_plan(repeats=3, **TINY)
    with pytest.raises(StoppedError):
        work(plan, FakeDevice(total=100), stop=stop)
    assert {r.status for r in registry.runs()} == {"queued"}
    assert all(registry.attempts(r.id) == [] for r in plan.runs)


def test_data_that_cannot_be_read_fails_the_whole_pack_with_its_one_error(
    registry: Registry, make_plan: Make, work: Make, monkeypatch: Any
) -> None:
    def broken(*_: Any) -> None:
        raise DataCorruptError("x is broken")

    monkeypatch.setattr(pictures.data_sources, "load", broken)
    plan = make_plan(repeats=3, **TINY)
    assert work(plan, FakeDevice(total=100), strict=False) == ["failed"] * 3
    assert [registry.attempts(r.id)[0].pack_size for r in plan.runs] == [3, 3, 3]
    assert {registry.run(r.id).error for r in plan.runs} == {"x is broken"}


def test_what_cannot_be_measured_is_trained_alone(
    registry: Registry, make_plan: Make, work: Make, recorder: Any, monkeypatch: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of a kind")

    monkeypatch.setattr(sizes, "measure", broken)
    device = FakeDevice(total=100)
    assert finished(work(make_plan(repeats=3, **TINY), device))
    assert device.sizes(probes=False) == [1, 1, 1]
    ((said,),) = recorder.of("trouble")  # once, not for each of them
    assert "of a kind" in said


def test_a_source_network_that_passes_to_another_is_waited_for(
    registry: Registry, make_plan: Make, work: Make, monkeypatch: Any
) -> None:
    get, lost = sizes.SourceNetworks.get, [LeaseLostError("passed on")]

    def once(self: Any, *values: Any) -> Any:
        if lost:
            raise lost.pop()
        return get(self, *values)

    monkeypatch.setattr(sizes.SourceNetworks, "get", once)
    plan = make_plan(repeats=3, **{**TINY, "methods": ("finetune",)})
    device = FakeDevice(total=100)
    assert finished(work(plan, device))
    assert device.sizes(probes=False) == [3]


def test_what_a_pack_took_is_kept_with_each_of_its_runs(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    plan = make_plan(repeats=3, **TINY)
    assert finished(work(plan, FakeDevice(total=100, a=20, b=6, b_real=8)))
    runs = [registry.run(run.id) for run in plan.runs]
    assert [(run.pack_size, run.peak_bytes) for run in runs] == [(3, 20 + 3 * 8)] * 3
    alone = make_plan(repeats=4, **TINY)  # one more: its pack is its own, and its peak anew
    assert finished(work(alone, FakeDevice(total=100, a=1, b=2)))
    assert registry.run(alone.runs[3].id).peak_bytes == 1 + 2


def test_what_runs_out_of_memory_has_taken_nothing_that_is_known(
    registry: Registry, make_plan: Make, work: Make
) -> None:
    plan = make_plan(repeats=1, **TINY)
    assert work(plan, FakeDevice(total=10)) == ["failed"]
    assert [a.peak_bytes for a in registry.attempts(plan.runs[0].id)] == [None]
    assert registry.run(plan.runs[0].id).pack_size is None


def test_a_pack_that_goes_on_from_checkpoints_is_measured_too(
    registry: Registry, make_plan: Make, work: Make, recorder: Any
) -> None:
    stop = Stop()
    recorder.stepped = lambda step: stop.request("interrupted") if step == 2 else None
    plan = make_plan(repeats=3, **{**TINY, "steps": 4, "eval_every": 4})
    with pytest.raises(StoppedError):
        work(plan, FakeDevice(total=100), stop=stop)
    assert registry.profiles()[0].peaks == {1: 26, 2: 32}
    assert finished(work(plan, FakeDevice(total=100), observer=type(recorder)()))
    (profile,) = registry.profiles()
    (last,) = (p for p in profile.points if p.pack == 3)
    assert (last.peak_bytes, last.step_seconds) == (38, None)
