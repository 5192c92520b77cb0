"""How well features match: shares worked out by hand on a line."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crowding import crowded
from matplotlib import colors
from sklearn.decomposition import PCA

from dfgctl.errors import NothingToShowError
from dfgctl.records import DatasetCard
from dfgctl.report.matching import Features, match, sentences
from dfgctl.report.scatter import CLASS_LOOKS, KIND_LOOKS, draw, embed


def line(make_run: Any, real: Any, generated: Any, labels: Any, **fields: Any) -> Features:
    """Features of one dimension; C predicts class 0 throughout."""
    return Features(
        run=make_run(),
        pictures="test",
        layer="E's output (1)",
        letters=("E", "G"),
        real=np.array(real, dtype=np.float32)[:, None],
        generated=np.array(generated, dtype=np.float32)[:, None],
        labels=np.array(labels),
        real_predicted=np.zeros(len(labels), dtype=np.int64),
        generated_predicted=np.array(labels),
        **fields,
    )


@pytest.fixture
def cloud(make_run: Any) -> Features:
    """Twelve features of each kind, in six dimensions and three classes."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 3], 4)
    return Features(
        run=make_run(),
        pictures="test",
        layer="E's output (6)",
        letters=("E", "G"),
        real=rng.normal(size=(12, 6)).astype(np.float32),
        generated=rng.normal(1, 1, size=(12, 6)).astype(np.float32),
        labels=labels,
        real_predicted=labels,
        generated_predicted=np.roll(labels, 1),
    )


def test_shares_are_those_of_nearest_neighbours(make_run: Any) -> None:
    found = match(line(make_run, [0, 10, 30, 45], [1, 11, 31, 200], [0, 0, 1, 0]))
    # 0-1, 10-11 and 30-31 are each other's; 45's is 31, and 200's is 45.
    assert (found.told_apart, found.real_told, found.generated_told) == (0, 0, 0)
    assert found.neighbour == 1  # 200's nearest real one is 45, of class 0
    assert found.real_neighbour == 0.5  # 0 and 10 agree, 30 and 45 do not
    assert (found.consistent, found.real_accuracy) == (1, 0.75)


def test_kinds_far_apart_are_told_apart(make_run: Any) -> None:
    found = match(line(make_run, [0, 1, 2, 3.5], [100, 101, 102, 103.5], [0, 0, 1, 1]))
    assert (found.told_apart, found.real_told, found.generated_told) == (1, 1, 1)
    assert found.neighbour == 0.5  # all lie nearest to 3.5, of class 1


def test_one_kind_alone_may_be_told(make_run: Any) -> None:
    # Generated ones in one heap, as a collapsed generator gives them.
    found = match(line(make_run, [0, 10, 20, 30], [9.0, 9.1, 9.2, 9.3], [0, 0, 1, 1]))
    assert (found.real_told, found.generated_told) == (0.5, 1)
    assert found.told_apart == 0.75


def test_generated_features_are_raised_to_the_least_real_one(make_run: Any) -> None:
    # Raised to 0, the first two lie on the real 0, and so each on the other.
    features = line(make_run, [0, 1, 2, 3.5], [-5.0, -4.0, 2.1, 3.4], [0, 0, 1, 1])
    found = match(features)
    assert found.floor == 0
    assert found.neighbour == found.floored_neighbour == 1
    assert found.told_apart == 0.5
    raised = match(line(make_run, [0, 1, 2, 3.5], [0, 0, 2.1, 3.4], [0, 0, 1, 1]))
    assert found.floored_told_apart == raised.told_apart
    assert raised.floor is None
    said = " ".join(sentences(found, features))
    assert "below 0, the least real one, raised to it: told apart" in said
    assert not any("raised" in line for line in sentences(raised, features))


def test_what_only_a_relu_tells_apart_is_not_told_once_it_is_gone(make_run: Any) -> None:
    low = line(make_run, [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 2])
    real = np.array([[0, 0.1], [0, 0.7], [9, 9], [9, 8]], dtype=np.float32)
    generated = np.array([[-5, 0.3], [-5, 0.6], [9, 20], [9, 21]], dtype=np.float32)
    found = match(replace(low, real=real, generated=generated))
    assert found.told_apart == 1
    # Raised to x = 0, 0.3 lies nearest to the real 0.1 and 0.6 to 0.7, and the other way about.
    assert found.floored_told_apart == 0.5
    assert found.neighbour == found.floored_neighbour == 1


@pytest.mark.parametrize(
    ("maps", "counts", "told", "says"),
    [
        ([[1, 0], [0, 1], [1, 1]], (1, 1, 2), 0, "on 1 of 2 feature maps of a class"),
        ([[1, 0], [1, 1], [0, 0]], (1, 2, 2), 0.5, "are on alone: told apart 50.0 %."),
        ([[1, 0], [0, 0], [1, 1]], (0, 1, 2), 0, "on 0 to 1 of 2 feature maps of a class"),
        ([[0, 0], [0, 0], [1, 1]], (0, 0, 2), None, "constant in a generated batch."),
        ([[1, 1], [1, 1], [0, 0]], None, None, ""),
        (None, None, None, ""),
    ],
)
def test_maps_that_are_on_are_compared_alone(
    maps: Any, counts: Any, told: float | None, says: str, make_run: Any
) -> None:
    """No feature is of class 2. On alone, each real one has a generated one for neighbour."""
    low = line(make_run, [0, 1, 2, 3], [0, 1, 2, 2], [0, 0, 1, 1])
    real = np.array([[0.1, 5], [0.7, 6], [5, 10.1], [6, 10.7]], dtype=np.float32)
    generated = np.array([[0.3, -9], [0.6, -9], [-9, 10.3], [-9, 10.6]], dtype=np.float32)
    on = None if maps is None else np.array(maps, dtype=bool)
    features = replace(low, real=real, generated=generated, maps=on)
    found = match(features)
    assert found.told_apart == 1
    assert (found.maps, found.on_told_apart) == (counts, told)
    said = sentences(found, features)
    assert any(says in line for line in said)
    assert any("feature maps" in line for line in said) == (counts is not None)
    assert any("on alone" in line for line in said) == (told is not None)


