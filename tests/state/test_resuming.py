"""A run that goes on from a checkpoint ends like one that was never interrupted."""

from dataclasses import replace

import own_method
import pytest
import torch
from resuming import COMBINATIONS, assert_same, facts, few, kept, trained, weights
from specs import spec

from dfgctl import lookup
from dfgctl.checkpoints import Checkpoints
from dfgctl.events import Done, Evaluated, Kept, Stepped
from dfgctl.records import RunSpec
from dfgctl.state import Saved, StateError

pytestmark = pytest.mark.usefixtures("narrow_game")

SGD = {"optimizer": "sgd", "lr_decay_step": 5}
DFG = {"n_D": 1, "n_C1": 1, "n_C2": 2, "n_W": 3, "weight_images": 2}
DIFA = {"n_D": 1, "units": 16}  # stages of 4, 2 and 3 of 9 steps
CASES = {
    "original": ("original", {}),
    "sgd": ("original", SGD),
    "finetune": ("finetune", SGD),
    "delta": ("delta", {}),
    "difa": ("difa", DIFA),
    "difa-sgd": ("difa", DIFA | SGD),
    "dfg": ("dfg", DFG),
    "dfg-sgd": ("dfg", DFG | SGD),
    "ldam": ("ldam", {"share_1": 0.5}),
    "crt": ("crt", {"share_1": 0.5, **SGD}),
    "smote": ("smote", {"share_1": 0.5, "neighbours": 2}),
}


def specs(case: str, replicas: int = 1, **changes) -> list[RunSpec]:
    method, own = CASES[case]
    own = {**own, "batch_size": 8}
    fixed = {"steps": 9, "eval_every": 4, "validation": 0.2, "own": own}
    if method in ("delta", "dfg"):
        fixed["sections"] = {"reg": {"weight_batches": 1}}
    return [spec(method, combination=c, **fixed, **changes) for c in COMBINATIONS[:replicas]]


def in_bf16(single: RunSpec) -> RunSpec:
    return replace(single, settings={**single.settings, "numerics": {"precision": "bf16"}})


@pytest.mark.parametrize(
    ("case", "replicas"), [(c, n) for c in CASES for n in (1, 3) if (c, n) != ("dfg", 3)]
)
def test_an_interrupted_pack_ends_bit_for_bit_like_an_uninterrupted_one(
    digits, tmp_path, case, replicas
):
    pack, data = specs(case, replicas), few(digits)
    whole = trained(pack, data)
    keeping = trained(pack, data, keep=(2, 4, 5, 7) if replicas == 1 else (5, 7))
    assert_same(whole, keeping)
    for step, states in kept(keeping).items():
        checkpoints = Checkpoints(tmp_path / str(step))
        for r, state in enumerate(states):
            checkpoints.write(f"run{r}", 1, state)
        found = checkpoints.newest_common([f"run{r}" for r in range(replicas)])
        assert found is not None
        read = [checkpoint.saved for checkpoint in found[1]]
        resumed = trained(pack, data, resume=read)
        assert [e.step for e in resumed if isinstance(e, Stepped)] == list(range(step + 1, 10))
        assert_same(whole, resumed, after=step)


@pytest.mark.parametrize(
    ("case", "replicas"), [("delta", 2), ("difa", 2), ("dfg", 1), ("smote", 2)]
)
def test_a_pack_in_bf16_goes_on_bit_for_bit_and_its_states_are_float32(digits, case, replicas):
    pack, data = [in_bf16(s) for s in specs(case, replicas)], few(digits)
    whole = trained(pack, data)
    for step, states in kept(trained(pack, data, keep=(2, 7))).items():
        types = {t.dtype for state in states for t in state.tensors.values()}
        assert torch.bfloat16 not in types
        assert_same(whole, trained(pack, data, resume=states), after=step)
    single = weights(trained(specs(case, replicas), data))
    assert any(not torch.equal(t, single[n]) for n, t in weights(whole).items())


