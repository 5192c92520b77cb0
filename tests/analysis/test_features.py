"""Real and generated features: what a run's networks give, and as many of one as of the other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dfgctl import seeding
from dfgctl.analysis import features as room
from dfgctl.analysis.features import features
from dfgctl.data.imbalance import subset
from dfgctl.errors import InputError


def extracted(state: Any, pixels: Any) -> Any:
    """E of LeNet-5 by hand."""
    x = torch.tensor(pixels, dtype=torch.float32) / 127.5 - 1
    return F.relu(F.max_pool2d(F.conv2d(x, state["E.conv.weight"], state["E.conv.bias"]), 2))


def test_real_features_are_those_of_test_pictures(make_trained: Any, arrays: Any) -> None:
    trained = make_trained()
    found = features(trained, arrays, (0, 2), 5)
    assert found.labels.tolist() == [0] * 5 + [2] * 5
    assert found.layer == "E's output (6 × 14 × 14)"
    for c in (0, 2):
        expected = extracted(trained.state, arrays.test[arrays.test_labels == c]).flatten(1).numpy()
        own = found.real[found.labels == c]
        order = [int(np.argmin(np.abs(expected - row).sum(1))) for row in own]
        assert sorted(order) == [0, 1, 2, 3, 4]  # each once, in the seed's order
        np.testing.assert_allclose(own, expected[order], atol=1e-5)


def test_real_features_may_be_those_of_the_runs_own_pictures(
    make_trained: Any, arrays: Any
) -> None:
    trained = make_trained()
    found = features(trained, arrays, (0, 1, 2), 4, "training")
    assert np.bincount(found.labels).tolist() == [2, 4, 3]  # class_counts, at most four
    kept, _ = subset(arrays.train_labels, (2, 6, 3), (0,) * 3, seeding.run_key(0, (1,)))
    own = extracted(trained.state, arrays.train[kept[:2]]).flatten(1).numpy()
    first = found.real[:2]
    assert np.abs(first - own).max() < 1e-5 or np.abs(first - own[::-1]).max() < 1e-5


def test_generated_features_are_gs_under_the_final_weights(make_trained: Any, arrays: Any) -> None:
    trained = make_trained()
    trained.state["W_star"][:, 2] = 0
    before = {n: t.clone() for n, t in trained.state.items()}
    found = features(trained, arrays, (0, 1, 2), 5)
    maps = found.generated.reshape(15, 6, 14, 14)
    # Eq. 9: a map that is switched off is what the last batch norm makes of a constant.
    assert np.abs(maps[:, 2] - trained.state["G.norm3.bias"][2].item()).max() < 1e-6
    assert all(maps[:, j].std() > 0.1 for j in (0, 1, 3, 4, 5))
    assert all(torch.equal(t, before[n]) for n, t in trained.state.items())


def test_batch_norms_see_the_batch_and_not_old_statistics(make_trained: Any, arrays: Any) -> None:
    trained = make_trained()
    first = features(trained, arrays, (0, 1), 5).generated
    for name, tensor in trained.state.items():
        if name.startswith("G.") and name.endswith(("running_mean", "running_var")):
            tensor.fill_(7)
    np.testing.assert_array_equal(features(trained, arrays, (0, 1), 5).generated, first)


def test_the_seed_decides(make_trained: Any, arrays: Any) -> None:
    trained = make_trained()
    first, again = (features(trained, arrays, (0, 1), 2, seed=3) for _ in range(2))
    other = features(trained, arrays, (0, 1), 2, seed=4)
    for name in ("real", "generated", "generated_predicted"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        if name != "generated_predicted":
            assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize("method", ["dfg", "difa"])
def test_predictions_are_the_runs_own(method: str, make_trained: Any, arrays: Any) -> None:
    trained = make_trained(method)
    found = features(trained, arrays, (0, 1, 2), 5)
    by_label = {}
    for c in range(3):
        pixels = torch.from_numpy(arrays.test[arrays.test_labels == c])
        by_label[c] = sorted(trained.classifier.probabilities(pixels).argmax(1).tolist())
        assert sorted(found.real_predicted[found.labels == c].tolist()) == by_label[c]
    width = 1176 if method == "dfg" else 84
    assert found.real.shape == found.generated.shape == (15, width)
    C = trained.classifier.C
    with torch.no_grad():
        entering = torch.from_numpy(found.generated)
        logits = C(entering.view(-1, 6, 14, 14)) if method == "dfg" else C.head(entering)
    assert found.generated_predicted.tolist() == logits.argmax(1).tolist()


def test_difa_has_the_features_that_its_head_sees(make_trained: Any, arrays: Any) -> None:
    found = features(make_trained("difa"), arrays, (0, 1), 5)
    assert found.layer == "the last hidden layer (84)"
    assert found.letters == ("E", "S")
    assert np.abs(found.real).max() <= 1
    assert np.abs(found.generated).max() <= 1


def test_there_are_fewer_where_memory_is_short(
    make_trained: Any, arrays: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ROOM", 2 * 2 * 3 * 1176 * 4)
    found = features(make_trained(), arrays, (0, 1), 5)
    assert np.bincount(found.labels).tolist() == [3, 3]


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_larger_networks_have_them_too(name: str, make_trained: Any, arrays: Any) -> None:
    trained = make_trained("dfg", name)
    colour = replace(arrays, test=np.repeat(arrays.test, 3, axis=1))
    found = features(trained, colour, (0, 1, 2), 2)
    sides = {"vgg16": 4 * 16 * 16, "resnet50": 16 * 8 * 8}
    assert found.real.shape == found.generated.shape == (6, sides[name])
    assert np.isfinite(found.generated).all()
    # E's batch norms are as when pictures are classified: a picture alone gives the same.
    alone = features(trained, colour, (0, 1, 2), 1)
    np.testing.assert_allclose(alone.real[0], found.real[0], atol=1e-5)


def test_a_method_without_a_generator_is_refused(make_trained: Any, arrays: Any) -> None:
    with pytest.raises(InputError, match=r"is of delta and has no generator .*: name a run of dfg"):
        features(make_trained("delta"), arrays, (0, 1), 5)


def test_a_class_without_pictures_is_named(make_trained: Any, arrays: Any) -> None:
    lacking = replace(arrays, test_labels=np.zeros(15, dtype=np.int64))
    with pytest.raises(InputError, match="no test pictures of class one: name others"):
        features(make_trained(), lacking, (0, 1), 5)