def test_a_map_is_its_run_of_numbers(make_run: Any) -> None:
    """Of two maps of two pixels the second, which tells all apart, is off."""
    low = line(make_run, [0, 1, 2, 3], [0, 1, 2, 2], [0, 0, 0, 0])
    real = np.array([[x, x, 5, 5] for x in (0.1, 0.7, 10.1, 10.7)], dtype=np.float32)
    generated = np.array([[x, x, -9, -9] for x in (0.3, 0.6, 10.3, 10.6)], dtype=np.float32)
    features = replace(low, real=real, generated=generated, maps=np.array([[True, False]]))
    assert (match(features).told_apart, match(features).on_told_apart) == (1, 0)


def test_the_numbers_are_said(make_run: Any) -> None:
    features = line(make_run, [0, 1, 2, 3.5], [100, 101, 102, 103.5], [0, 0, 1, 1])
    said = " ".join(sentences(match(features), features))
    assert "4 real (test pictures) and 4 generated features, E's output (1)." in said
    assert "100.0 % (real 100.0 %, generated 100.0 %)" in said
    assert "by the run's C: 100.0 % of the generated features; of the real ones 50.0 %." in said


@pytest.mark.parametrize(
    ("real", "generated", "says"),
    [
        ([0, 1, 2], [0, 1, 2], "3 real features are too few to compare: ask for more"),
        ([0, 1, 2, float("nan")], [0, 1, 2, 3], "The real features of run .* are not finite"),
        ([0, 1, 2, 3], [0, 1, 2, float("inf")], "The generated features .* are not finite"),
        ([0, 1, 2, 3], [5, 5, 5, 5], "The generated features .* are all equal"),
    ],
)
def test_what_cannot_be_compared_is_said(
    real: Any, generated: Any, says: str, make_run: Any
) -> None:
    features = line(make_run, real, generated, [0] * len(real))
    for use in (match, lambda f: embed("tsne", f, 0), lambda f: draw("pca", f)):
        with pytest.raises(NothingToShowError, match=says):
            use(features)


def test_pca_is_scikit_learns_of_both_kinds_together(cloud: Features) -> None:
    points, axes = embed("pca", cloud, 0)
    plain = PCA(2, random_state=0).fit(np.concatenate([cloud.real, cloud.generated]))
    np.testing.assert_allclose(points[12:], plain.transform(cloud.generated), atol=1e-5)
    share = 100 * plain.explained_variance_ratio_[0]
    assert axes[0] == f"component 1, {share:.1f} % of variance"


def test_tsne_is_the_same_for_the_same_seed(cloud: Features) -> None:
    first, again = (embed("tsne", cloud, 5)[0] for _ in range(2))
    assert first.shape == (24, 2)
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("kind", ["tsne", "pca"])
def test_every_feature_is_drawn_in_both_parts(kind: str, cloud: Features) -> None:
    drawn = draw(kind, cloud)
    left, right = drawn.figure.axes
    points = embed(kind, cloud, 0)[0]
    for axes in (left, right):
        shown = np.concatenate([c.get_offsets() for c in axes.collections])
        assert sorted(map(tuple, shown)) == sorted(map(tuple, points))
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["0", "1", "3"]
    assert [t.get_text() for t in right.get_legend().get_texts()] == ["real (E)", "generated (G)"]
    looks = {colors.to_hex(c.get_edgecolor()[0]) for c in left.collections}
    assert looks == {CLASS_LOOKS[i][0] for i in range(3)}
    hollow = [c for c in left.collections if not len(c.get_facecolor())]
    assert sum(len(c.get_offsets()) for c in hollow) == 12  # the generated ones
    title = drawn.figure.subfigs[0].get_suptitle()
    assert "DFG on Digits (10:1, majority {0, 4}, seed 0, source glyphs), run " in title
    assert f"{100 * match(cloud).told_apart:.1f} %" in title
    assert drawn.runs == [cloud.run.id]


def test_the_data_has_a_row_for_each_point(cloud: Features) -> None:
    data = draw("pca", cloud).data
    points = embed("pca", cloud, 0)[0]
    assert data["kind"].tolist() == ["real"] * 12 + ["generated"] * 12
    np.testing.assert_allclose(data[["x", "y"]].to_numpy(), points)
    assert data["class"].tolist() == [str(c) for c in cloud.labels] * 2
    assert data["predicted"].tolist()[12:] == [str(c) for c in np.roll(cloud.labels, 1)]


def test_looks_differ_without_colour() -> None:
    assert len({marker for _, marker in CLASS_LOOKS}) == len(CLASS_LOOKS) == 10
    assert len({marker for _, marker in KIND_LOOKS.values()}) == 2


def test_no_words_lie_on_each_other_and_odd_names_are_shown(cloud: Features) -> None:
    names = ("_noise_", "$5 or $6", "A NAME THAT IS TOO LONG", *map(str, range(7)))
    card = DatasetCard("d" * 64, "digits", "Own", names)
    odd = replace(cloud, run=replace(cloud.run, card=card), labels=np.repeat([0, 1, 2], 4))
    figure = draw("pca", odd).figure
    assert crowded(figure) == []
    shown = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert shown == [" _noise_", r"\$5 or \$6", "A NAME T… TOO LONG"]
