"""A worker trains what a plan lacks; whatever goes wrong hits only the runs it concerns."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfgctl.cli.planning import enqueue
from dfgctl.dispatch import packs, pictures, sources, worker
from dfgctl.dispatch.place import choose_device
from dfgctl.dispatch.plan import Plan
from dfgctl.dispatch.worker import Worker
from dfgctl.errors import DataCorruptError, InputError
from dfgctl.events import Done, Evaluated, Stepped
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.weights import write
from dfgctl.records import Measurement, Metrics
from dfgctl.registry import Registry
from dfgctl.training import train

Make = Callable[..., Any]
TINY: dict[str, Any] = {"steps": 2, "settings": ("source.steps=4",)}


def work(
    registry: Registry,
    plan: Plan,
    place: Any,
    observer: Any,
    weights: Path | None = None,
    **how: Any,
) -> dict[str, str]:
    """Train a plan; return how its runs stand, in its order."""
    queued = enqueue(registry, plan, force=False, weights=weights)
    Worker(registry, place, observer, queued, **how).work()
    statuses = registry.statuses(r.id for r in plan.runs)
    return {r.id: statuses[r.id] for r in plan.runs}


def fails_for(*ids: str, error: BaseException) -> Callable[..., Iterator[Any]]:
    """Make a training that raises after its first step if it has one of these runs."""

    def training(specs: Any, *rest: Any, **named: Any) -> Iterator[Any]:
        for event in train(specs, *rest, **named):
            yield event
            if isinstance(event, Stepped) and any(s.identity() in ids for s in specs):
                raise error

    return training


def test_a_tiny_plan_is_trained_and_its_results_are_stored(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original", "finetune"), repeats=2, **TINY)
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}
    for run in map(registry.run, registry.statuses(r.id for r in plan.runs)):
        assert run.metrics is not None
        steps = registry.measurements(run.id, 1)
        assert [m.step for m in steps] == [0, 2]
        assert steps[-1].accuracy == run.metrics.accuracy_last
        confusion = torch.tensor(run.metrics.confusion)
        assert int(confusion.sum()) == 901
        assert float(confusion.diagonal().sum()) / 901 == run.metrics.accuracy_last
        weights = load_file(registry.folder / "weights" / f"{run.id}.1.safetensors")
        assert {name[0] for name in weights} == {"E", "C"}
    assert not list(registry.folder.rglob("*.tmp"))


def test_the_observer_is_told_what_happens_in_its_order(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original", "finetune"), repeats=1, **TINY)
    work(registry, plan, place(), recorder)
    pack = ["pack_started", "evaluated", "stepped", "evaluated", "run_finished"]
    source = ["source_started", "source_stepped", "source_ready"]
    assert recorder.names() == [*pack, *source, *pack]
    assert [run.id for run, _ in recorder.of("run_finished")] == [r.id for r in plan.runs]
    assert recorder.of("source_stepped") == [(1,), (2,), (3,), (4,)]
    assert recorder.of("stepped") == [(1,), (2,)] * 2


def test_runs_of_a_group_are_trained_as_a_pack(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=3, **TINY)
    work(registry, plan, place(pack=2), recorder)
    assert [len(claim.runs) for claim, _ in recorder.of("pack_started")] == [2, 1]
    sizes = [registry.attempts(r.id)[0].pack_size for r in plan.runs]
    assert sizes == [2, 2, 1]


def test_a_source_network_is_trained_once_and_then_reused(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    work(registry, make_plan(methods=("finetune",), repeats=2, **TINY), place(), recorder)
    assert len(recorder.of("source_started")) == 1

    def refuse(*_: Any) -> None:
        raise AssertionError("trained a second time")

    monkeypatch.setattr(sources, "pretrain", refuse)
    more = make_plan(methods=("delta",), repeats=1, **TINY)
    later = type(recorder)()
    assert set(work(registry, more, place(), later).values()) == {"finished"}
    ((spec, accuracy, trained),) = later.of("source_ready")
    assert (spec.identity(), trained) == (more.sources[0].identity(), False)
    assert 0 <= accuracy <= 1


def test_a_source_network_whose_file_is_gone_is_trained_again(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("finetune",), repeats=1, **TINY)
    work(registry, plan, place(), recorder)
    (file,) = (registry.folder / "sources").iterdir()
    before = file.read_bytes()
    file.unlink()
    registry.enqueue(plan.runs, force=True)
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}
    assert file.read_bytes() == before


def test_an_error_fails_only_its_own_runs_and_keeps_the_traceback(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=3, **TINY)
    broken = plan.runs[1].id
    monkeypatch.setattr(packs, "train", fails_for(broken, error=ZeroDivisionError("of a kind")))
    statuses = work(registry, plan, place(), recorder)
    assert list(statuses.values()) == ["finished", "failed", "finished"]
    run = registry.run(broken)
    assert run.outcome == "failed"
    assert (run.error or "").startswith("Traceback (most recent call last)")
    assert "ZeroDivisionError: of a kind" in (run.error or "")
    ((told, outcome, error),) = recorder.of("run_failed")
    assert (told.id, outcome, error) == (broken, "failed", run.error)


def test_memory_that_runs_out_is_told_apart(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=1, **TINY)
    error = torch.OutOfMemoryError("too large")
    monkeypatch.setattr(packs, "train", fails_for(plan.runs[0].id, error=error))
    work(registry, plan, place(), recorder)
    run = registry.run(plan.runs[0].id)
    assert (run.status, run.outcome) == ("failed", "out-of-memory")


def test_a_replica_that_diverges_fails_alone(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any, metrics: Any
) -> None:
    def training(*_: Any, **__: Any) -> Iterator[Any]:
        point = Measurement(0, 0.5, 1.0, None, {}, 0.0)
        yield Evaluated(0, {0: point, 1: point}, frozenset())
        yield Evaluated(1, {1: Measurement(1, 0.5, 1.0, None, {}, 0.0)}, frozenset({0}))
        yield Evaluated(2, {1: Measurement(2, 0.5, 1.0, None, {}, 0.0)}, frozenset({0}))
        yield Done({1: metrics}, {1: {"E.weight": torch.zeros(1)}})

    monkeypatch.setattr(packs, "train", training)
    plan = make_plan(methods=("original",), repeats=2, **TINY)
    assert list(work(registry, plan, place(pack=2), recorder).values()) == ["failed", "finished"]
    gone, left = (registry.run(r.id) for r in plan.runs)
    assert (gone.outcome, gone.metrics) == ("diverged", None)
    assert "step 1" in (gone.error or "")
    assert [m.step for m in registry.measurements(gone.id, 1)] == [0]
    assert [m.step for m in registry.measurements(left.id, 1)] == [0, 1, 2]
    assert left.metrics == metrics
    assert len(recorder.of("run_failed")) == 1


def test_runs_that_really_diverge_are_marked_and_not_tried_again(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, tmp_path: Path
) -> None:
    (good,) = make_plan(methods=("original",), repeats=1, **TINY).runs
    work(registry, make_plan(methods=("original",), repeats=1, **TINY), place(), recorder)
    state = load_file(registry.folder / "weights" / f"{good.id}.1.safetensors")
    file = tmp_path / "nan.safetensors"
    save_file({name: torch.full_like(t, torch.nan) for name, t in state.items()}, file)

    plan = make_plan(methods=("finetune",), repeats=2, steps=2, source_weights=file)
    assert set(work(registry, plan, place(2), recorder, file).values()) == {"failed"}
    work(registry, plan, place(2), recorder, file)
    for run in plan.runs:
        assert [a.outcome for a in registry.attempts(run.id)] == ["diverged"]
        assert registry.measurements(run.id, 1) == []
        assert registry.run(run.id).metrics is None
        assert not (registry.folder / "weights" / f"{run.id}.1.safetensors").exists()


@pytest.fixture
def metrics() -> Any:
    """Final metrics of a training that was not one."""
    return Metrics(0.5, 0.5, 0, 0.5, 0.5, 0.5, (0.5,), 0.5, 0.5, ((1,),), 0.1, 0.1)


def test_an_interruption_gives_the_lease_back_and_the_rest_is_trained_later(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=3, **TINY)
    with monkeypatch.context() as patch:
        stop = fails_for(plan.runs[1].id, error=KeyboardInterrupt())
        patch.setattr(packs, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            work(registry, plan, place(), recorder)
    statuses = registry.statuses(r.id for r in plan.runs)
    assert [statuses[r.id] for r in plan.runs] == ["finished", "queued", "queued"]
    assert registry.run(plan.runs[1].id).outcome == "interrupted"

    again = type(recorder)()
    assert set(work(registry, plan, place(), again).values()) == {"finished"}
    assert [run.id for run, _ in again.of("run_finished")] == [r.id for r in plan.runs[1:]]
    assert [len(registry.attempts(r.id)) for r in plan.runs] == [1, 2, 1]


def test_an_interruption_of_the_source_s_training_gives_both_leases_back(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, sql: Make, monkeypatch: Any
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    plan = make_plan(methods=("finetune",), repeats=1, **TINY)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "pretrain", interrupted)
        with pytest.raises(KeyboardInterrupt):
            work(registry, plan, place(), recorder)
    assert registry.run(plan.runs[0].id).status == "queued"
    assert sql("SELECT lease_until, path FROM sources") == [(None, None)]
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}


def test_data_that_cannot_be_read_stops_the_worker_and_gives_the_runs_back(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def broken(*_: Any) -> None:
        raise DataCorruptError("x is broken")

    monkeypatch.setattr(pictures.data_sources, "load", broken)
    plan = make_plan(methods=("original",), repeats=2, **TINY)
    with pytest.raises(DataCorruptError):
        work(registry, plan, place(), recorder)
    assert {r.status for r in registry.runs()} == {"queued"}


def test_a_worker_whose_lease_has_passed_on_writes_nothing_and_goes_on(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, sql: Make, monkeypatch: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=2, **TINY)
    stolen = plan.runs[0].id
    other: list[Any] = []

    def training(specs: Any, *rest: Any, **named: Any) -> Iterator[Any]:
        for event in train(specs, *rest, **named):
            if isinstance(event, Done) and specs[0].identity() == stolen and not other:
                sql("UPDATE runs SET lease_until = '2000-01-01 00:00:00' WHERE id = ?", stolen)
                registry.expire()
                other.append(registry.claim(registry.keep_plan([stolen]), 1, "another", "CPU", {}))
            yield event

    def waiting(_: int) -> None:
        registry.release(other[0])  # the other one is interrupted

    recorder.waiting = waiting
    monkeypatch.setattr(packs, "train", training)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0)
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}
    outcomes = [a.outcome for a in registry.attempts(stolen)]
    assert outcomes == ["lost", "interrupted", "finished"]
    assert [a.outcome for a in registry.attempts(plan.runs[1].id)] == ["finished"]


def test_a_source_that_another_finished_meanwhile_costs_no_run_its_attempt(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, sql: Make, monkeypatch: Any
) -> None:
    plan = make_plan(methods=("finetune",), repeats=1, **TINY)
    pretrain, identity = sources.pretrain, plan.sources[0].identity()

    def overtaken(*arguments: Any) -> Any:
        weights, accuracy = pretrain(*arguments)
        sql("UPDATE sources SET lease_until = '2000-01-01 00:00:00'")
        token = registry.claim_source(plan.sources[0])
        file = registry.folder / "sources" / "theirs.safetensors"
        write(file, dict(weights.state))
        ready = {"classes": 10, "accuracy": accuracy, "seconds": 1.0}
        registry.finish_source(identity, token, {**ready, "path": "sources/theirs.safetensors"}, {})
        return weights, accuracy

    def waiting(_: int) -> None:
        sql("UPDATE runs SET lease_until = '2000-01-01 00:00:00' WHERE status = 'running'")

    recorder.waiting = waiting
    monkeypatch.setattr(sources, "pretrain", overtaken)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0)
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}
    assert "lost" not in [a.outcome for a in registry.attempts(plan.runs[0].id)]


def test_runs_that_another_process_trains_are_waited_for(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any, metrics: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=2, **TINY)
    registry.enqueue(plan.runs)
    theirs = registry.claim(registry.keep_plan([plan.runs[0].id]), 1, "another", "CPU", {})
    assert theirs is not None

    def waiting(running: int) -> None:
        assert running == 1
        registry.finish(theirs, 0, metrics)

    recorder.waiting = waiting
    monkeypatch.setattr(worker, "POLL_SECONDS", 0)
    assert set(work(registry, plan, place(), recorder).values()) == {"finished"}
    assert [a.worker for a in registry.attempts(plan.runs[0].id)] == ["another"]


def test_a_pack_of_one_and_of_two_store_the_same_first_evaluation(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=2, **TINY)
    work(registry, plan, place(pack=2), recorder)
    registry.enqueue(plan.runs, force=True)
    work(registry, plan, place(pack=1), recorder)
    for run in plan.runs:
        packed, alone = (registry.measurements(run.id, n) for n in (1, 2))
        assert [m.accuracy for m in packed] == pytest.approx([m.accuracy for m in alone], abs=0.01)
        assert [m.loss for m in packed] == pytest.approx([m.loss for m in alone], abs=1e-3)


def test_an_attempt_says_what_it_ran_on(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=1, **TINY)
    work(registry, plan, place(), recorder)
    (attempt,) = registry.attempts(plan.runs[0].id)
    assert attempt.provenance["packages"]["torch"] == torch.__version__.partition("+")[0] or (
        attempt.provenance["packages"]["torch"] == torch.__version__
    )
    assert attempt.provenance["threads"] == 1
    assert attempt.device == attempt.provenance["device"] == "CPU, 1 thread"
    json.dumps(attempt.provenance)


# Devices


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "cuda:x", "cuda:-1", "", "mps"])
def test_a_device_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="it is auto, cpu, cuda or cuda:0"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_without_one_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cpu"):
        choose_device(name)


def test_a_cuda_device_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2")


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, kind in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto").type == kind
    packs = [BACKBONES[n].pack for n in ("lenet5", "vgg16", "resnet50")]
    assert packs == sorted(packs, reverse=True)
    assert packs[0] == 45  # all combinations of the paper's two from ten
    assert packs[-1] == 1


def test_a_damaged_source_is_trained_anew_and_a_forced_attempt_keeps_the_older_weights(
    registry: Registry, make_plan: Any, place: Any, recorder: Any
) -> None:
    plan = make_plan(methods=("finetune",), repeats=1, steps=2, settings=("source.steps=3",))
    work(registry, plan, place(), recorder)
    (source,) = (registry.folder / "sources").iterdir()
    source.write_bytes(source.read_bytes()[:100])
    registry.enqueue(plan.runs, force=True)
    work(registry, plan, place(), recorder)
    assert registry.run(plan.runs[0].id).status == "finished"
    names = sorted(file.name for file in (registry.folder / "weights").iterdir())
    assert names == [f"{plan.runs[0].id}.{n}.safetensors" for n in (1, 2)]
    assert not list(registry.folder.rglob("*.tmp"))


# Precision, and the same bits


def test_runs_that_a_device_cannot_train_are_left_to_others(
    registry: Registry, make_plan: Make, place: Make, recorder: Any
) -> None:
    plan = make_plan(methods=("original",), repeats=2, precision="tf32", **TINY)
    more = make_plan(methods=("original",), repeats=1, precision="bf16", **TINY)
    assert set(work(registry, plan, place(), recorder).values()) == {"queued"}
    ((said,),) = recorder.of("trouble")
    assert said.startswith("Left in the queue: 2 of --precision tf32, in which CPU, 1 thread")
    assert "Start a worker on an NVIDIA GPU of compute capability 8.0" in said
    enqueue(registry, more, force=False, weights=None)
    Worker(registry, place(), recorder).work()  # whatever is queued, in the queue's order
    assert registry.statuses([more.runs[0].id]) == {more.runs[0].id: "finished"}
    assert set(registry.statuses(r.id for r in plan.runs).values()) == {"queued"}


def test_a_pack_is_refused_where_its_precision_is_not(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("dfgctl.dispatch.place.precisions", lambda device: ("fp32", "tf32"))
    plan = make_plan(methods=("original",), repeats=1, precision="tf32", **TINY)
    assert set(work(registry, plan, place(), recorder, strict=False).values()) == {"failed"}
    assert str(registry.run(plan.runs[0].id).error).startswith("--precision tf32 needs an NVIDIA")


@pytest.mark.parametrize("wanted", [False, True])
def test_a_deterministic_worker_is_so_while_it_trains_and_says_so(
    registry: Registry,
    make_plan: Make,
    place: Make,
    recorder: Any,
    monkeypatch: Any,
    wanted: bool,
) -> None:
    seen: list[bool] = []

    def training(*rest: Any, **named: Any) -> Iterator[Any]:
        seen.append(torch.are_deterministic_algorithms_enabled())
        yield from train(*rest, **named)

    def pretraining(*rest: Any) -> Any:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return pretrain(*rest)

    pretrain = sources.pretrain
    monkeypatch.setattr(packs, "train", training)
    monkeypatch.setattr(sources, "pretrain", pretraining)
    plan = make_plan(methods=("finetune",), repeats=1, **TINY)
    made = replace(place(), deterministic=wanted)
    assert set(work(registry, plan, made, recorder).values()) == {"finished"}
    assert seen == [wanted, wanted]
    assert not torch.are_deterministic_algorithms_enabled()
    (attempt,) = registry.attempts(plan.runs[0].id)
    assert attempt.provenance["deterministic"] is wanted


def test_an_operation_without_a_deterministic_version_fails_its_runs_in_a_sentence(
    registry: Registry, make_plan: Make, place: Make, recorder: Any, monkeypatch: Any
) -> None:
    def training(*rest: Any, **named: Any) -> Iterator[Any]:
        torch.zeros(4).put_(torch.tensor([1]), torch.ones(1))
        yield from train(*rest, **named)

    monkeypatch.setattr(packs, "train", training)
    plan = make_plan(methods=("original",), repeats=1, **TINY)
    made = replace(place(), deterministic=True)
    assert set(work(registry, plan, made, recorder).values()) == {"failed"}
    assert registry.run(plan.runs[0].id).error == (
        "put_ has no deterministic version on CPU, 1 thread: train without --deterministic."
    )