def test_a_run_may_be_interrupted_again_and_again(digits):
    pack, data = specs("dfg"), few(digits)
    whole = trained(pack, data)
    states = kept(trained(pack, data, keep=[1]))[1]
    for step in (2, 3, 6, 8):
        states = kept(trained(pack, data, resume=states, keep=[step]))[step]
    assert_same(whole, trained(pack, data, resume=states), after=8)


@pytest.mark.parametrize(
    ("case", "step"),
    [
        ("original", 2),
        ("original", 4),
        ("delta", 4),
        ("difa", 2),
        ("difa", 4),
        ("dfg-sgd", 4),
        ("smote", 4),
    ],
)
def test_runs_go_on_in_packs_of_other_sizes(digits, case, step):
    pack = [replace(s, steps=6, eval_every=3) for s in specs(case, 3)]
    data, double = few(digits), torch.float64
    together = trained(pack, data, keep=[step], dtype=double)
    states = kept(together)[step]
    parts = [
        trained(pack[part], data, resume=states[part], dtype=double)
        for part in (slice(0, 1), slice(1, 3))
    ]
    close(together, parts, step)


@pytest.mark.parametrize("case", ["original", "difa", "dfg-sgd", "smote"])
def test_runs_of_several_packs_go_on_in_one(digits, case):
    pack = [replace(s, steps=6, eval_every=3) for s in specs(case, 3)]
    data, double = few(digits), torch.float64
    parts = [trained(pack[p], data, keep=[4], dtype=double) for p in (slice(0, 1), slice(1, 3))]
    states = [state for part in parts for state in kept(part)[4]]
    close(trained(pack, data, resume=states, dtype=double), parts, 4)


def close(together, parts, after) -> None:
    """Check that packs of 1 and of 2 are what a pack of 3 is, to rounding."""
    mine = [e.measurements for e in together if isinstance(e, Evaluated) and e.step > after]
    for p, part in enumerate(parts):
        theirs = [e.measurements for e in part if isinstance(e, Evaluated) and e.step > after]
        assert len(mine) == len(theirs) > 0
        for measured, others in zip(mine, theirs, strict=True):
            for r, other in others.items():
                one = measured[r + p]
                assert (one.step, one.accuracy, one.val_accuracy) == (
                    *(other.step, other.accuracy, other.val_accuracy),
                )
                assert one.loss == pytest.approx(other.loss, rel=1e-7)
                assert one.losses == pytest.approx(other.losses, rel=1e-6, abs=1e-8)
        for name, tensor in weights(part).items():
            replica, _, plain = name.partition(".")
            whole = weights(together)[f"{int(replica) + p}.{plain}"]
            torch.testing.assert_close(tensor, whole, rtol=1e-6, atol=1e-8)


def test_a_method_of_ones_own_goes_on_without_any_code(digits, monkeypatch):
    monkeypatch.setitem(lookup.CLASSES, "original", own_method.BalancedDemo)
    pack, data = specs("original", 3), few(digits)
    whole = trained(pack, data, keep=[3, 6])
    for step, states in kept(whole).items():
        assert_same(whole, trained(pack, data, resume=states), after=step)


def test_states_are_kept_after_the_steps_evaluation_and_never_after_the_last_step(digits):
    asked = []

    def keep(step: int) -> bool:
        asked.append(step)
        return step > 2

    events = trained(specs("original"), few(digits), keep=keep)
    assert asked == list(range(1, 9))
    names = [(type(e).__name__, getattr(e, "step", None)) for e in events]
    i = names.index(("Stepped", 4))
    assert names[i : i + 4] == [("Stepped", 4), ("Evaluated", 4), ("Kept", 4), ("Stepped", 5)]
    assert [e.step for e in events if isinstance(e, Kept)] == [3, 4, 5, 6, 7, 8]


