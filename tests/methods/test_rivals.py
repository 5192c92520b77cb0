"""The simple rivals: where they start, what their stages train, what SMOTE makes of features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from tiny_methods import RIVALS

from dfgctl import seeding
from dfgctl.data.batches import Batches
from dfgctl.methods.balanced import Balanced
from dfgctl.methods.base import SourceWeights, random_networks
from dfgctl.methods.cbloss import CbLoss
from dfgctl.methods.crt import Crt
from dfgctl.methods.ldam import Ldam
from dfgctl.methods.smote import Smote, oversampled
from dfgctl.networks.backbones import backbone, seeded
from dfgctl.rival_losses import effective_weights, ldam_loss, log_priors

STAGES = {"steps": 5, "share_1": 0.4}


def with_counts(context, counts):
    """Return a context whose only run has so many images of each class."""
    labels = context.batches.images.labels.numpy()
    subset = np.concatenate([np.flatnonzero(labels == c)[:n] for c, n in enumerate(counts)])
    old = context.batches
    batches = Batches(old.images, [subset], old.run_keys, old.batch_size, old.dtype)
    return replace(context, batches=batches)


# Starts


@pytest.mark.parametrize("init", ["random", "source"])
def test_each_starts_from_random_weights_or_from_the_sources(context, settings, source, init):
    network = context(range(1)).backbone
    for name, make in RIVALS.items():
        own = name.partition("-")[0]
        method = make(context(range(1)), lambda n, **k: settings(n, **{**k, "init": init}))
        kept = method.E.replica_state(0)["conv.weight"]
        first = random_networks(context(range(1)))
        theirs = source.state["E.conv.weight"].double()
        random = first[0].replica_state(0)["conv.weight"]
        assert torch.equal(kept, theirs if init == "source" else random), name
        head = method.C.replica_state(0)[f"{network.head}.weight"]
        keeps = init == "source" and own != "ldam"
        assert torch.equal(head, source.state["C.head.weight"].double()) == keeps, name


def test_from_a_source_of_other_classes_the_head_is_the_runs_own(context, settings, source):
    pack = context(range(2))
    letters = seeded(lambda: pack.backbone.classifier(26), 1, "C").state_dict()
    state = {n: t for n, t in source.state.items() if n.startswith("E.")}
    state |= {f"C.{n}": t for n, t in letters.items()}
    pack = replace(pack, source=SourceWeights(state, 26))
    heads = random_networks(pack)[1]
    method = Balanced(pack, settings("balanced", init="source"))
    for r in range(2):
        mine = method.C.replica_state(r)
        assert torch.equal(mine["head.weight"], heads.replica_state(r)["head.weight"])
        assert torch.equal(mine["fc1.weight"], letters["fc1.weight"].double())


# Single methods


def test_balanced_draws_all_classes_alike(context, settings):
    made = with_counts(context(range(1), batch_size=2000), [60] + [2] * 9)
    method = Balanced(made, settings("balanced"))
    seen = []
    draw = method.batches.draw_balanced
    method.batches.draw_balanced = lambda *where: seen.append(draw(*where)[1]) or draw(*where)
    method.step(1)
    shares = torch.bincount(seen[0][0], minlength=10) / 2000
    assert shares.sub(0.1).abs().max() < 0.03


def test_focal_begins_with_a_chance_of_one_in_k(context, settings):
    method = CbLoss(context(range(2)), settings("cbloss", loss="focal"))
    bias = method.C.tensor("head.bias").detach()
    torch.testing.assert_close(torch.sigmoid(bias), torch.full_like(bias, 0.1))


@pytest.mark.parametrize("name", RIVALS)
def test_a_class_without_images_or_with_one_spoils_nothing(context, settings, name):
    made = with_counts(context(range(1)), [30, 0, 1, 2, 3, 7, 30, 30, 4, 4])
    method = RIVALS[name](made, settings)
    for step in range(1, 6):
        assert all(v.isfinite().all() for v in method.step(step).values())
    assert all(t.isfinite().all() for t in method.weights(0).values() if t.is_floating_point())


def test_frequencies_are_those_of_the_images_that_a_run_trains_on(context, settings):
    counts = [40, 4] + [8] * 8
    made = with_counts(context(range(1)), counts)
    held = torch.tensor([counts])
    found = RIVALS["cbloss"](made, settings).class_weights
    torch.testing.assert_close(found, effective_weights(held, 0.9999))
    torch.testing.assert_close(RIVALS["logitadjust"](made, settings).priors, log_priors(held))


def test_ldam_weighs_classes_only_after_its_share_of_the_steps(context, settings):
    made = with_counts(context(range(1)), [40, 4] + [8] * 8)
    made = replace(made, backbone=backbone("lenet5", cosine=True))
    method = Ldam(made, settings("ldam", steps=5, share_1=0.6))
    for step in range(1, 6):
        x, y = method.batches.draw(step, 0)
        with torch.no_grad():
            logits = method.C(method.E(x))
        weights = method.class_weights if step > 3 else None
        expected = ldam_loss(logits, y, method.margins, 30.0, weights)
        torch.testing.assert_close(method.step(step)["loss"], expected)


# Two stages


@pytest.mark.parametrize("kind", [Crt, Smote])
def test_stage_2_trains_the_head_alone_from_its_random_weights(context, settings, kind):
    pack = context(range(2))
    method = kind(pack, settings(kind.name, init="source", head_lr=1e-9, **STAGES))
    first = random_networks(pack)[1]
    for step in (1, 2):
        assert set(method.step(step)) == {"loss"}
    before = [method.weights(r) for r in range(2)]
    for step in (3, 4, 5):
        assert set(method.step(step)) == {"loss_head"}
        method.classify(method.batches.draw(0, 0)[0])
    for r in range(2):
        after = method.weights(r)
        moved = {name for name, t in after.items() if not torch.equal(t, before[r][name])}
        assert moved == {"C.head.weight", "C.head.bias"}
        for name in ("weight", "bias"):
            begun = first.replica_state(r)[f"head.{name}"]
            torch.testing.assert_close(after[f"C.head.{name}"], begun, rtol=0, atol=1e-7)


def test_a_run_of_a_few_steps_has_both_stages(context, settings):
    method = Crt(context(range(1)), settings("crt", steps=2, share_1=0.9))
    assert [*method.step(1), *method.step(2)] == ["loss", "loss_head"]


def test_smote_draws_from_the_features_of_all_images_as_an_evaluation_sees_them(context, settings):
    counts = [20, 6] + [8] * 8
    made = with_counts(context(range(1)), counts)
    method = Smote(made, settings("smote", neighbours=3, **STAGES))
    for step in (1, 2, 3):
        method.step(step)
    features, labels, sizes = method.oversampled
    assert sizes.tolist() == [[200]]
    assert torch.bincount(labels[0]).tolist() == [20] * 10
    x, y, _ = next(iter(method.batches.sweep(1000)))
    torch.testing.assert_close(features[:, : sum(counts)], method.features(x))
    assert torch.equal(labels[:, : sum(counts)], y)
    drawn, chosen = method.draw_features(4)
    assert drawn.shape == (1, 8, 84)
    rows = [(features[0] == row).all(1).nonzero()[0, 0] for row in drawn[0]]
    assert [int(labels[0, i]) for i in rows] == chosen[0].tolist()


def test_runs_of_other_sizes_draw_from_their_own_features_alone(context, settings):
    pack = context(range(2))
    old = pack.batches
    subsets = [old.subsets[0], old.subsets[1][:25]]
    batches = Batches(old.images, subsets, old.run_keys, 500, old.dtype)
    method = Smote(replace(pack, batches=batches), settings("smote", neighbours=2, **STAGES))
    method.step(3)
    features, _, sizes = method.oversampled
    assert sizes[0, 0] != sizes[1, 0]
    drawn, _ = method.draw_features(4)
    for r in range(2):
        own = {tuple(row) for row in features[r, : sizes[r, 0]].tolist()}
        assert {tuple(row) for row in drawn[r].tolist()} <= own
        alone = Smote(replace(pack.singles()[r], batches=batches.single(r)), method.settings)
        alone.step(3)
        torch.testing.assert_close(alone.oversampled[0][0], features[r, : sizes[r, 0]])


# SMOTE


def points(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).normal(size=(len(labels), 4)) + labels[:, None], labels


def test_features_are_oversampled_as_the_library_does_it():
    x, y = points([12, 7, 9])
    mine = oversampled(x, y, 5, seed=3)
    theirs = SMOTE(k_neighbors=5, random_state=3).fit_resample(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert np.bincount(mine[1]).tolist() == [12, 12, 12]
    assert not np.array_equal(oversampled(x, y, 5, seed=4)[0], mine[0])


def test_a_class_of_few_has_all_its_others_as_neighbours_and_a_single_image_is_repeated():
    x, y = points([9, 2, 1, 0, 6])
    found, labels = oversampled(x, y, 5, seed=0)
    assert np.bincount(labels, minlength=5).tolist() == [9, 9, 9, 0, 9]
    assert np.array_equal(found[: len(x)], x)
    (alone,) = x[y == 2]
    assert (found[labels == 2] == alone).all()
    a, b = x[y == 1]  # synthetic ones lie on the line between the two
    shares = (found[labels == 1] - a) / (b - a)
    np.testing.assert_allclose(shares, shares[:, :1].repeat(4, axis=1), atol=1e-9)
    assert ((shares > -1e-9) & (shares < 1 + 1e-9)).all()


def test_what_is_balanced_or_not_finite_stays_as_it_is():
    x, y = points([5, 5])
    assert np.array_equal(oversampled(x, y, 5, seed=0)[0], x)
    x, y = points([5, 3])
    x[2, 1] = np.nan
    assert np.array_equal(oversampled(x, y, 5, seed=0)[0], x, equal_nan=True)


def test_seeds_differ_by_run(context):
    keys = context(range(3)).run_keys
    assert len({seeding.substream(key, "smote") % 2**32 for key in keys}) == 3
