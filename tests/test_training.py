"""Training a pack: evaluations from step 0, divergence, metrics, and what a run depends on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from specs import spec

from dfgctl.data.arrays import ImageArrays
from dfgctl.data.imbalance import Ratio, class_counts
from dfgctl.errors import InputError
from dfgctl.events import Done, Evaluated, Event, Stepped
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import backbone, seeded
from dfgctl.networks.weights import fingerprint
from dfgctl.records import Measurement, RunSpec
from dfgctl.training import Trainer, train

CPU = torch.device("cpu")


def counts_of(combination: tuple[int, ...]) -> tuple[int, ...]:
    return class_counts([87] * 10, combination, Ratio.parse("10:1"), 80)


@pytest.fixture
def source() -> SourceWeights:
    lenet = backbone("lenet5")
    parts = {
        "E": seeded(lenet.extractor, 1, "E"),
        "C": seeded(lambda: lenet.classifier(10), 1, "C"),
    }
    return SourceWeights(
        {f"{n}.{k}": v for n, net in parts.items() for k, v in net.state_dict().items()}, 10
    )


def run(specs: list[RunSpec], data: ImageArrays, source=None, **kwargs) -> list[Event]:
    counts = [counts_of(s.combination) for s in specs]
    return list(train(specs, counts, data, source, CPU, **kwargs))


def evaluations(events: list[Event], replica: int = 0) -> list[Measurement]:
    return [e.measurements[replica] for e in events if isinstance(e, Evaluated)]


def test_evaluates_at_step_0_every_few_steps_and_at_the_end(digits):
    events = run([spec()], digits)
    assert [e.step for e in events if isinstance(e, Evaluated)] == [0, 4, 6]
    assert [e.step for e in events if isinstance(e, Stepped)] == [1, 2, 3, 4, 5, 6]
    assert isinstance(events[-1], Done)
    first, second, _ = evaluations(events)
    assert first.losses == {}
    assert set(second.losses) == {"loss"}
    assert second.seconds >= first.seconds


def test_metrics_come_from_the_last_evaluation(digits):
    events = run([spec(steps=30, eval_every=10)], digits)
    done = events[-1]
    assert isinstance(done, Done)
    metrics, last = done.metrics[0], evaluations(events)
    confusion = np.array(metrics.confusion)
    assert confusion.sum() == len(digits.test)
    assert confusion.sum(1).tolist() == np.bincount(digits.test_labels).tolist()
    assert metrics.accuracy_last == last[-1].accuracy == confusion.trace() / confusion.sum()
    best = max(m.accuracy for m in last)
    assert metrics.accuracy_best == best
    assert metrics.best_step == next(m.step for m in last if m.accuracy == best)
    assert metrics.majority_recall == pytest.approx(np.mean([metrics.recalls[c] for c in (0, 4)]))


def test_the_loss_is_the_mean_cross_entropy_of_the_test_images(digits):
    trainer = Trainer([spec()], [counts_of((0, 4))], digits, None, CPU, torch.float32)
    measured = trainer.evaluate(0).measurements[0]
    E, C = trainer.method.E.network, trainer.method.C.network
    with torch.no_grad():
        x = torch.from_numpy(digits.test).float() / 127.5 - 1
        logits = C(E(x))
    y = torch.from_numpy(digits.test_labels)
    assert measured.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, y)))
    assert measured.accuracy == pytest.approx(float((logits.argmax(1) == y).float().mean()))


@pytest.mark.parametrize("method", ["original", "finetune", "delta", "dfg"])
def test_each_method_learns_something_in_a_few_steps(digits, source, method):
    steps = 40
    rates = (
        {"eta_E": 1e-3, "eta_C": 1e-3, "n_D": 1, "n_C1": 1, "n_C2": 2} if method == "dfg" else {}
    )
    made = spec(method, steps=steps, eval_every=steps, own=rates)
    start, end = evaluations(run([made], digits, source))
    assert end.loss < start.loss


def test_a_run_is_the_same_again_bit_for_bit(digits, source):
    made = spec("dfg", own={"n_D": 1, "n_W": 3})
    first, second = (run([made], digits, source)[-1] for _ in range(2))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    for name, value in first.weights[0].items():
        assert torch.equal(value, second.weights[0][name])


def test_seed_and_combination_give_other_runs(digits):
    losses = {
        evaluations(run([made], digits))[-1].loss
        for made in (spec(), spec(seed=1), spec(combination=(1, 7)))
    }
    assert len(losses) == 3


def test_a_pack_measures_what_its_members_measure_alone(digits):
    digits = replace(digits, test=digits.test[:60], test_labels=digits.test_labels[:60])
    specs = [spec(combination=c) for c in ((0, 4), (1, 7), (2, 3))]
    packed = run(specs, digits, dtype=torch.float64)
    for r, made in enumerate(specs):
        alone = evaluations(run([made], digits, dtype=torch.float64))
        for mine, theirs in zip(alone, evaluations(packed, r), strict=True):
            assert theirs.accuracy == mine.accuracy
            assert theirs.loss == pytest.approx(mine.loss, rel=1e-9)


def test_a_diverging_replica_is_marked_while_the_others_finish(digits):
    specs = [spec(combination=c, steps=8, eval_every=2) for c in ((0, 4), (1, 7))]
    counts = [counts_of(s.combination) for s in specs]
    trainer = Trainer(specs, counts, digits, None, CPU, torch.float32)
    trainer.evaluate(0)
    with torch.no_grad():
        trainer.method.C.tensor("head.weight")[0, 0, 0] = float("inf")
    trainer.step(1)
    seen = trainer.evaluate(1)
    assert seen.diverged == {0}
    assert set(seen.measurements) == {1}
    for step in (2, 3):
        trainer.step(step)
    seen = trainer.evaluate(3)
    assert seen.diverged == {0}
    done = trainer.done()
    assert set(done.metrics) == set(done.weights) == {1}
    assert all(t.isfinite().all() for t in done.weights[1].values())
    assert not trainer.all_diverged


def test_training_stops_when_all_replicas_diverge(digits, source):
    broken = {name: tensor.clone() for name, tensor in source.state.items()}
    broken["C.head.bias"][0] = float("nan")
    made = spec("finetune", steps=40, eval_every=2)
    events = run([made], digits, SourceWeights(broken, 10))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [0, 2]
    assert isinstance(events[-1], Done)
    assert events[-1].metrics == {}


def test_validation_images_are_held_out_and_scored(digits):
    made = spec(validation=0.25)
    trainer = Trainer([made], [counts_of((0, 4))], digits, None, CPU, torch.float32)
    held_out = set(trainer.evaluator.validation[0].tolist())
    training = set(trainer.method.batches.subsets[0].tolist())
    assert not held_out & training
    assert len(held_out) == 2 * 20 + 8 * 2
    measured = trainer.evaluate(0).measurements[0]
    labels = digits.train_labels[trainer.evaluator.validation[0]]
    x = torch.from_numpy(digits.train[trainer.evaluator.validation[0]]).float() / 127.5 - 1
    right = trainer.method.classify(x[None])[0].argmax(1).numpy() == labels
    by_class = [right[labels == c].mean() for c in range(10)]
    assert measured.val_accuracy == pytest.approx(np.mean(by_class))
    plain = Trainer([spec()], [counts_of((0, 4))], digits, None, CPU, torch.float32)
    assert plain.evaluate(0).measurements[0].val_accuracy is None


def test_methods_of_one_repeat_share_subset_and_batches(digits, source):
    trainers = [
        Trainer([spec(m)], [counts_of((0, 4))], digits, source, CPU, torch.float32)
        for m in ("original", "delta")
    ]
    (x, y), (other_x, other_y) = (t.method.batches.draw(1, 0) for t in trainers)
    assert torch.equal(x, other_x)
    assert torch.equal(y, other_y)


def test_the_validation_share_chooses_the_earliest_best_step_of_its_own(digits, monkeypatch):
    specs = [spec(combination=c, validation=0.25) for c in ((0, 4), (1, 7))]
    counts = [counts_of(s.combination) for s in specs]
    trainer = Trainer(specs, counts, digits, None, CPU, torch.float32)
    shares = iter([[0.2, 0.9], [0.6, 0.1], [0.6, float("nan")], [0.3, 0.9]])
    monkeypatch.setattr(trainer.evaluator, "validation_accuracies", lambda classify: next(shares))
    accuracies = []
    for step in range(4):
        if step:
            trainer.step(step)
        accuracies.append([m.accuracy for m in trainer.evaluate(step).measurements.values()])
    first, second = trainer.done().metrics.values()
    assert (first.val_step, second.val_step) == (1, 0)
    assert first.accuracy_val == accuracies[1][0] != first.accuracy_last
    assert second.accuracy_val == accuracies[0][1] != second.accuracy_last


def test_without_a_share_no_step_is_chosen(digits):
    done = run([spec()], digits)[-1]
    assert isinstance(done, Done)
    assert (done.metrics[0].accuracy_val, done.metrics[0].val_step) == (None, None)


def test_images_that_the_source_was_trained_on_are_left_out_of_the_unseen_accuracy(digits):
    seen = np.arange(len(digits.test)) % 3 == 0
    specs = [spec(combination=c) for c in ((0, 4), (1, 7))]
    counts = [counts_of(s.combination) for s in specs]
    marked = replace(digits, test_seen=seen)
    trainer = Trainer(specs, counts, marked, None, CPU, torch.float32)
    for step in (1, 2, 3):
        trainer.step(step)
    trainer.evaluate(3)
    metrics = trainer.done().metrics
    x = torch.from_numpy(digits.test).float() / 127.5 - 1
    predicted = trainer.method.classify(x.expand(2, *x.shape)).argmax(2).numpy()
    for r in range(2):
        right = predicted[r] == digits.test_labels
        assert metrics[r].accuracy_unseen == pytest.approx(right[~seen].mean())
        assert metrics[r].accuracy_last == pytest.approx(right.mean())
        assert np.sum(metrics[r].confusion) == len(seen)


@pytest.mark.parametrize("seen", [None, False, True])
def test_where_all_or_none_are_seen_there_is_no_unseen_accuracy(digits, seen):
    mask = None if seen is None else np.full(len(digits.test), seen)
    done = run([spec()], replace(digits, test_seen=mask))[-1]
    assert isinstance(done, Done)
    assert done.metrics[0].accuracy_unseen is None


def test_a_run_says_which_source_weights_it_started_from(digits, source):
    made, other = spec("finetune"), {n: t.clone() for n, t in source.state.items()}
    assert fingerprint(other) == fingerprint(source.state)
    other["E.conv.bias"][0] += 1e-6
    done = [run([made], digits, s)[-1] for s in (source, SourceWeights(other, 10))]
    found = [one.metrics[0].source_weights for one in done if isinstance(one, Done)]
    assert found[0] == fingerprint(source.state)
    assert found[1] != found[0]
    plain = run([spec()], digits)[-1]
    assert isinstance(plain, Done)
    assert plain.metrics[0].source_weights is None


ROUGH = {"numerics": {"precision": "bf16"}}


def test_steps_are_in_the_runs_precision_and_evaluations_in_float32(digits, monkeypatch):
    trainer = Trainer([spec(sections=ROUGH)], [counts_of((0, 4))], digits, None, CPU, torch.float32)
    seen = {}
    step, classify = trainer.method.step, trainer.method.classify

    def watched(name, call):
        def wrapper(*given):
            seen.setdefault(name, torch.is_autocast_enabled("cpu"))
            return call(*given)

        return wrapper

    monkeypatch.setattr(trainer.method, "step", watched("step", step))
    monkeypatch.setattr(trainer.method, "classify", watched("evaluation", classify))
    trainer.step(1)
    measured = trainer.evaluate(1).measurements[0]
    assert seen == {"step": True, "evaluation": False}
    assert not torch.is_autocast_enabled("cpu")
    E, C = trainer.method.E.network, trainer.method.C.network
    with torch.no_grad():
        logits = C(E(torch.from_numpy(digits.test).float() / 127.5 - 1))
    y = torch.from_numpy(digits.test_labels)
    assert measured.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, y)))


@pytest.mark.parametrize("method", ["original", "finetune", "delta", "dfg"])
def test_each_method_learns_something_in_bf16(digits, source, method):
    rates = (
        {"eta_E": 1e-3, "eta_C": 1e-3, "n_D": 1, "n_C1": 1, "n_C2": 2} if method == "dfg" else {}
    )
    made = spec(method, steps=40, eval_every=40, own=rates, sections=ROUGH)
    start, end = evaluations(run([made], digits, source))
    assert end.loss < start.loss


def test_a_run_in_bf16_is_the_same_again_bit_for_bit(digits, source):
    made = spec("dfg", own={"n_D": 1, "n_W": 3}, sections=ROUGH)
    first, second = (run([made], digits, source)[-1] for _ in range(2))
    for name, value in first.weights[0].items():
        assert value.dtype is not torch.bfloat16
        assert torch.equal(value, second.weights[0][name])


def test_a_precision_that_the_device_has_not_is_refused(digits):
    with pytest.raises(InputError, match="tf32 needs an NVIDIA GPU"):
        run([spec(sections={"numerics": {"precision": "tf32"}})], digits)


def test_a_blind_training_measures_held_out_images_in_place_of_test_images(digits):
    made = [spec(validation=0.25, combination=c) for c in ((0, 4), (1, 7))]
    seen = run(made, digits)
    none = replace(digits, test=digits.test[:0], test_labels=digits.test_labels[:0])
    blind = run(made, none, blind=True)
    for r in range(2):
        chosen = [m.val_accuracy for m in evaluations(seen, r)]
        assert [m.val_accuracy for m in evaluations(blind, r)] == chosen
        assert all(m.loss > 0 for m in evaluations(blind, r))
    trainer = Trainer(
        made, [counts_of(s.combination) for s in made], digits, None, CPU, torch.float32, blind=True
    )
    assert len(trainer.evaluator.test.labels) == 0
    measured = trainer.evaluate(0)
    for r in range(2):
        held_out = trainer.evaluator.validation[r]
        x = torch.from_numpy(digits.train[held_out]).float() / 127.5 - 1
        with torch.no_grad():
            logits = trainer.method.classify(x.expand(2, *x.shape))[r]
        y = torch.from_numpy(digits.train_labels[held_out])
        assert measured.measurements[r].loss == pytest.approx(
            float(torch.nn.functional.cross_entropy(logits, y)), rel=1e-5
        )
        right = float((logits.argmax(1) == y).float().mean())
        assert measured.measurements[r].accuracy == pytest.approx(right)
    with pytest.raises(ValueError, match="needs a validation share"):
        run([spec()], digits, blind=True)
