"""Metrics against scikit-learn's and against numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from dfgctl.metrics import balanced_accuracy, final_metrics, recalls

BEST = (0.9, 300)


def matrices(least: int) -> Any:
    """Confusion matrices of 2 to 6 classes, each with at least so many right images."""

    def square(k: int) -> Any:
        numbers = st.lists(st.integers(0, 30), min_size=k * k, max_size=k * k)
        return numbers.map(lambda n: np.array(n).reshape(k, k) + least * np.eye(k, dtype=int))

    return st.integers(2, 6).flatmap(square)


def images(confusion: Any) -> tuple[list[int], list[int]]:
    """True and predicted class of each image of a confusion matrix."""
    pairs = [p for p, n in np.ndenumerate(confusion) for _ in range(n)]
    return [t for t, _ in pairs], [p for _, p in pairs]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(matrices(least=1))
def test_metrics_agree_with_scikit_learn(confusion: Any) -> None:
    true, predicted = images(confusion)
    found = final_metrics(confusion, (0,), BEST, 1.0, 2.0)
    recall = sklearn_metrics.recall_score(true, predicted, average=None)
    assert found.recalls == pytest.approx(recall)
    assert recalls(confusion) == pytest.approx(recall)
    assert found.accuracy_last == pytest.approx(sklearn_metrics.accuracy_score(true, predicted))
    assert found.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(true, predicted, average="macro")
    )
    expected = sklearn_metrics.balanced_accuracy_score(true, predicted)
    assert found.balanced_accuracy == balanced_accuracy(confusion) == pytest.approx(expected)
    assert found.majority_recall == pytest.approx(recall[0])
    assert found.minority_recall == pytest.approx(recall[1:].mean())
    assert found.gmean == pytest.approx(math.prod(recall) ** (1 / len(recall)))
    assert np.array_equal(found.confusion, confusion)


def test_metrics_of_a_matrix_worked_out_by_hand() -> None:
    # Recalls 8/10, 6/10, 3/5; precisions 8/12, 6/7, 3/6.
    confusion = [[8, 1, 1], [2, 6, 2], [2, 0, 3]]
    found = final_metrics(confusion, (0, 1), BEST, 12.5, 3.5)
    assert found.recalls == pytest.approx((0.8, 0.6, 0.6))
    assert found.accuracy_last == pytest.approx(17 / 25)
    assert found.balanced_accuracy == pytest.approx(2 / 3)
    assert found.macro_f1 == pytest.approx((16 / 22 + 12 / 17 + 6 / 11) / 3)
    assert found.gmean == pytest.approx(0.288 ** (1 / 3))
    assert found.majority_recall == pytest.approx(0.7)
    assert found.minority_recall == pytest.approx(0.6)
    assert found.confusion == ((8, 1, 1), (2, 6, 2), (2, 0, 3))
    assert (found.accuracy_best, found.best_step) == BEST
    assert (found.accuracy_val, found.val_step, found.accuracy_unseen) == (None, None, None)
    assert (found.train_seconds, found.eval_seconds) == (12.5, 3.5)


def test_a_class_that_is_never_recognised_makes_the_geometric_mean_zero() -> None:
    found = final_metrics([[5, 0], [5, 0]], (0,), BEST, 0, 0)
    assert found.gmean == 0
    assert found.minority_recall == 0
    assert found.majority_recall == 1
    assert found.macro_f1 == pytest.approx((10 / 15 + 0) / 2)


def test_a_class_without_images_has_no_recall_and_counts_in_no_mean_of_recalls() -> None:
    found = final_metrics([[4, 0, 0], [0, 0, 0], [1, 0, 1]], (0,), BEST, 0, 0)
    assert found.recalls[0] == 1
    assert found.recalls[1] is None
    assert found.recalls[2] == 0.5
    assert found.balanced_accuracy == 0.75
    assert found.gmean == pytest.approx(math.sqrt(0.5))
    assert found.minority_recall == 0.5
    assert balanced_accuracy([[4, 0, 0], [0, 0, 0], [1, 0, 1]]) == 0.75


@settings(deadline=None, derandomize=True, max_examples=60)
@given(matrices(least=0).filter(lambda m: m.sum() > 0), st.integers(0, 5))
def test_macro_f1_counts_every_class_also_those_without_images(
    confusion: Any, emptied: int
) -> None:
    confusion[min(emptied, len(confusion) - 1)] = 0
    if confusion.sum() == 0:
        confusion[0, 1] = 3
    true, predicted = images(confusion)
    found = final_metrics(confusion, (), BEST, 0, 0)
    assert found.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(
            true, predicted, labels=range(len(confusion)), average="macro", zero_division=0
        )
    )


def test_at_one_to_one_there_is_neither_majority_nor_minority() -> None:
    found = final_metrics([[5, 1], [2, 4]], (), BEST, 0, 0)
    assert found.majority_recall is None
    assert found.minority_recall is None


def test_where_every_class_is_a_majority_there_is_no_minority() -> None:
    found = final_metrics([[5, 1], [2, 4]], (0, 1), BEST, 0, 0)
    assert found.majority_recall == found.balanced_accuracy
    assert found.minority_recall is None


def test_metrics_are_plain_numbers() -> None:
    found = final_metrics(np.array([[5, 1], [2, 4]]), np.array([0]).tolist(), BEST, 0, 0)
    for value in (found.accuracy_last, found.balanced_accuracy, found.macro_f1, found.gmean):
        assert type(value) is float
    assert all(type(r) is float for r in found.recalls)
    assert all(type(n) is int for row in found.confusion for n in row)


def test_metrics_carry_the_validated_accuracy_and_that_on_unseen_images() -> None:
    found = final_metrics([[5, 1], [2, 4]], (), BEST, 0, 0, validated=(0.7, 200), unseen=0.6)
    assert (found.accuracy_val, found.val_step, found.accuracy_unseen) == (0.7, 200, 0.6)
    assert found.accuracy_last == 0.75