def test_what_is_kept_is_a_copy_of_its_own(digits):
    (state,) = kept(trained(specs("dfg"), few(digits), keep=[4]))[4]
    places = {t.untyped_storage().data_ptr() for t in state.tensors.values() if t.numel()}
    assert len(places) == len([t for t in state.tensors.values() if t.numel()])
    for tensor in state.tensors.values():
        assert tensor.device.type == "cpu"
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_seconds_add_up_over_attempts_by_replica(digits):
    pack, data = specs("original", 3), few(digits)
    before = trained(pack, data, keep=[5])
    states = kept(before)[5]
    slow = []
    for state in states[:2]:
        tally = {**state.content["tally"], "seconds": [1000.0, 300.0, 70.0]}
        slow.append(Saved(5, state.tensors, {**state.content, "tally": tally}))
    events = trained(pack[:2], data, resume=slow)
    measured = next(e for e in events if isinstance(e, Evaluated)).measurements
    assert all(1000 < m.seconds < 1100 for m in measured.values())
    done = events[-1]
    assert isinstance(done, Done)
    for metrics in done.metrics.values():
        assert 300 < metrics.train_seconds < 350
        assert 70 < metrics.eval_seconds < 90
    seconds = states[0].content["tally"]["seconds"]
    assert seconds[1] == pytest.approx(seconds[0] / 3)


def test_the_best_and_the_chosen_step_may_lie_before_the_interruption(digits):
    pack, data = specs("original"), few(digits)
    (state,) = kept(trained(pack, data, keep=[5]))[5]
    found = {"best": [0.99, 4], "chosen": [0.97, 0.5, 0]}
    tally = {**state.content["tally"], **found}
    done = trained(pack, data, resume=[replace(state, content={**state.content, "tally": tally})])
    metrics = done[-1].metrics[0]
    assert (metrics.accuracy_best, metrics.best_step) == (0.99, 4)
    assert (metrics.accuracy_val, metrics.val_step) == (0.5, 0)


def test_a_loss_that_was_not_finite_is_remembered(digits):
    pack, data = specs("original", 2), few(digits)
    states = kept(trained(pack, data, keep=[5]))[5]
    tally = {**states[0].content["tally"], "finite": False}
    states[0] = replace(states[0], content={**states[0].content, "tally": tally})
    events = trained(pack, data, resume=states)
    assert next(e for e in events if isinstance(e, Evaluated)).diverged == {0}
    assert set(events[-1].metrics) == {1}


def test_a_replica_that_diverged_is_not_kept_and_the_others_are(digits, monkeypatch):
    class Breaking(lookup.CLASSES["original"]):  # type: ignore[misc, name-defined]
        def step(self, step):
            losses = super().step(step)
            if step == 3:
                losses["loss"] = losses["loss"].clone()
                losses["loss"][1] = float("nan")
            return losses

    monkeypatch.setitem(lookup.CLASSES, "original", Breaking)
    events = trained(specs("original", 3), few(digits), keep=[5])
    (found,) = [e for e in events if isinstance(e, Kept)]
    assert set(found.states) == {0, 2}


@pytest.mark.parametrize("wrong", ["steps", "count", "last", "method", "shape", "dtype", "gone"])
def test_states_that_do_not_fit_are_refused(digits, wrong):
    pack, data = specs("original", 2), few(digits)
    found = kept(trained(pack, data, keep=[3, 5]))
    states, dtype = found[5], torch.float32
    if wrong == "steps":
        states = [states[0], found[3][1]]
    elif wrong == "count":
        states = states[:1]
    elif wrong == "last":
        pack = [replace(s, steps=5) for s in pack]
    elif wrong == "method":
        pack = specs("delta", 2)
    elif wrong == "shape":
        name = "method.C.head.bias"
        states[1] = replace(states[1], tensors={**states[1].tensors, name: torch.zeros(1)})
    elif wrong == "dtype":
        dtype = torch.float64
    elif wrong == "gone":
        states[1] = replace(states[1], tensors={})
    with pytest.raises(StateError):
        trained(pack, data, resume=states, dtype=dtype)


def test_facts_tell_trainings_apart(digits):
    one, other = (trained(specs("original", seed=s), few(digits)) for s in (0, 1))
    assert facts(one) != facts(other)
